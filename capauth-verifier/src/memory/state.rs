//! What is in memory of identities and keys, and the steps that change it.

use std::collections::{BTreeMap, HashMap, HashSet};

use capauth_protocol::Fingerprint;

use crate::clock::Timestamp;
use crate::stores::{
    Actor, AuditEntry, AuditEvent, AuditName, AuditPage, EnrolledKey, Identity, KeyRole, NewCode, NewKey,
    Note, Revocation, RevokedBy,
};

/// How many lines of the audit log are kept. Durable stores keep all; this one is for tests and trials.
const AUDIT_LINES: usize = 100_000;

pub(super) type Row = u64;

#[derive(Default)]
pub(super) struct State {
    last: Row,
    pub(super) identities: HashMap<Row, Person>,
    subs: HashSet<Fingerprint>,
    /// By canonical text, which is the order of listing.
    pub(super) keys: BTreeMap<String, Kept>,
    pub(super) tombstones: HashSet<[u8; 32]>,
    pub(super) reserved_subs: HashSet<[u8; 32]>,
    /// With which generation a new identity begins: tokens of an erased one stay worthless if its key comes again.
    pub(super) first_generation: u64,
    pub(super) codes: HashMap<[u8; 32], NewCode>,
    pub(super) waiting: HashMap<Row, (NewKey, Timestamp)>,
    pub(super) user_names: HashMap<[u8; 32], Option<Row>>,
    audit: Vec<Line>,
    /// What the feed has to be told.
    pub(super) news: Vec<Revocation>,
}

pub(super) struct Person {
    pub(super) sub: Fingerprint,
    pub(super) user_name: Option<String>,
    pub(super) approved: bool,
    pub(super) suspended: bool,
    pub(super) generation: u64,
    pub(super) groups: Vec<String>,
    pub(super) emails: HashSet<[u8; 32]>,
    /// Whose share of the queue it takes, and since when, while it waits.
    pub(super) pending: Option<([u8; 32], Timestamp)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Primary,
    Secondary { former: Row },
    Archived(Timestamp),
}

pub(super) struct Kept {
    pub(super) identity: Row,
    pub(super) role: Role,
    pub(super) fingerprint: Fingerprint,
    pub(super) signing_keys: Vec<u8>,
    pub(super) certificate_digest: [u8; 32],
    pub(super) revision: u64,
    enrolled_at: Timestamp,
    pub(super) last_auth: Option<Timestamp>,
    pub(super) revoked: Option<(Timestamp, RevokedBy)>,
}

/// A line of the audit log: identities by their row, which is never given twice here.
struct Line {
    at: Timestamp,
    who: Actor,
    by: Option<Row>,
    what: AuditEvent,
    subject: Option<Row>,
    network: Option<String>,
}

impl State {
    pub(super) fn kept(&self, fingerprint: &Fingerprint) -> Option<&Kept> {
        self.keys.get(&fingerprint.to_string())
    }

    pub(super) fn kept_mut(&mut self, fingerprint: &Fingerprint) -> Option<&mut Kept> {
        self.keys.get_mut(&fingerprint.to_string())
    }

    pub(super) fn of_identity(&self, identity: Row) -> impl Iterator<Item = &Kept> {
        self.keys.values().filter(move |key| key.identity == identity)
    }

    fn primary(&self, identity: Row) -> Option<&Kept> {
        self.of_identity(identity).find(|key| matches!(key.role, Role::Primary))
    }

    /// The key as the store's callers see it.
    pub(super) fn find(&self, fingerprint: &Fingerprint) -> Option<EnrolledKey> {
        self.kept(fingerprint).and_then(|key| self.seen(key))
    }

    pub(super) fn seen(&self, key: &Kept) -> Option<EnrolledKey> {
        let person = self.identities.get(&key.identity)?;
        // Mostly the key itself; looking for another one costs a walk.
        let primary = match key.role {
            Role::Primary => Some(key),
            Role::Secondary { .. } | Role::Archived(_) => self.primary(key.identity),
        };
        let former = match key.role {
            Role::Secondary { former } => self.identities.get(&former),
            Role::Primary | Role::Archived(_) => None,
        };
        Some(EnrolledKey {
            fingerprint: key.fingerprint,
            identity: Identity {
                sub: person.sub,
                user_name: person.user_name.clone(),
                approved: person.approved,
                suspended: person.suspended || former.is_some_and(|former| former.suspended),
                ended: primary.is_some_and(|primary| primary.revoked.is_some()),
                generation: person.generation,
                groups: person.groups.clone(),
            },
            role: match key.role {
                Role::Primary => KeyRole::Primary,
                Role::Secondary { .. } => KeyRole::Secondary(primary?.fingerprint),
                Role::Archived(at) => KeyRole::Archived(at),
            },
            signing_keys: key.signing_keys.clone(),
            certificate_digest: key.certificate_digest,
            revision: key.revision,
            enrolled_at: key.enrolled_at,
            last_auth: key.last_auth,
            revoked: key.revoked,
            waiting: matches!(key.role, Role::Primary)
                .then(|| self.waiting.get(&key.identity).map(|(new, due)| (new.fingerprint, *due)))
                .flatten(),
        })
    }

    /// Whether a fingerprint may not enrol: it is known, was, is some identity's sub, or is about to replace another.
    pub(super) fn is_taken(&self, new: &NewKey) -> bool {
        self.tombstones.contains(&new.tombstone)
            || self.reserved_subs.contains(&new.tombstone)
            || self.subs.contains(&new.fingerprint)
            || self.waiting.values().any(|(waiting, _)| waiting.fingerprint == new.fingerprint)
    }

    pub(super) fn add_identity(&mut self, sub: Fingerprint, approved: bool) -> Row {
        self.last += 1;
        let person = Person {
            sub,
            user_name: None,
            approved,
            suspended: false,
            generation: self.first_generation,
            groups: Vec::new(),
            emails: HashSet::new(),
            pending: None,
        };
        self.subs.insert(sub);
        self.identities.insert(self.last, person);
        self.last
    }

    pub(super) fn remove_identity(&mut self, identity: Row) -> Option<Person> {
        let person = self.identities.remove(&identity)?;
        self.subs.remove(&person.sub);
        Some(person)
    }

    pub(super) fn add_key(&mut self, identity: Row, new: &NewKey, at: Timestamp) {
        self.last += 1;
        let key = Kept {
            identity,
            role: Role::Primary,
            fingerprint: new.fingerprint,
            signing_keys: new.signing_keys.clone(),
            certificate_digest: new.certificate_digest,
            revision: self.last,
            enrolled_at: at,
            last_auth: None,
            revoked: None,
        };
        self.keys.insert(new.fingerprint.to_string(), key);
    }

    pub(super) fn raise_generation(&mut self, identity: Row) {
        if let Some(person) = self.identities.get_mut(&identity) {
            person.generation += 1;
            self.news.push(Revocation::Generation { sub: person.sub, generation: person.generation });
        }
    }

    pub(super) fn next_revision(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn write(&mut self, what: AuditEvent, subject: Option<Row>, note: &Note) {
        let by = match &note.who {
            Actor::Key(key) => self.kept(key).map(|key| key.identity),
            Actor::Administrator | Actor::Shell | Actor::Server => None,
        };
        if self.audit.len() < AUDIT_LINES {
            let network = note.network.clone();
            self.audit.push(Line { at: note.at, who: note.who, by, what, subject, network });
        }
    }

    pub(super) fn audit_page(&self, after: u64, limit: u32) -> AuditPage {
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let lines = self.audit.iter().enumerate().skip(skip).take(limit as usize);
        let entries: Vec<_> = lines.map(|(place, line)| self.audit_entry(place, line)).collect();
        AuditPage { cursor: entries.last().map_or(after, |entry| entry.id), entries }
    }

    pub(super) fn audit_page_back(&self, before: u64, limit: u32) -> AuditPage {
        let earlier = match before {
            0 => usize::MAX,
            before => usize::try_from(before - 1).unwrap_or(usize::MAX),
        };
        let lines = self.audit.iter().enumerate().take(earlier).rev().take(limit as usize);
        let entries: Vec<_> = lines.map(|(place, line)| self.audit_entry(place, line)).collect();
        AuditPage { cursor: entries.last().map_or(before, |entry| entry.id), entries }
    }

    fn audit_entry(&self, place: usize, line: &Line) -> AuditEntry {
        let name = |row: Row| AuditName::Identity {
            name: format!("{row:032x}"),
            sub: self.identities.get(&row).map(|person| person.sub),
        };
        AuditEntry {
            id: place as u64 + 1,
            at: line.at,
            who: match (line.who, line.by) {
                (Actor::Administrator, _) => AuditName::Administrator,
                (Actor::Shell, _) => AuditName::Shell,
                (Actor::Server, _) => AuditName::Server,
                (Actor::Key(_), by) => name(by.unwrap_or(0)),
            },
            what: line.what.as_str().to_owned(),
            subject: line.subject.map(name),
            network: line.network.clone(),
        }
    }
}
