//! Stores whose failures are counted, each under its name.

use std::sync::Arc;

use async_trait::async_trait;
use capauth_protocol::{Fingerprint, Nonce};
use metrics::{Counter, counter, describe_counter};

use super::{
    Advance, AuditEvent, AuditPage, Challenge, ChallengeStore, Changed, EnrolledKey, Enrollment, HashOf,
    Installation, KeyFacts, KeyPurpose, KeyQuery, KeyStore, Link, NewCode, NewFamily, NewKey, Note, QrLogin,
    QrRow, QrState, QrStore, RevocationPage, Rotation, SessionEntry, SessionStore, StoreResult,
    StoredTokenKey, Stores, TokenStore, Unlink,
};
use crate::clock::Timestamp;

/// A store, and how often it failed.
struct Counted<S: ?Sized> {
    store: Arc<S>,
    errors: Counter,
}

impl<S: ?Sized> Counted<S> {
    fn new(store: Arc<S>, name: &'static str) -> Arc<Self> {
        Arc::new(Self { store, errors: counter!("capauth_store_errors_total", "store" => name) })
    }

    fn note<T>(&self, answer: StoreResult<T>) -> StoreResult<T> {
        if answer.is_err() {
            self.errors.increment(1);
        }
        answer
    }
}

/// The same stores, their failures counted.
pub(crate) fn counted(mut stores: Stores) -> Stores {
    describe_counter!("capauth_store_errors_total", "Questions that a store failed to answer, by store");
    stores.keys = Counted::new(stores.keys, "keys");
    stores.tokens = Counted::new(stores.tokens, "tokens");
    stores.sessions = Counted::new(stores.sessions, "sessions");
    stores.challenges = Counted::new(stores.challenges, "challenges");
    stores.qr = Counted::new(stores.qr, "qr");
    stores
}

/// Passes every method of a trait on. `at_once` are those that answer nothing.
macro_rules! pass_on {
    (
        $trait:ident
        $(at_once fn $note:ident($($noted:ident: $what:ty),*);)*
        $(async fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*
    ) => {
        #[async_trait]
        impl $trait for Counted<dyn $trait> {
            $(fn $note(&self, $($noted: $what),*) {
                self.store.$note($($noted),*);
            })*
            $(async fn $name(&self, $($argument: $type),*) -> StoreResult<$answer> {
                self.note(self.store.$name($($argument),*).await)
            })*
        }

        #[cfg(test)]
        impl Counted<dyn $trait> {
            const METHODS: &[&str] = &[$(stringify!($note),)* $(stringify!($name),)*];
        }
    };
}

pass_on! {
    KeyStore
    at_once fn note_login(fingerprint: &Fingerprint, at: Timestamp);
    async fn find(fingerprint: &Fingerprint) -> Option<EnrolledKey>;
    async fn keys_beside(fingerprint: &Fingerprint) -> Vec<EnrolledKey>;
    async fn enroll(key: &NewKey, note: &Note) -> Enrollment;
    async fn update(facts: &KeyFacts, note: &Note) -> bool;
    async fn approve(fingerprint: &Fingerprint, note: &Note) -> bool;
    async fn revoke(fingerprint: &Fingerprint, note: &Note) -> bool;
    async fn erase(fingerprint: &Fingerprint, tombstone: HashOf<'_>, keep_out: bool, note: &Note) -> bool;
    async fn set_groups(fingerprint: &Fingerprint, groups: &[String], note: &Note) -> bool;
    async fn replace_groups(
        fingerprint: &Fingerprint, known: &[String], groups: &[String], note: &Note
    ) -> Changed;
    async fn set_user_name(
        fingerprint: &Fingerprint, name: Option<(&str, [u8; 32])>, note: &Note
    ) -> Changed;
    async fn end_all(fingerprint: &Fingerprint, note: &Note) -> bool;
    async fn rotate(rotation: &Rotation, note: &Note) -> Changed;
    async fn cancel_rotation(old: &Fingerprint, note: &Note) -> bool;
    async fn link(link: &Link, note: &Note) -> Changed;
    async fn unlink(unlink: &Unlink, note: &Note) -> Changed;
    async fn confirm_email(
        fingerprint: &Fingerprint, hash: &[u8; 32], confirmed: bool, note: &Note
    ) -> Changed;
    async fn is_email_confirmed(sub: &Fingerprint, hash: &[u8; 32]) -> bool;
    async fn add_code(code: &NewCode, note: &Note) -> ();
    async fn has_code(hash: &[u8; 32], now: Timestamp) -> bool;
    async fn use_code(fingerprint: &Fingerprint, hash: &[u8; 32], note: &Note) -> bool;
    async fn do_what_is_due(pending_since: Timestamp, note: &Note) -> bool;
    async fn write_audit(event: AuditEvent, subject: Option<&Fingerprint>, note: &Note) -> ();
    async fn audit(after: u64, limit: u32) -> AuditPage;
    async fn audit_back(before: u64, limit: u32) -> AuditPage;
    async fn find_by_user_name(name: &str) -> Vec<EnrolledKey>;
    async fn list(query: &KeyQuery) -> Vec<EnrolledKey>;
    async fn count() -> u64;
    async fn flush() -> ();
    async fn check_health() -> ();
}

pass_on! {
    TokenStore
    async fn installation() -> Installation;
    async fn set_master_key_check(check: &[u8]) -> Vec<u8>;
    async fn remember_server_keys(fingerprints: &[Fingerprint]) -> Vec<Fingerprint>;
    async fn token_keys(purpose: KeyPurpose) -> Vec<StoredTokenKey>;
    async fn add_token_key(
        purpose: KeyPurpose, newest: Option<&str>, key: &StoredTokenKey
    ) -> Vec<StoredTokenKey>;
    async fn remove_token_key(purpose: KeyPurpose, kid: &str) -> ();
    async fn revoke_token(jti_hash: &[u8; 32], expires: Timestamp) -> ();
    async fn is_token_revoked(jti_hash: &[u8; 32]) -> bool;
    async fn revocations(after: u64, limit: u32) -> RevocationPage;
    async fn forget_expired(now: Timestamp) -> ();
}

pass_on! {
    SessionStore
    at_once fn note_session(session: &SessionEntry);
    at_once fn note_seen(jti_hash: &[u8; 32], at: Timestamp);
    async fn sessions(
        sub: &Fingerprint, generation: u64, now: Timestamp, limit: u32
    ) -> Vec<SessionEntry>;
    async fn last_seen(jti_hash: &[u8; 32]) -> Option<Timestamp>;
    async fn forget_session(jti_hash: &[u8; 32]) -> ();
    async fn add_family(family: &NewFamily) -> ();
    async fn advance_family(jti_hash: &[u8; 32], generation: u64, now: Timestamp) -> Advance;
    async fn forget_old_sessions(now: Timestamp) -> ();
}

pass_on! {
    ChallengeStore
    async fn put(challenge: Challenge, now: Timestamp) -> ();
    async fn get(nonce: &Nonce) -> Option<Challenge>;
    async fn take(nonce: &Nonce) -> Option<Challenge>;
}

pass_on! {
    QrStore
    async fn put(login: QrLogin, now: Timestamp) -> ();
    async fn get(nonce: &Nonce) -> Option<QrRow>;
    async fn replace(nonce: &Nonce, version: u64, state: QrState) -> bool;
    async fn changed(nonce: &Nonce, version: u64) -> ();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A method with a body of its own in the trait would compile without being passed on, and ask the wrong store.
    #[test]
    fn every_method_of_every_store_is_passed_on() {
        let methods = |source: &str| -> BTreeSet<String> {
            let (_, body) = source.split_once("Store: Send + Sync + 'static {").unwrap();
            let (body, _) = body.split_once("\n}\n").unwrap();
            let named = |line: &str| Some(line.split_once("fn ")?.1.split_once('(')?.0.to_owned());
            body.lines().filter(|line| !line.trim_start().starts_with("//")).filter_map(named).collect()
        };
        for (source, passed_on) in [
            (include_str!("keys.rs"), Counted::<dyn KeyStore>::METHODS),
            (include_str!("tokens.rs"), Counted::<dyn TokenStore>::METHODS),
            (include_str!("sessions.rs"), Counted::<dyn SessionStore>::METHODS),
            (include_str!("challenges.rs"), Counted::<dyn ChallengeStore>::METHODS),
            (include_str!("qr.rs"), Counted::<dyn QrStore>::METHODS),
        ] {
            assert_eq!(methods(source), passed_on.iter().map(|&name| name.to_owned()).collect());
        }
    }
}
