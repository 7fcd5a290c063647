use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use capauth_protocol::Fingerprint;

use super::lock;
use super::state::{Person, Role, Row, State};
use super::tokens::Feed;
use crate::clock::Timestamp;
use crate::stores::{
    Admission, AuditEvent, AuditPage, Changed, EnrolledKey, Enrollment, HashOf, KeyFacts, KeyQuery, KeyStore,
    Link, NewCode, NewKey, Note, Places, ROTATION_DOUBT, Revocation, RevokedBy, Rotation, StoreError,
    StoreResult, Unlink,
};

/// How many keys fit. Enough for tests and trials; a durable store has no such bound.
const CAPACITY: usize = 100_000;

/// Identities and keys in memory.
#[derive(Default)]
pub struct MemoryKeyStore {
    state: Mutex<State>,
    feed: Arc<Feed>,
}

impl MemoryKeyStore {
    pub(super) fn new(feed: Arc<Feed>) -> Self {
        Self { state: Mutex::default(), feed }
    }

    /// Changes something, and tells the feed what ended by it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let answer = change(&mut state);
        for news in state.news.drain(..) {
            self.feed.push(news);
        }
        answer
    }

    /// Changes a key's identity, and writes that down. `false`: no such key.
    fn change_identity(
        &self,
        fingerprint: &Fingerprint,
        event: AuditEvent,
        note: &Note,
        change: impl FnOnce(&mut State, Row),
    ) -> bool {
        self.change(|state| {
            let Some(identity) = state.kept(fingerprint).map(|key| key.identity) else { return false };
            state.write(event, Some(identity), note);
            change(state, identity);
            true
        })
    }
}

impl fmt::Debug for MemoryKeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryKeyStore").finish_non_exhaustive()
    }
}

/// Whether one more key may wait; makes room where all places are taken.
fn make_room(state: &mut State, share: &[u8; 32], places: Places) -> bool {
    let waiting: Vec<(Row, [u8; 32])> = state
        .identities
        .iter()
        .filter_map(|(row, person)| person.pending.map(|(share, _)| (*row, share)))
        .collect();
    let held = |share: &[u8; 32]| waiting.iter().filter(|(_, other)| other == share).count();
    if held(share) >= places.per_share as usize {
        return false;
    }
    if waiting.len() >= places.in_all as usize {
        let fullest = waiting.iter().max_by_key(|(row, share)| (held(share), std::cmp::Reverse(*row)));
        if let Some((oldest, _)) = fullest {
            state.drop_pending(*oldest);
        }
    }
    true
}

fn enroll(state: &mut State, new: &NewKey, note: &Note) -> StoreResult<Enrollment> {
    if let Some(key) = state.find(&new.fingerprint) {
        return Ok(Enrollment::AlreadyThere(key));
    }
    if state.is_taken(new) {
        return Ok(Enrollment::Tombstone);
    }
    if state.keys.len() >= CAPACITY {
        return Err(StoreError::new("memory is full; use a durable store"));
    }
    let (mut groups, mut pending) = (Vec::new(), None);
    match &new.admission {
        Admission::Approved => {}
        Admission::Pending { share, places } => {
            if !make_room(state, share, *places) {
                return Ok(Enrollment::TooMany);
            }
            pending = Some((*share, note.at));
        }
        Admission::Code(hash) => match state.codes.remove(hash) {
            Some(code) if code.expires > note.at => groups = code.groups,
            _ => return Ok(Enrollment::BadCode),
        },
    }
    let identity = state.add_identity(new.fingerprint, pending.is_none());
    if let Some(person) = state.identities.get_mut(&identity) {
        groups.sort();
        groups.dedup();
        (person.groups, person.pending) = (groups, pending);
    }
    state.add_key(identity, new, note.at);
    // Who waits is in the queue: strangers do not write the log.
    if pending.is_none() {
        state.write(AuditEvent::Enrolled, Some(identity), note);
    }
    state.find(&new.fingerprint).map(Enrollment::Enrolled).ok_or(StoreError::new("enrolling a key"))
}

fn update(state: &mut State, facts: &KeyFacts, note: &Note) -> bool {
    let revision = state.next_revision();
    let Some(key) = state.kept_mut(&facts.fingerprint) else { return false };
    if key.revision != facts.revision {
        return false;
    }
    key.revision = revision;
    key.signing_keys.clone_from(&facts.signing_keys);
    key.certificate_digest = facts.certificate_digest;
    let revoked = facts.revoked_at.filter(|_| key.revoked.is_none());
    let is_news = key.revoked.is_none_or(|(_, by)| by != RevokedBy::Owner);
    if let Some(at) = revoked {
        key.revoked = Some((at, RevokedBy::Owner));
    }
    let (identity, role) = (key.identity, key.role);
    if revoked.is_some() {
        state.write(AuditEvent::RevokedItself, Some(identity), note);
        state.news.push(Revocation::Key { fingerprint: facts.fingerprint });
        state.waits_no_longer(identity);
    }
    let ends = facts.revoked_at.is_some();
    match role {
        Role::Archived(at) if ends && is_news && note.at.since(at) <= ROTATION_DOUBT => {
            state.suspend(identity, note);
        }
        Role::Secondary { .. } if facts.ends_tokens && !ends => state.raise_generation(identity),
        Role::Primary if facts.ends_tokens || ends => {
            state.cancel_for(identity, note);
            state.raise_generation(identity);
        }
        Role::Archived(_) | Role::Secondary { .. } | Role::Primary => {}
    }
    true
}

fn set_groups(state: &mut State, identity: Row, groups: &[String]) {
    let Some(person) = state.identities.get_mut(&identity) else { return };
    let fewer = person.groups.iter().any(|group| !groups.contains(group));
    person.groups = groups.to_vec();
    person.groups.sort();
    if fewer {
        state.raise_generation(identity);
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn find(&self, fingerprint: &Fingerprint) -> StoreResult<Option<EnrolledKey>> {
        Ok(lock(&self.state).find(fingerprint))
    }

    async fn keys_beside(&self, fingerprint: &Fingerprint) -> StoreResult<Vec<EnrolledKey>> {
        let state = lock(&self.state);
        let Some(identity) = state.kept(fingerprint).map(|key| key.identity) else { return Ok(Vec::new()) };
        Ok(state.of_identity(identity).filter_map(|key| state.seen(key)).collect())
    }

    async fn enroll(&self, new: &NewKey, note: &Note) -> StoreResult<Enrollment> {
        self.change(|state| enroll(state, new, note))
    }

    async fn update(&self, facts: &KeyFacts, note: &Note) -> StoreResult<bool> {
        Ok(self.change(|state| update(state, facts, note)))
    }

    fn note_login(&self, fingerprint: &Fingerprint, at: Timestamp) {
        if let Some(key) = lock(&self.state).kept_mut(fingerprint) {
            key.last_auth = key.last_auth.max(Some(at));
        }
    }

    async fn approve(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(self.change_identity(fingerprint, AuditEvent::Approved, note, |state, identity| {
            let former = state.kept(fingerprint).and_then(|key| match key.role {
                Role::Secondary { former } => Some(former),
                Role::Primary | Role::Archived(_) => None,
            });
            if let Some(former) = former.and_then(|former| state.identities.get_mut(&former)) {
                former.suspended = false;
            }
            if let Some(person) = state.identities.get_mut(&identity) {
                (person.approved, person.suspended, person.pending) = (true, false, None);
            }
        }))
    }

    async fn revoke(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(self.change_identity(fingerprint, AuditEvent::Revoked, note, |state, identity| {
            let Some(key) = state.kept_mut(fingerprint) else { return };
            let before = key.revoked.replace((note.at, RevokedBy::Administrator));
            if let (Some((since, _)), Some(revoked)) = (before, &mut key.revoked) {
                revoked.0 = since;
            }
            let is_primary = matches!(key.role, Role::Primary);
            state.waits_no_longer(identity);
            if before.is_none() {
                state.news.push(Revocation::Key { fingerprint: *fingerprint });
            }
            if is_primary {
                state.cancel_for(identity, note);
                state.raise_generation(identity);
            }
        }))
    }

    async fn erase(
        &self,
        fingerprint: &Fingerprint,
        tombstone: HashOf<'_>,
        keep_out: bool,
        note: &Note,
    ) -> StoreResult<bool> {
        Ok(self.change(|state| state.erase(fingerprint, tombstone, keep_out, note)))
    }

    async fn set_groups(
        &self,
        fingerprint: &Fingerprint,
        groups: &[String],
        note: &Note,
    ) -> StoreResult<bool> {
        Ok(self.change_identity(fingerprint, AuditEvent::Groups, note, |state, identity| {
            set_groups(state, identity, groups);
        }))
    }

    async fn replace_groups(
        &self,
        fingerprint: &Fingerprint,
        known: &[String],
        groups: &[String],
        note: &Note,
    ) -> StoreResult<Changed> {
        Ok(self.change(|state| {
            let Some(identity) = state.kept(fingerprint).map(|key| key.identity) else {
                return Changed::NotFound;
            };
            let Some(person) = state.identities.get(&identity) else { return Changed::NotFound };
            let sub = person.sub;
            if person.groups != known {
                return Changed::Conflict;
            }
            state.write(AuditEvent::Groups, Some(identity), note);
            set_groups(state, identity, groups);
            Changed::Done(sub)
        }))
    }

    async fn set_user_name(
        &self,
        fingerprint: &Fingerprint,
        name: Option<(&str, [u8; 32])>,
        note: &Note,
    ) -> StoreResult<Changed> {
        Ok(self.change(|state| {
            let Some(identity) = state.kept(fingerprint).map(|key| key.identity) else {
                return Changed::NotFound;
            };
            if let Some((_, hash)) = &name
                && *state.user_names.entry(*hash).or_insert(Some(identity)) != Some(identity)
            {
                return Changed::Conflict;
            }
            state.write(AuditEvent::UserName, Some(identity), note);
            let Some(person) = state.identities.get_mut(&identity) else { return Changed::NotFound };
            person.user_name = name.map(|(name, _)| name.to_owned());
            Changed::Done(person.sub)
        }))
    }

    async fn end_all(&self, fingerprint: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(self.change_identity(fingerprint, AuditEvent::EndedAll, note, State::raise_generation))
    }

    async fn rotate(&self, rotation: &Rotation, note: &Note) -> StoreResult<Changed> {
        Ok(self.change(|state| state.rotate(rotation, note)))
    }

    async fn cancel_rotation(&self, old: &Fingerprint, note: &Note) -> StoreResult<bool> {
        Ok(self.change(|state| state.cancel(old, note)))
    }

    async fn link(&self, link: &Link, note: &Note) -> StoreResult<Changed> {
        Ok(self.change(|state| state.link(link, note)))
    }

    async fn unlink(&self, unlink: &Unlink, note: &Note) -> StoreResult<Changed> {
        Ok(self.change(|state| state.unlink(unlink, note)))
    }

    async fn confirm_email(
        &self,
        fingerprint: &Fingerprint,
        hash: &[u8; 32],
        confirmed: bool,
        note: &Note,
    ) -> StoreResult<Changed> {
        let event = if confirmed { AuditEvent::EmailConfirmed } else { AuditEvent::EmailWithdrawn };
        Ok(self.change(|state| {
            let Some(identity) = state.kept(fingerprint).map(|key| key.identity) else {
                return Changed::NotFound;
            };
            let has = |(row, person): (&Row, &Person)| *row != identity && person.emails.contains(hash);
            if confirmed && state.identities.iter().any(has) {
                return Changed::Conflict;
            }
            state.write(event, Some(identity), note);
            let Some(person) = state.identities.get_mut(&identity) else { return Changed::NotFound };
            if confirmed {
                person.emails.insert(*hash)
            } else {
                person.emails.remove(hash)
            };
            Changed::Done(person.sub)
        }))
    }

    async fn has_code(&self, hash: &[u8; 32], now: Timestamp) -> StoreResult<bool> {
        Ok(lock(&self.state).codes.get(hash).is_some_and(|code| code.expires > now))
    }

    async fn use_code(&self, fingerprint: &Fingerprint, hash: &[u8; 32], note: &Note) -> StoreResult<bool> {
        Ok(self.change(|state| {
            let Some(identity) = state.kept(fingerprint).map(|key| key.identity) else { return false };
            let is_waiting = state.identities.get(&identity).is_some_and(|person| person.pending.is_some());
            let code = if is_waiting { state.codes.remove(hash) } else { None };
            let Some(code) = code.filter(|code| code.expires > note.at) else { return false };
            if let Some(person) = state.identities.get_mut(&identity) {
                person.groups.extend(code.groups);
                person.groups.sort();
                person.groups.dedup();
                (person.approved, person.pending) = (true, None);
            }
            state.write(AuditEvent::Approved, Some(identity), note);
            true
        }))
    }

    async fn is_email_confirmed(&self, sub: &Fingerprint, hash: &[u8; 32]) -> StoreResult<bool> {
        let state = lock(&self.state);
        Ok(state.identities.values().any(|person| person.sub == *sub && person.emails.contains(hash)))
    }

    async fn add_code(&self, code: &NewCode, note: &Note) -> StoreResult<()> {
        self.change(|state| {
            state.codes.insert(code.hash, code.clone());
            state.write(AuditEvent::CodeMade, None, note);
        });
        Ok(())
    }

    async fn do_what_is_due(&self, pending_since: Timestamp, note: &Note) -> StoreResult<bool> {
        Ok(self.change(|state| state.do_what_is_due(pending_since, note)))
    }

    async fn write_audit(
        &self,
        event: AuditEvent,
        subject: Option<&Fingerprint>,
        note: &Note,
    ) -> StoreResult<()> {
        self.change(|state| {
            let identity = subject.and_then(|key| state.kept(key)).map(|key| key.identity);
            state.write(event, identity, note);
        });
        Ok(())
    }

    async fn audit(&self, after: u64, limit: u32) -> StoreResult<AuditPage> {
        Ok(lock(&self.state).audit_page(after, limit))
    }

    async fn audit_back(&self, before: u64, limit: u32) -> StoreResult<AuditPage> {
        Ok(lock(&self.state).audit_page_back(before, limit))
    }

    async fn find_by_user_name(&self, name: &str) -> StoreResult<Vec<EnrolledKey>> {
        let state = lock(&self.state);
        let named = |key: &EnrolledKey| key.identity.user_name.as_deref() == Some(name);
        Ok(state.keys.values().filter_map(|key| state.seen(key)).filter(named).collect())
    }

    async fn list(&self, query: &KeyQuery) -> StoreResult<Vec<EnrolledKey>> {
        let after = query.after.map(|f| f.to_string()).unwrap_or_default();
        let state = lock(&self.state);
        let later = state
            .keys
            .range::<str, _>((std::ops::Bound::Excluded(after.as_str()), std::ops::Bound::Unbounded));
        let wanted = later
            .filter_map(|(_, key)| state.seen(key))
            .filter(|key| !query.approved_only || key.identity.approved)
            .filter(|key| !query.pending_only || !key.identity.approved)
            .filter(|key| query.prefix.matches(&key.fingerprint));
        Ok(wanted.take(query.limit as usize).collect())
    }

    async fn count(&self) -> StoreResult<u64> {
        let state = lock(&self.state);
        Ok(state.keys.values().filter(|key| !matches!(key.role, Role::Archived(_))).count() as u64)
    }

    async fn flush(&self) -> StoreResult<()> {
        Ok(())
    }

    async fn check_health(&self) -> StoreResult<()> {
        Ok(())
    }
}
