//! What the life of keys is meant to be, in as few words as it takes. Knows nothing of OpenPGP, tokens or databases.

use std::collections::{BTreeMap, BTreeSet};

use capauth_tests::life::K;
use capauth_verifier::ROTATION_DOUBT;

/// An identity, by the order in which they came.
pub(crate) type P = usize;

/// How many keys may wait for an administrator from one network.
pub(crate) const PER_SHARE: u32 = 3;
/// Seconds for which they may.
pub(crate) const PENDING: u64 = 14 * 24 * 3600;

#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) sub: K,
    pub(crate) approved: bool,
    pub(crate) suspended: bool,
    pub(crate) generation: u64,
    pub(crate) groups: BTreeSet<&'static str>,
    pub(crate) name: Option<&'static str>,
    pub(crate) pending: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Primary,
    Secondary(P),
    Archived(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RevokedBy {
    Owner,
    Administrator,
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) person: P,
    pub(crate) role: Role,
    pub(crate) revoked: Option<RevokedBy>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Approved,
    Pending,
    Code(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Enrolled,
    Known,
    Barred,
    BadCode,
    TooMany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done(K),
    Conflict,
    NotFound,
}

/// Why a key that proved possession is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shut {
    Revoked,
    Suspended,
    Pending,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) people: Vec<Option<Person>>,
    pub(crate) keys: BTreeMap<K, Key>,
    /// Keys that may not come back, and subs that are kept for nobody.
    pub(crate) barred: BTreeSet<K>,
    pub(crate) waiting: BTreeMap<P, (K, u64)>,
    pub(crate) names: BTreeMap<&'static str, Option<P>>,
    /// Groups and end of each code, by the order in which they were made. `None`: used, or past its time.
    pub(crate) codes: Vec<Option<(BTreeSet<&'static str>, u64)>>,
    /// The words of the audit log.
    pub(crate) audit: Vec<&'static str>,
}

impl Model {
    pub(crate) fn person(&self, k: K) -> Option<&Person> {
        self.keys.get(&k).and_then(|key| self.people[key.person].as_ref())
    }

    fn own(&mut self, k: K) -> Option<(P, &mut Person)> {
        let person = self.keys.get(&k)?.person;
        self.people[person].as_mut().map(|own| (person, own))
    }

    fn of(&self, person: P) -> impl Iterator<Item = (&K, &Key)> {
        self.keys.iter().filter(move |(_, key)| key.person == person)
    }

    pub(crate) fn primary(&self, person: P) -> Option<K> {
        self.of(person).find(|(_, key)| key.role == Role::Primary).map(|(k, _)| *k)
    }

    pub(crate) fn count(&self) -> usize {
        self.keys.values().filter(|key| !matches!(key.role, Role::Archived(_))).count()
    }

    pub(crate) fn suspended(&self, k: K) -> bool {
        let former = match self.keys[&k].role {
            Role::Secondary(former) => self.people[former].as_ref().is_some_and(|former| former.suspended),
            Role::Primary | Role::Archived(_) => false,
        };
        former || self.person(k).is_some_and(|person| person.suspended)
    }

    pub(crate) fn ended(&self, k: K) -> bool {
        self.primary(self.keys[&k].person).is_some_and(|primary| self.keys[&primary].revoked.is_some())
    }

    pub(crate) fn standing(&self, k: K) -> Result<(), Shut> {
        let key = &self.keys[&k];
        if matches!(key.role, Role::Archived(_)) || key.revoked.is_some() || self.ended(k) {
            Err(Shut::Revoked)
        } else if self.suspended(k) {
            Err(Shut::Suspended)
        } else if !self.person(k).unwrap().approved {
            Err(Shut::Pending)
        } else {
            Ok(())
        }
    }

    fn is_in_order(&self, k: K) -> bool {
        self.keys[&k].role == Role::Primary && self.standing(k).is_ok()
    }

    fn is_taken(&self, k: K) -> bool {
        self.barred.contains(&k)
            || self.people.iter().flatten().any(|person| person.sub == k)
            || self.waiting.values().any(|(new, _)| *new == k)
    }

    fn raise(&mut self, person: P) {
        self.people[person].as_mut().unwrap().generation += 1;
    }

    fn add(&mut self, k: K, approved: bool, groups: BTreeSet<&'static str>) -> P {
        let pending = (!approved).then_some(self.now);
        let person =
            Person { sub: k, approved, suspended: false, generation: 0, groups, name: None, pending };
        self.people.push(Some(person));
        let person = self.people.len() - 1;
        self.keys.insert(k, Key { person, role: Role::Primary, revoked: None });
        if approved {
            self.audit.push("enrolled");
        }
        person
    }

    pub(crate) fn enrol(&mut self, k: K, admission: Admission) -> Came {
        if self.keys.contains_key(&k) {
            return Came::Known;
        }
        if self.is_taken(k) {
            return Came::Barred;
        }
        match admission {
            Admission::Approved => self.add(k, true, BTreeSet::new()),
            Admission::Pending => {
                let waiting = self.people.iter().flatten().filter(|person| person.pending.is_some());
                if waiting.count() >= PER_SHARE as usize {
                    return Came::TooMany;
                }
                self.add(k, false, BTreeSet::new())
            }
            Admission::Code(code) => match self.codes.get_mut(code).and_then(Option::take) {
                Some((groups, until)) if until > self.now => self.add(k, true, groups),
                _ => return Came::BadCode,
            },
        };
        Came::Enrolled
    }

    /// New facts about a key: that it says for the first time that it is revoked for good, or that something of it got
    /// worse.
    pub(crate) fn learn(&mut self, k: K, revoked: bool, worse: bool) {
        let Key { person, role, revoked: before } = self.keys[&k];
        if revoked && before.is_none() {
            self.keys.get_mut(&k).unwrap().revoked = Some(RevokedBy::Owner);
            self.people[person].as_mut().unwrap().pending = None;
            self.audit.push("revoked_itself");
        }
        let is_news = revoked && before != Some(RevokedBy::Owner);
        match role {
            Role::Archived(since) if is_news && self.now - since <= ROTATION_DOUBT => self.suspend(person),
            Role::Archived(_) => {}
            // A linked key's end is its own.
            Role::Secondary(_) if worse && !revoked => self.raise(person),
            Role::Primary if revoked || worse => {
                self.cancel_for(person);
                self.raise(person);
            }
            Role::Primary | Role::Secondary(_) => {}
        }
    }

    fn suspend(&mut self, person: P) {
        self.cancel_for(person);
        let joined =
            self.keys.values().filter(|key| key.role == Role::Secondary(person)).map(|key| key.person);
        for joined in joined.collect::<Vec<_>>() {
            self.raise(joined);
        }
        self.people[person].as_mut().unwrap().suspended = true;
        self.audit.push("suspended");
        self.raise(person);
    }

    /// A key that waits brings a code.
    pub(crate) fn use_code(&mut self, k: K, code: usize) {
        if self.person(k).is_none_or(|person| person.pending.is_none()) {
            return;
        }
        let code = self.codes.get_mut(code).and_then(Option::take);
        if let Some((groups, _)) = code.filter(|(_, until)| *until > self.now) {
            self.own(k).unwrap().1.groups.extend(groups);
            self.approve(k);
        }
    }

    pub(crate) fn approve(&mut self, k: K) -> bool {
        let Some((_, person)) = self.own(k) else { return false };
        (person.approved, person.suspended, person.pending) = (true, false, None);
        self.audit.push("approved");
        if let Role::Secondary(former) = self.keys[&k].role {
            self.people[former].as_mut().unwrap().suspended = false;
        }
        true
    }

    pub(crate) fn revoke(&mut self, k: K) -> bool {
        let Some(key) = self.keys.get_mut(&k) else { return false };
        key.revoked = Some(RevokedBy::Administrator);
        let (person, role) = (key.person, key.role);
        self.people[person].as_mut().unwrap().pending = None;
        self.audit.push("revoked");
        if role == Role::Primary {
            self.cancel_for(person);
            self.raise(person);
        }
        true
    }

    pub(crate) fn erase(&mut self, k: K, keep_out: bool) -> bool {
        let Some(Key { person, role, .. }) = self.keys.get(&k).cloned() else { return false };
        let mut people = vec![person];
        if let Role::Secondary(former) = role {
            self.raise(person);
            people = vec![former];
        } else {
            people.extend(self.of(person).filter_map(|(_, key)| match key.role {
                Role::Secondary(former) => Some(former),
                Role::Primary | Role::Archived(_) => None,
            }));
        }
        let goes = |key: &Key| {
            people.contains(&key.person) || matches!(key.role, Role::Secondary(f) if people.contains(&f))
        };
        let gone: Vec<K> = self.keys.iter().filter(|(_, key)| goes(key)).map(|(k, _)| *k).collect();
        let stays_out = keep_out
            || gone
                .iter()
                .any(|k| self.keys[k].revoked.is_some() || matches!(self.keys[k].role, Role::Archived(_)))
            || people.iter().any(|person| self.people[*person].as_ref().unwrap().suspended);
        self.keys.retain(|k, _| !gone.contains(k));
        self.barred.extend(gone.iter().filter(|_| stays_out));
        for person in people {
            let sub = self.people[person].take().unwrap().sub;
            if !gone.contains(&sub) {
                self.barred.insert(sub);
            }
            self.waiting.remove(&person);
            self.free_names(person);
            self.audit.push("erased");
        }
        true
    }

    /// Names are not given again; the next identity is another one.
    fn free_names(&mut self, person: P) {
        self.names.values_mut().filter(|owner| **owner == Some(person)).for_each(|owner| *owner = None);
    }

    pub(crate) fn set_groups(&mut self, k: K, groups: &BTreeSet<&'static str>) -> bool {
        let Some((person, own)) = self.own(k) else { return false };
        let fewer = !own.groups.is_subset(groups);
        own.groups.clone_from(groups);
        self.audit.push("groups");
        if fewer {
            self.raise(person);
        }
        true
    }

    pub(crate) fn set_name(&mut self, k: K, name: Option<&'static str>) -> Outcome {
        let Some((person, _)) = self.own(k) else { return Outcome::NotFound };
        if let Some(name) = name
            && *self.names.entry(name).or_insert(Some(person)) != Some(person)
        {
            return Outcome::Conflict;
        }
        self.audit.push("user_name");
        let own = self.people[person].as_mut().unwrap();
        own.name = name;
        Outcome::Done(own.sub)
    }

    pub(crate) fn end_all(&mut self, k: K) -> bool {
        let Some((person, _)) = self.own(k) else { return false };
        self.audit.push("ended_all");
        self.raise(person);
        true
    }

    pub(crate) fn rotate(&mut self, old: K, new: K, due: Option<u64>) -> Outcome {
        let Some(person) = self.keys.get(&old).map(|key| key.person) else { return Outcome::NotFound };
        // What waits for this very identity does not stand in the primary key's way.
        let own = self.waiting.get(&person).copied();
        let is_taken =
            self.is_taken(new) && own.is_none_or(|(waiting, _)| waiting != new || self.is_sub(new));
        let is_known = self.keys.contains_key(&new) || is_taken;
        if !self.is_in_order(old) || is_known || (due.is_some() && own.is_some()) {
            return Outcome::Conflict;
        }
        match due {
            Some(due) => {
                self.waiting.insert(person, (new, due));
                self.audit.push("rotation_waits");
            }
            None => {
                self.cancel_for(person);
                self.replace(person, new);
            }
        }
        Outcome::Done(self.people[person].as_ref().unwrap().sub)
    }

    fn is_sub(&self, k: K) -> bool {
        self.barred.contains(&k) || self.people.iter().flatten().any(|person| person.sub == k)
    }

    fn replace(&mut self, person: P, new: K) {
        let old = self.primary(person).unwrap();
        self.keys.get_mut(&old).unwrap().role = Role::Archived(self.now);
        self.keys.insert(new, Key { person, role: Role::Primary, revoked: None });
        self.audit.push("rotated");
        self.raise(person);
    }

    /// What waits to take a key's place, while that has one.
    pub(crate) fn waiting_for(&self, old: K) -> Option<(K, u64)> {
        let key = self.keys.get(&old).filter(|key| key.role == Role::Primary)?;
        self.waiting.get(&key.person).copied()
    }

    pub(crate) fn cancel(&mut self, old: K) -> bool {
        self.waiting_for(old).is_some() && self.cancel_for(self.keys[&old].person)
    }

    fn cancel_for(&mut self, person: P) -> bool {
        let cancelled = self.waiting.remove(&person).is_some();
        if cancelled {
            self.audit.push("rotation_cancelled");
        }
        cancelled
    }

    /// `new`: the second key brings its certificate, and may come in by it.
    pub(crate) fn link(&mut self, primary: K, secondary: K, new: bool) -> Outcome {
        let Some(person) = self.keys.get(&primary).map(|key| key.person) else { return Outcome::NotFound };
        if !self.is_in_order(primary) {
            return Outcome::Conflict;
        }
        let former = match self.keys.get(&secondary).map(|key| key.person) {
            Some(former) => {
                let alone = !self.of(former).any(|(_, key)| matches!(key.role, Role::Secondary(_)));
                let free = alone && former != person && !self.waiting.contains_key(&former);
                if !free || !self.is_in_order(secondary) {
                    return Outcome::Conflict;
                }
                former
            }
            None if !new => return Outcome::NotFound,
            None if self.is_taken(secondary) => return Outcome::Conflict,
            None => self.add(secondary, true, BTreeSet::new()),
        };
        self.people[former].as_mut().unwrap().groups.clear();
        self.audit.push("linked");
        self.raise(former);
        *self.keys.get_mut(&secondary).unwrap() =
            Key { person, role: Role::Secondary(former), revoked: None };
        Outcome::Done(self.people[person].as_ref().unwrap().sub)
    }

    pub(crate) fn unlink(&mut self, primary: K, secondary: K) -> Outcome {
        let Some(key) = self.keys.get(&secondary) else { return Outcome::NotFound };
        let person = key.person;
        let Role::Secondary(former) = key.role else { return Outcome::Conflict };
        if self.primary(person) != Some(primary) {
            return Outcome::Conflict;
        }
        let key = self.keys.get_mut(&secondary).unwrap();
        (key.person, key.role) = (former, Role::Primary);
        self.raise(person);
        self.audit.push("unlinked");
        Outcome::Done(self.people[former].as_ref().unwrap().sub)
    }

    pub(crate) fn make_code(&mut self, groups: BTreeSet<&'static str>, until: u64) {
        self.codes.push(Some((groups, until)));
        self.audit.push("code_made");
    }

    /// What happens by itself. Answers which keys took another's place.
    pub(crate) fn do_what_is_due(&mut self) -> Vec<K> {
        let due: Vec<P> =
            self.waiting.iter().filter(|(_, (_, due))| *due <= self.now).map(|(person, _)| *person).collect();
        let (mut came, mut went) = (Vec::new(), Vec::new());
        for person in due {
            let (new, _) = self.waiting.remove(&person).unwrap();
            if self.primary(person).is_some_and(|old| self.is_in_order(old)) {
                self.replace(person, new);
                came.push(new);
            } else {
                self.audit.push("rotation_cancelled");
            }
        }
        for person in 0..self.people.len() {
            let pending = self.people[person].as_ref().and_then(|own| own.pending);
            if pending.is_some_and(|since| since + PENDING < self.now) {
                self.people[person] = None;
                self.free_names(person);
                went.extend(self.of(person).map(|(k, _)| *k).collect::<Vec<_>>());
            }
        }
        self.keys.retain(|k, _| !went.contains(k));
        self.codes.iter_mut().for_each(|code| {
            code.take_if(|(_, until)| *until <= self.now);
        });
        came
    }
}
