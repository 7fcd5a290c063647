//! Who is asked for the certificates of an address, and how that may fail.

use std::fmt;

use async_trait::async_trait;

use super::EmailAddress;

/// Where the certificates of an e-mail address are found. What is found there vouches for the address.
///
/// ```
/// use capauth_verifier::{DirectoryError, DirectoryErrorKind, EmailAddress, KeyDirectory};
///
/// /// Knows nobody: for tests.
/// struct Nobody;
///
/// #[async_trait::async_trait]
/// impl KeyDirectory for Nobody {
///     async fn certificates(&self, _: &EmailAddress) -> Result<Vec<u8>, DirectoryError> {
///         Err(DirectoryError::new(DirectoryErrorKind::NotFound))
///     }
/// }
/// ```
#[async_trait]
pub trait KeyDirectory: Send + Sync + 'static {
    /// What is served for the address: certificates one after the other, in binary. Nothing of it is checked yet.
    ///
    /// # Errors
    /// There is nothing, or it cannot be had.
    async fn certificates(&self, address: &EmailAddress) -> Result<Vec<u8>, DirectoryError>;
}

/// Why a directory gives no certificates. It holds neither the address nor what was answered, and may be logged.
///
/// ```
/// use capauth_verifier::{DirectoryError, DirectoryErrorKind};
///
/// let error = DirectoryError::new(DirectoryErrorKind::Timeout);
/// assert_eq!(error.to_string(), "the key directory does not answer in time");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryError {
    kind: DirectoryErrorKind,
}

/// The kinds of [`DirectoryError`].
///
/// ```
/// use capauth_verifier::DirectoryErrorKind;
///
/// assert_eq!(DirectoryErrorKind::TooLarge.as_str(), "TooLarge");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DirectoryErrorKind {
    /// It has no certificate for the address, or the domain has no directory.
    NotFound,
    /// Its host is not on the public internet.
    Refused,
    /// It answers with another status than 200 or 404; a redirect is one.
    Status,
    /// It answers more than is read.
    TooLarge,
    /// It does not answer in time.
    Timeout,
    /// It cannot be reached: no name server, no connection, no valid certificate.
    Network,
    /// As many fetches as may be are on their way; this one was not begun.
    Busy,
}

impl DirectoryErrorKind {
    /// A constant name, fit for a log or a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::Refused => "Refused",
            Self::Status => "Status",
            Self::TooLarge => "TooLarge",
            Self::Timeout => "Timeout",
            Self::Network => "Network",
            Self::Busy => "Busy",
        }
    }
}

impl DirectoryError {
    /// An error of this kind.
    pub const fn new(kind: DirectoryErrorKind) -> Self {
        Self { kind }
    }

    /// Which it is.
    pub const fn kind(&self) -> DirectoryErrorKind {
        self.kind
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            DirectoryErrorKind::NotFound => "there is no certificate for this address",
            DirectoryErrorKind::Refused => "the key directory is not on the public internet",
            DirectoryErrorKind::Status => "the key directory answers with an unexpected status",
            DirectoryErrorKind::TooLarge => "the key directory answers too much",
            DirectoryErrorKind::Timeout => "the key directory does not answer in time",
            DirectoryErrorKind::Network => "the key directory cannot be reached",
            DirectoryErrorKind::Busy => "too many key directories are being asked",
        })
    }
}

impl std::error::Error for DirectoryError {}
