//! What administrators do.

use std::net::IpAddr;

use capauth_protocol::request::is_user_name;
use capauth_protocol::response::{AuditLine, AuditLog, EnrollmentCode, Linked};
use capauth_protocol::{Fingerprint, limits};
use sha2::{Digest as _, Sha256};

use super::LocalVerifier;
use super::enrollment::code_hash;
use super::rotation::nothing_waits;
use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind};
use crate::openpgp::{SigningKeys, SubmittedCertificate};
use crate::stores::{
    Actor, Admission, AuditEntry, AuditEvent, AuditName, AuditPage, Changed, EnrolledKey, Enrollment,
    KeyRole, NewCode, Note, Unlink,
};

/// For how many seconds a code can be used, if nothing else is said: a week.
const CODE_SECONDS: u64 = 7 * 24 * 3600;
/// Random bytes of a code.
const CODE_BYTES: usize = 16;
/// Names that applications, or their people, take for more than a person's.
const RESERVED: [&str; 24] = [
    "admin",
    "administrator",
    "anonymous",
    "api",
    "capauth",
    "daemon",
    "everyone",
    "guest",
    "help",
    "hostmaster",
    "info",
    "mail",
    "moderator",
    "nobody",
    "operator",
    "owner",
    "postmaster",
    "root",
    "security",
    "service",
    "support",
    "system",
    "webmaster",
    "www",
];

/// An administrator at work: everything they do is written down in their name. See
/// [`LocalVerifier::administration`].
#[derive(Debug)]
pub struct Administration<'a> {
    verifier: &'a LocalVerifier,
    who: Actor,
    address: Option<IpAddr>,
}

impl LocalVerifier {
    /// Administers as somebody, from some address: what is done stands in the audit log so. Who may is not asked here.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use capauth_verifier::{Actor, LocalVerifier, memory};
    ///
    /// let verifier = LocalVerifier::builder("app.example.com").stores(memory::stores()?).build().await?;
    /// let code = verifier.administration(Actor::Administrator, None).make_code(&["staff".into()], None).await?;
    /// assert_eq!(code.groups, ["staff"]);
    /// # Ok(()) }
    /// ```
    pub fn administration(&self, who: Actor, address: Option<IpAddr>) -> Administration<'_> {
        Administration { verifier: self, who, address }
    }

    fn program(&self) -> Administration<'_> {
        self.administration(Actor::Administrator, None)
    }

    /// As [`Administration::approve`], by the program itself.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn approve(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        self.program().approve(fingerprint).await
    }

    /// As [`Administration::revoke`], by the program itself.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn revoke(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        self.program().revoke(fingerprint).await
    }

    /// As [`Administration::erase`], by the program itself.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn erase(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        self.program().erase(fingerprint).await
    }

    /// As [`Administration::set_groups`], by the program itself.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn set_groups(&self, fingerprint: &Fingerprint, groups: &[String]) -> Result<(), AuthError> {
        self.program().set_groups(fingerprint, groups).await
    }

    pub(super) async fn after_change(&self, found: bool) -> Result<(), AuthError> {
        self.known.changed();
        self.write_audit_file().await;
        if found { Ok(()) } else { Err(AuthError::new(AuthErrorKind::NotFound)) }
    }
}

impl<'a> Administration<'a> {
    pub(super) fn verifier(&self) -> &'a LocalVerifier {
        self.verifier
    }

    /// Who does it, once what was due before has been done.
    pub(super) async fn note(&self) -> Note {
        self.verifier.do_what_is_due().await;
        self.verifier.note(self.who, self.address)
    }

    /// Lets a pending identity sign in, or one that is suspended again.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn approve(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        let found = self.verifier.stores.keys.approve(fingerprint, &self.note().await).await?;
        self.verifier.after_change(found).await
    }

    /// Revokes a key for good: its tokens and sessions end, and it cannot enrol itself again. With a primary key ends
    /// everything that is linked to it.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn revoke(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        let found = self.verifier.stores.keys.revoke(fingerprint, &self.note().await).await?;
        self.verifier.after_change(found).await
    }

    /// Removes a linked key, or else the whole identity with all its keys: everything but what keeps a thief of an old
    /// key out.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn erase(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        let verifier = self.verifier;
        // A retired key counts as revoked: its thief may still have a certificate of the days before.
        let mut doomed = verifier.stores.keys.keys_beside(fingerprint).await?;
        let is_linked = |key: &EnrolledKey| matches!(key.role, KeyRole::Secondary(_));
        if doomed.iter().any(|key| key.fingerprint == *fingerprint && is_linked(key)) {
            doomed.retain(|key| key.fingerprint == *fingerprint);
        }
        // What cannot be read cannot be trusted.
        let keep_out = doomed
            .iter()
            .any(|key| SigningKeys::decode(&key.signing_keys).map_or(true, |keys| keys.has_revoked_keys()));
        let tombstone = |fingerprint: &Fingerprint| verifier.tombstone(fingerprint);
        let found = verifier.stores.keys.erase(fingerprint, &tombstone, keep_out, &self.note().await).await?;
        verifier.after_change(found).await
    }

    /// Replaces the groups granted to a key's identity. Taking one away ends its tokens.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn set_groups(&self, fingerprint: &Fingerprint, groups: &[String]) -> Result<(), AuthError> {
        let found = self.verifier.stores.keys.set_groups(fingerprint, groups, &self.note().await).await?;
        self.verifier.after_change(found).await
    }

    /// As [`set_groups`](Self::set_groups), if they still are `known`, as they were read: so that what others decided
    /// meanwhile is not lost.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`]; [`AuthErrorKind::Conflict`] if they are others by now; or the store is gone.
    pub async fn replace_groups(
        &self,
        fingerprint: &Fingerprint,
        known: &[String],
        groups: &[String],
    ) -> Result<(), AuthError> {
        let keys = &self.verifier.stores.keys;
        let changed = keys.replace_groups(fingerprint, known, groups, &self.note().await).await?;
        if changed == Changed::Conflict {
            return Err(AuthError::new(AuthErrorKind::Conflict));
        }
        self.verifier.after_change(changed != Changed::NotFound).await
    }

    /// Gives a key's identity the name that applications key its account on, or takes it away. A name is given to one
    /// identity, ever.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`]; [`AuthErrorKind::Conflict`] for a name that was given to another;
    /// [`AuthErrorKind::InvalidRequest`] for one that nobody may have.
    pub async fn set_user_name(
        &self,
        fingerprint: &Fingerprint,
        name: Option<&str>,
    ) -> Result<(), AuthError> {
        let verifier = self.verifier;
        if name.is_some_and(|name| !is_user_name(name)) {
            return Err(AuthError::with_words(
                AuthErrorKind::InvalidRequest,
                "A name has 1 to 40 small letters, digits and characters of . _ - and begins with a letter or digit.",
            ));
        }
        if name.is_some_and(|name| RESERVED.contains(&name) || name.starts_with("capauth-")) {
            return Err(AuthError::with_words(
                AuthErrorKind::InvalidRequest,
                "This name is reserved: applications could take its holder for somebody else.",
            ));
        }
        let hashed = |name| (name, verifier.stores.master_key.keyed_hash("user name", str::as_bytes(name)));
        let note = self.note().await;
        let changed = verifier.stores.keys.set_user_name(fingerprint, name.map(hashed), &note).await?;
        verifier.after_change_of(changed).await.map(drop).map_err(|error| match error.kind() {
            AuthErrorKind::Conflict => AuthError::with_words(
                AuthErrorKind::Conflict,
                "This name is, or was, another identity's. Names are not given twice.",
            ),
            _ => error,
        })
    }

    /// Ends every token and session of a key's identity.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], or the store is gone.
    pub async fn end_all(&self, fingerprint: &Fingerprint) -> Result<(), AuthError> {
        let found = self.verifier.stores.keys.end_all(fingerprint, &self.note().await).await?;
        self.verifier.after_change(found).await
    }

    /// Cancels a rotation that waits.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`] when none does, or the store is gone.
    pub async fn cancel_rotation(&self, old: &Fingerprint) -> Result<(), AuthError> {
        let cancelled = self.verifier.stores.keys.cancel_rotation(old, &self.note().await).await?;
        self.verifier.write_audit_file().await;
        if cancelled { Ok(()) } else { Err(nothing_waits()) }
    }

    /// Undoes a link.
    ///
    /// # Errors
    /// [`AuthErrorKind::NotFound`], [`AuthErrorKind::Conflict`] when the keys are not linked, or the store is gone.
    pub async fn unlink(&self, primary: Fingerprint, secondary: Fingerprint) -> Result<Linked, AuthError> {
        let unlink = Unlink { primary, secondary };
        let changed = self.verifier.stores.keys.unlink(&unlink, &self.note().await).await?;
        Ok(Linked { linked: false, sub: self.verifier.after_change_of(changed).await? })
    }

    /// Makes a one-time code that lets one new key in, with these groups. It is shown once: what is kept is its hash.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn make_code(
        &self,
        groups: &[String],
        expires_in: Option<u64>,
    ) -> Result<EnrollmentCode, AuthError> {
        let mut random = [0; CODE_BYTES];
        getrandom::fill(&mut random).map_err(|_| AuthError::new(AuthErrorKind::Internal))?;
        let code = hex::encode(random);
        let seconds = expires_in.unwrap_or(CODE_SECONDS).min(limits::MAX_CODE_SECONDS);
        let expires = self.verifier.now().plus(seconds);
        let new = NewCode { hash: code_hash(&code), groups: groups.to_vec(), expires };
        self.verifier.stores.keys.add_code(&new, &self.note().await).await?;
        self.verifier.write_audit_file().await;
        Ok(EnrollmentCode { enrollment_code: code, expires_at: expires.to_string(), groups: groups.to_vec() })
    }

    /// Lets a key in by its certificate, without its holder. It can sign in at once.
    ///
    /// # Errors
    /// [`AuthErrorKind::InvalidPublicKey`]; [`AuthErrorKind::Conflict`] when the key is known or barred.
    pub async fn enroll(&self, public_key: &str) -> Result<Fingerprint, AuthError> {
        let (verifier, now) = (self.verifier, self.verifier.clock.now());
        let digest = Sha256::digest(public_key.as_bytes()).into();
        let certificate = SubmittedCertificate::parse(public_key)?;
        verifier.refuse_server_keys(certificate.fingerprints())?;
        let fingerprint = certificate.fingerprint();
        let facts = verifier.judge(certificate, &verifier.judging, now).await?;
        if facts.usable(now).is_err() {
            return Err(AuthError::with_words(
                AuthErrorKind::InvalidPublicKey,
                "No key of this certificate can sign now: it is expired, revoked, or for something else.",
            ));
        }
        let new = verifier.new_key(&fingerprint, &facts, digest, Admission::Approved)?;
        let enrolled = verifier.stores.keys.enroll(&new, &self.note().await).await?;
        verifier.after_change(true).await?;
        match enrolled {
            Enrollment::Enrolled(_) => Ok(fingerprint),
            _ => Err(AuthError::new(AuthErrorKind::Conflict)),
        }
    }

    /// Ends a token, and every session made of it, by its `jti`, and writes down that an administrator did.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn revoke_token(&self, jti: &str, expires: Option<Timestamp>) -> Result<(), AuthError> {
        self.verifier.revoke_token(jti, expires).await?;
        self.verifier.stores.keys.write_audit(AuditEvent::TokenEnded, None, &self.note().await).await?;
        self.verifier.write_audit_file().await;
        Ok(())
    }

    /// The audit log after a cursor, 0 for all.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn audit(&self, after: u64, limit: u32) -> Result<AuditLog, AuthError> {
        self.verifier.do_what_is_due().await;
        let page = self.verifier.stores.keys.audit(after, limit).await?;
        Ok(log(page))
    }

    /// The audit log from its end, or from before a cursor, the newest first.
    ///
    /// # Errors
    /// The store is gone.
    pub async fn audit_newest_first(&self, before: Option<u64>, limit: u32) -> Result<AuditLog, AuthError> {
        self.verifier.do_what_is_due().await;
        let page = self.verifier.stores.keys.audit_back(before.unwrap_or(0), limit).await?;
        Ok(log(page))
    }
}

fn log(page: AuditPage) -> AuditLog {
    AuditLog { entries: page.entries.into_iter().map(line).collect(), cursor: page.cursor }
}

fn line(entry: AuditEntry) -> AuditLine {
    let name = |name| match name {
        AuditName::Administrator => "administrator".to_owned(),
        AuditName::Shell => "shell".to_owned(),
        AuditName::Server => "server".to_owned(),
        AuditName::Identity { sub: Some(sub), .. } => sub.to_string(),
        AuditName::Identity { name, sub: None } => format!("gone:{name}"),
    };
    AuditLine {
        at: entry.at.to_string(),
        who: name(entry.who),
        what: entry.what,
        subject: entry.subject.map(name),
        network: entry.network,
    }
}
