//! What a key's certificates said so far.

use capauth_tests::life::{By, Cert};
use capauth_verifier::AuthErrorKind as E;

/// What is known of a key's certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) hard: bool,
    pub(crate) retired: bool,
    pub(crate) renewed: bool,
    pub(crate) no_subkey: bool,
    pub(crate) last: Cert,
}

impl Facts {
    pub(crate) fn of(cert: Cert) -> Self {
        Self {
            hard: cert == Cert::Revoked,
            retired: cert == Cert::Retired,
            renewed: cert == Cert::Renewed,
            no_subkey: cert == Cert::SubkeyRevoked,
            last: cert,
        }
    }

    pub(crate) fn and(self, cert: Cert) -> Self {
        let (other, renewed) = (Self::of(cert), self.renewed || cert == Cert::Renewed);
        Self {
            hard: self.hard || other.hard,
            retired: (self.retired || other.retired) && !renewed,
            renewed,
            no_subkey: self.no_subkey || other.no_subkey,
            last: cert,
        }
    }

    pub(crate) fn is_worse_than(self, before: Self) -> bool {
        (self.hard && !before.hard)
            || (self.retired && !before.retired)
            || (self.no_subkey && !before.no_subkey)
    }

    pub(crate) fn admit(self, by: By) -> Result<(), E> {
        let bad = self.hard || self.retired || (by == By::Subkey && self.no_subkey);
        if bad { Err(E::KeyRevoked) } else { Ok(()) }
    }

    pub(crate) fn keeps_out(self) -> bool {
        self.hard || self.retired || self.no_subkey
    }
}
