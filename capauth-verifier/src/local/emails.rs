//! Which e-mail addresses applications may take for a person's own.

use super::{Administration, LocalVerifier};
use crate::email::EmailAddress;
use crate::error::{AuthError, AuthErrorKind};
use crate::verifier::Authenticated;

impl LocalVerifier {
    /// The address that somebody claims, in its normal form, if it is theirs: an administrator vouches for it, or the
    /// domain's own Web Key Directory serves the key they signed in with (where that is asked; the domain then learns
    /// that somebody presents the address here). `None` otherwise.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn verified_email(&self, who: &Authenticated) -> Result<Option<String>, AuthError> {
        let Some(claim) = &who.claims().email else { return Ok(None) };
        let Some(address) = EmailAddress::parse(claim) else { return Ok(None) };
        let confirmed = self.stores.keys.is_email_confirmed(&who.sub(), &self.email_hash(&address)).await?;
        if confirmed {
            return Ok(Some(address.as_str().to_owned()));
        }
        #[cfg(feature = "wkd")]
        if let Some(emails) = &self.emails {
            let verified = emails.verify(claim, &who.sub(), &who.fingerprint()).await;
            return Ok(verified.map(|address| address.as_str().to_owned()));
        }
        Ok(None)
    }

    fn email_hash(&self, address: &EmailAddress) -> [u8; 32] {
        self.stores.master_key.keyed_hash("confirmed e-mail", address.as_str().as_bytes())
    }
}

impl Administration<'_> {
    /// Vouches for an address of a key's identity, or no longer does. What is kept is a keyed hash.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidRequest`] for what is no plain address; [`AuthErrorKind::NotFound`];
    /// [`AuthErrorKind::Conflict`] for another identity's; the store is gone.
    pub async fn confirm_email(
        &self,
        fingerprint: &capauth_protocol::Fingerprint,
        email: &str,
        confirmed: bool,
    ) -> Result<(), AuthError> {
        let verifier = self.verifier();
        let address = EmailAddress::parse(email).ok_or_else(|| {
            AuthError::with_words(AuthErrorKind::InvalidRequest, "`email` is no plain e-mail address.")
        })?;
        let hash = verifier.email_hash(&address);
        let changed =
            verifier.stores.keys.confirm_email(fingerprint, &hash, confirmed, &self.note().await).await?;
        verifier.after_change_of(changed).await.map(drop).map_err(|error| match error.kind() {
            AuthErrorKind::Conflict => AuthError::with_words(
                AuthErrorKind::Conflict,
                "This address is another identity's: applications would take one for the other.",
            ),
            _ => error,
        })
    }
}
