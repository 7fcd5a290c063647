//! Rotation, linking, erasing, and what comes due: as the durable stores do it.

use capauth_protocol::Fingerprint;

use super::state::{Role, Row, State};
use crate::clock::Timestamp;
use crate::stores::{
    AuditEvent, Changed, HashOf, KeyRole, Link, MAX_LINKED, NewKey, Note, Revocation, Rotation, Unlink,
};

impl State {
    fn identity_of(&self, fingerprint: &Fingerprint) -> Option<Row> {
        self.kept(fingerprint).map(|key| key.identity)
    }

    pub(super) fn rotate(&mut self, rotation: &Rotation, note: &Note) -> Changed {
        let (Some(old), Some(identity)) = (self.find(&rotation.old), self.identity_of(&rotation.old)) else {
            return Changed::NotFound;
        };
        let new = &rotation.new;
        let coming = self.waiting.remove(&identity);
        let is_taken = self.kept(&new.fingerprint).is_some() || self.is_taken(new);
        let is_waiting = coming.is_some();
        if let Some(coming) = coming {
            self.waiting.insert(identity, coming);
        }
        let is_current = old.revision == rotation.old_revision;
        if !is_current || !old.is_in_order() || is_taken || (is_waiting && rotation.due.is_some()) {
            return Changed::Conflict;
        }
        match rotation.due {
            None => {
                self.cancel_for(identity, note);
                self.replace(identity, new, note);
            }
            Some(due) => {
                self.waiting.insert(identity, (new.clone(), due));
                self.write(AuditEvent::RotationWaits, Some(identity), note);
            }
        }
        Changed::Done(old.identity.sub)
    }

    fn replace(&mut self, identity: Row, new: &NewKey, note: &Note) {
        for key in self.keys.values_mut().filter(|key| key.identity == identity) {
            if matches!(key.role, Role::Primary) {
                key.role = Role::Archived(note.at);
            }
        }
        self.add_key(identity, new, note.at);
        self.write(AuditEvent::Rotated, Some(identity), note);
        self.raise_generation(identity);
    }

    pub(super) fn cancel(&mut self, old: &Fingerprint, note: &Note) -> bool {
        let primary = self.kept(old).filter(|key| matches!(key.role, Role::Primary));
        let identity = primary.map(|key| key.identity);
        identity.is_some_and(|identity| self.cancel_for(identity, note))
    }

    pub(super) fn cancel_for(&mut self, identity: Row, note: &Note) -> bool {
        let cancelled = self.waiting.remove(&identity).is_some();
        if cancelled {
            self.write(AuditEvent::RotationCancelled, Some(identity), note);
        }
        cancelled
    }

    pub(super) fn link(&mut self, link: &Link, note: &Note) -> Changed {
        let (Some(primary), Some(identity)) = (self.find(&link.primary), self.identity_of(&link.primary))
        else {
            return Changed::NotFound;
        };
        let is_linked = |key: &&super::state::Kept| matches!(key.role, Role::Secondary { .. });
        if primary.revision != link.primary_revision
            || !primary.is_in_order()
            || self.of_identity(identity).filter(is_linked).count() >= MAX_LINKED as usize
        {
            return Changed::Conflict;
        }
        let former = match (self.find(&link.secondary), self.identity_of(&link.secondary), &link.new) {
            (Some(secondary), Some(former), _) => {
                let alone = !self.of_identity(former).any(|key| is_linked(&key));
                let is_current = link.secondary_revision == Some(secondary.revision);
                let free = is_current && alone && former != identity && !self.waiting.contains_key(&former);
                if !free || !secondary.is_in_order() {
                    return Changed::Conflict;
                }
                former
            }
            (_, _, None) => return Changed::NotFound,
            (_, _, Some(new)) => {
                if self.is_taken(new) {
                    return Changed::Conflict;
                }
                let former = self.add_identity(new.fingerprint, true);
                self.add_key(former, new, note.at);
                self.write(AuditEvent::Enrolled, Some(former), note);
                former
            }
        };
        if let Some(person) = self.identities.get_mut(&former) {
            person.groups.clear();
            person.emails.clear();
        }
        self.write(AuditEvent::Linked, Some(former), note);
        self.raise_generation(former);
        if let Some(key) = self.kept_mut(&link.secondary) {
            key.identity = identity;
            key.role = Role::Secondary { former };
        }
        Changed::Done(primary.identity.sub)
    }

    pub(super) fn unlink(&mut self, unlink: &Unlink, note: &Note) -> Changed {
        let Some(secondary) = self.find(&unlink.secondary) else { return Changed::NotFound };
        if secondary.role != KeyRole::Secondary(unlink.primary) {
            return Changed::Conflict;
        }
        let Some(key) = self.kept_mut(&unlink.secondary) else { return Changed::NotFound };
        let Role::Secondary { former } = key.role else { return Changed::Conflict };
        let identity = std::mem::replace(&mut key.identity, former);
        key.role = Role::Primary;
        self.raise_generation(identity);
        self.write(AuditEvent::Unlinked, Some(former), note);
        self.find(&unlink.secondary).map_or(Changed::NotFound, |key| Changed::Done(key.identity.sub))
    }

    pub(super) fn erase(
        &mut self,
        fingerprint: &Fingerprint,
        hash_of: HashOf<'_>,
        keep_out: bool,
        note: &Note,
    ) -> bool {
        let Some(key) = self.kept(fingerprint) else { return false };
        let identity = key.identity;
        let identities: Vec<Row> = if let Role::Secondary { former } = key.role {
            self.raise_generation(identity);
            vec![former]
        } else {
            let former = self.of_identity(identity).filter_map(|key| match key.role {
                Role::Secondary { former } => Some(former),
                Role::Primary | Role::Archived(_) => None,
            });
            std::iter::once(identity).chain(former).collect()
        };
        let goes = |key: &super::state::Kept| {
            identities.contains(&key.identity)
                || matches!(key.role, Role::Secondary { former } if identities.contains(&former))
        };
        let suspicious = self
            .keys
            .values()
            .filter(|key| goes(key))
            .any(|key| key.revoked.is_some() || matches!(key.role, Role::Archived(_)))
            || identities.iter().filter_map(|row| self.identities.get(row)).any(|person| person.suspended);
        let keys: Vec<Fingerprint> =
            self.keys.values().filter(|key| goes(key)).map(|key| key.fingerprint).collect();
        for identity in &identities {
            self.write(AuditEvent::Erased, Some(*identity), note);
            self.waiting.remove(identity);
        }
        self.keys.retain(|_, key| !keys.contains(&key.fingerprint));
        for key in keys.iter().filter(|_| keep_out || suspicious) {
            self.tombstones.insert(hash_of(key));
            // One that may enrol again must not be told to be gone for good.
            self.news.push(Revocation::Key { fingerprint: *key });
        }
        for identity in identities {
            let Some(person) = self.remove_identity(identity) else { continue };
            if !keys.contains(&person.sub) {
                self.reserved_subs.insert(hash_of(&person.sub));
            }
            for owner in self.user_names.values_mut().filter(|owner| **owner == Some(identity)) {
                *owner = None;
            }
            let generation = person.generation + 1;
            self.first_generation = self.first_generation.max(generation);
            self.news.push(Revocation::Generation { sub: person.sub, generation });
        }
        true
    }

    /// What was decided about waits no longer: a key that is revoked stays, and keeps itself out.
    pub(super) fn waits_no_longer(&mut self, identity: Row) {
        if let Some(person) = self.identities.get_mut(&identity) {
            person.pending = None;
        }
    }

    pub(super) fn suspend(&mut self, identity: Row, note: &Note) {
        self.cancel_for(identity, note);
        // A key of it may sign for another identity now.
        let joined: Vec<Row> = self
            .keys
            .values()
            .filter(|key| matches!(key.role, Role::Secondary { former } if former == identity))
            .map(|key| key.identity)
            .collect();
        for joined in joined {
            self.raise_generation(joined);
        }
        if let Some(person) = self.identities.get_mut(&identity) {
            person.suspended = true;
        }
        self.write(AuditEvent::Suspended, Some(identity), note);
        self.raise_generation(identity);
    }

    pub(super) fn do_what_is_due(&mut self, pending_since: Timestamp, note: &Note) -> bool {
        let due: Vec<Row> =
            self.waiting.iter().filter(|(_, (_, due))| *due <= note.at).map(|(row, _)| *row).collect();
        for identity in &due {
            let Some((new, _)) = self.waiting.remove(identity) else { continue };
            let old = self.of_identity(*identity).find(|key| matches!(key.role, Role::Primary));
            if old.and_then(|old| self.seen(old)).is_some_and(|old| old.is_in_order()) {
                self.replace(*identity, &new, note);
            } else {
                self.write(AuditEvent::RotationCancelled, Some(*identity), note);
            }
        }
        let waited = |since: Timestamp| since < pending_since;
        let pending: Vec<Row> = self
            .identities
            .iter()
            .filter(|(_, person)| person.pending.is_some_and(|(_, since)| waited(since)))
            .map(|(row, _)| *row)
            .collect();
        for identity in &pending {
            self.drop_pending(*identity);
        }
        self.codes.retain(|_, code| code.expires > note.at);
        !due.is_empty() || !pending.is_empty()
    }

    /// Removes an identity that never was let in, and its key.
    pub(super) fn drop_pending(&mut self, identity: Row) {
        // Should the key come again, it begins after whatever the feed told of it.
        let generation = self.identities.get(&identity).map_or(0, |person| person.generation + 1);
        self.first_generation = self.first_generation.max(generation);
        for owner in self.user_names.values_mut().filter(|owner| **owner == Some(identity)) {
            *owner = None;
        }
        self.keys.retain(|_, key| key.identity != identity);
        self.remove_identity(identity);
    }
}
