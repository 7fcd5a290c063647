//! A login that another device signs, as a verifier tells of it.

use std::fmt;

use capauth_protocol::Fingerprint;
use capauth_protocol::payload::NoncePayload;

use crate::secret::Secret;
use crate::stores::QrEnd;
use crate::verifier::Login;

/// A login that another device is to sign: what that device needs to know, and what stays with the one that asked.
#[derive(Clone)]
pub struct QrChallenge {
    /// A UUID of version 4.
    pub nonce: String,
    /// What stands for the client's nonce in the payload.
    pub client_nonce: String,
    /// The web origin that is signed for.
    pub origin: String,
    /// When it was made.
    pub timestamp: String,
    /// The service that the login is for.
    pub service: String,
    /// When it ends.
    pub expires: String,
    /// Six digits, shown to the person and typed on the other device. In no QR code.
    pub code: Secret,
    /// What fetches the result.
    pub poll_token: Secret,
    /// The server's armored signature over the payload; empty when it has no key.
    pub server_signature: String,
    /// The server's armored certificate; empty when it has none.
    pub server_public_key: String,
}

impl QrChallenge {
    /// What the other device signs: always version 2.
    pub fn payload(&self) -> NoncePayload<'_> {
        NoncePayload {
            nonce: &self.nonce,
            client_nonce: &self.client_nonce,
            timestamp: &self.timestamp,
            service: &self.service,
            expires: &self.expires,
            origin: Some(&self.origin),
        }
    }
}

/// Shows for what it is, and nothing that opens it.
impl fmt::Debug for QrChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrChallenge")
            .field("service", &self.service)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// What comes of an answer by another device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QrAnswered {
    /// The code was right: the one that asked is signed in.
    SignedIn,
    /// There was no code: the person is asked, where the QR code is shown.
    Waits,
    /// The person did not want the login.
    Declined,
}

/// Where a login by another device stands.
#[derive(Debug, Clone)]
pub enum QrStatus {
    /// It is not decided.
    Pending {
        /// The key that signed without the code and waits for a click.
        waiting: Option<Fingerprint>,
    },
    /// Somebody is signed in.
    Authenticated {
        /// Who: handed out once.
        login: Option<Box<Login>>,
    },
    /// It came to nothing.
    Ended(QrEnd),
}

impl QrStatus {
    /// Whether nothing more will happen but that the result is fetched.
    pub const fn is_decided(&self) -> bool {
        !matches!(self, Self::Pending { .. })
    }

    /// Whether both stand at the same place, whatever they hand out.
    pub fn is_where(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pending { waiting }, Self::Pending { waiting: other }) => waiting == other,
            (Self::Authenticated { .. }, Self::Authenticated { .. }) => true,
            (Self::Ended(end), Self::Ended(other)) => end == other,
            _ => false,
        }
    }
}
