//! The verifier and the model side by side: each step is done to both, and they have to agree on everything.

mod agree;

use std::collections::BTreeMap;

use capauth_tests::keys::NOW;
use capauth_tests::life::{self, By, Cert, K, key, place};
use capauth_tests::login::World;
use capauth_verifier::{
    Actor, Audience, AuthError, AuthErrorKind as E, Caller, EnrollmentMode, Login, Places, Session, Stores,
    Verifier as _,
};
use sha2::{Digest as _, Sha256};

use self::agree::Follower;
use crate::facts::Facts;
use crate::model::{Admission, Came, Model, Outcome, P, PER_SHARE, Role, Shut};
use crate::steps::Step;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// Seconds for which a refresh token that was just replaced still counts.
const GRACE: u64 = 20;

/// Refresh tokens that follow one another.
struct Family {
    tokens: Vec<(String, u64)>,
    generation: u64,
    advanced_at: u64,
    until: u64,
}

/// What a login gave out.
struct Given {
    k: K,
    person: P,
    generation: u64,
    session: Session,
    /// Each with its end.
    tokens: Vec<(String, u64)>,
    family: Option<Family>,
    listed_until: u64,
    ended: bool,
    /// Once it was worthless, it stays so.
    dead: bool,
}

pub(crate) struct Play {
    world: World,
    model: Model,
    open: bool,
    facts: BTreeMap<K, Facts>,
    /// Of keys that wait to take another's place.
    coming: BTreeMap<K, Facts>,
    codes: Vec<String>,
    given: Vec<Given>,
    feed: Follower,
    /// What each identity's generation was, in the model and in the store.
    generations: BTreeMap<P, (u64, u64)>,
    lines: u64,
}

fn told<T>(outcome: Result<T, AuthError>) -> Result<T, E> {
    outcome.map_err(|error| error.kind())
}

fn found(found: bool) -> Result<(), E> {
    if found { Ok(()) } else { Err(E::NotFound) }
}

fn changed(outcome: Outcome) -> Result<K, E> {
    match outcome {
        Outcome::Done(sub) => Ok(sub),
        Outcome::Conflict => Err(E::Conflict),
        Outcome::NotFound => Err(E::NotFound),
    }
}

impl Play {
    pub(crate) async fn begin(stores: Stores, open: bool) -> Self {
        let mode = if open { EnrollmentMode::Open } else { EnrollmentMode::Approval };
        let places = Places { per_share: PER_SHARE, in_all: 1000 };
        let world = life::world_over(stores, |b| b.enrollment(mode).pending_places(places)).await;
        Self {
            world,
            model: Model { now: NOW, ..Model::default() },
            open,
            facts: BTreeMap::new(),
            coming: BTreeMap::new(),
            codes: Vec::new(),
            given: Vec::new(),
            feed: Follower::default(),
            generations: BTreeMap::new(),
            lines: 0,
        }
    }

    pub(crate) async fn run(&mut self, steps: &[Step]) {
        for step in steps {
            self.take(step).await;
            self.agree().await;
        }
    }

    async fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::LogIn { k, by, cert, code, refresh } => self.log_in(k, by, cert, code, refresh).await,
            Step::Rotate { old, new, by, cert } => {
                let request = life::rotation(&self.world, old, new, by, cert).await;
                let done = told(self.world.verifier.rotate(&request, &Caller::default()).await);
                let expected = self.rotate(old, new, by, cert);
                assert_eq!(done.map(|done| (place(&done.sub), done.rotated)), expected);
            }
            Step::Cancel { old, by } => {
                let request = life::cancellation(&self.world, old, by).await;
                let done = told(self.world.verifier.cancel_rotation(&request, &Caller::default()).await);
                assert_eq!(done, self.cancel(old, by));
            }
            Step::Link { primary, secondary, cert } => {
                let request = life::link(&self.world, primary, secondary, cert).await;
                let done = told(self.world.verifier.link(&request, &Caller::default(), false).await);
                assert_eq!(done.map(|done| place(&done.sub)), self.link(primary, secondary, cert));
            }
            Step::Unlink { primary, secondary } => {
                let (request, proof) = life::unlink(&self.world, primary, secondary).await;
                let done = told(self.world.verifier.unlink(&request, &proof, &Caller::default()).await);
                let expected = self.asks(primary, By::Primary);
                let expected = expected.and_then(|()| match self.model.unlink(primary, secondary) {
                    // Whether somebody else's key is known is not told.
                    Outcome::NotFound => Err(E::Conflict),
                    outcome => changed(outcome),
                });
                assert_eq!(done.map(|done| place(&done.sub)), expected);
            }
            Step::Refresh { login, first } => self.refresh(login, first).await,
            Step::EndOne { login, other } => self.end_one(login, other).await,
            Step::EndAll { login } => self.end_all(login).await,
            Step::LogOut { login } => {
                if let Some(given) = self.given.get_mut(login) {
                    self.world.verifier.end(&given.session).await.unwrap();
                    given.ended = true;
                }
            }
            Step::Wait(seconds) => {
                self.world.advance(seconds);
                self.model.now += seconds;
                // Whatever is asked, what is due is done first.
                let nonsense = self.world.verifier.authenticate("x", Audience::Own).await;
                assert_eq!(told(nonsense).err(), Some(E::InvalidToken));
                for new in self.model.do_what_is_due() {
                    self.facts.insert(new, self.coming[&new]);
                }
            }
            administrative => self.administer(administrative).await,
        }
        self.facts.retain(|k, _| self.model.keys.contains_key(k));
    }

    async fn administer(&mut self, step: Step) {
        let world = &self.world;
        let admin = world.verifier.administration(Actor::Administrator, None);
        let model = &mut self.model;
        match step {
            Step::Approve(k) => {
                assert_eq!(told(admin.approve(&key(k).fingerprint).await), found(model.approve(k)));
            }
            Step::Revoke(k) => {
                assert_eq!(told(admin.revoke(&key(k).fingerprint).await), found(model.revoke(k)));
            }
            Step::Erase(k) => {
                let own = model.keys.get(&k);
                let linked = own.is_some_and(|key| matches!(key.role, Role::Secondary(_)));
                let goes = |other: &K| match linked {
                    true => *other == k,
                    false => own.is_some_and(|own| own.person == model.keys[other].person),
                };
                let keep_out = self.facts.iter().any(|(other, facts)| goes(other) && facts.keeps_out());
                assert_eq!(told(admin.erase(&key(k).fingerprint).await), found(model.erase(k, keep_out)));
            }
            Step::Groups(k, groups) => {
                let list: Vec<String> = groups.iter().map(ToString::to_string).collect();
                let done = told(admin.set_groups(&key(k).fingerprint, &list).await);
                assert_eq!(done, found(model.set_groups(k, &groups)));
            }
            Step::Name(k, name) => {
                let done = told(admin.set_user_name(&key(k).fingerprint, name).await);
                assert_eq!(done, changed(model.set_name(k, name)).map(drop));
            }
            Step::EndAllOf(k) => {
                assert_eq!(told(admin.end_all(&key(k).fingerprint).await), found(model.end_all(k)));
            }
            Step::MakeCode(groups) => {
                let list: Vec<String> = groups.iter().map(ToString::to_string).collect();
                let code = admin.make_code(&list, None).await.unwrap();
                self.codes.push(code.enrollment_code);
                model.make_code(groups, model.now + 7 * DAY);
            }
            Step::EnrolForThem(k, cert) => {
                let done = told(admin.enroll(&key(k).cert(cert)).await);
                let facts = Facts::of(cert);
                let expected = match facts.admit(By::Primary) {
                    Err(_) => Err(E::InvalidPublicKey),
                    Ok(()) if model.enrol(k, Admission::Approved) == Came::Enrolled => {
                        self.facts.insert(k, facts);
                        Ok(k)
                    }
                    Ok(()) => Err(E::Conflict),
                };
                assert_eq!(done.map(|done| place(&done)), expected);
            }
            Step::CancelForThem(k) => {
                assert_eq!(told(admin.cancel_rotation(&key(k).fingerprint).await), found(model.cancel(k)));
            }
            Step::UnlinkForThem { primary, secondary } => {
                let done = told(admin.unlink(key(primary).fingerprint, key(secondary).fingerprint).await);
                assert_eq!(done.map(|done| place(&done.sub)), changed(model.unlink(primary, secondary)));
            }
            other => panic!("{other:?}"),
        }
    }

    fn standing(&self, k: K) -> Result<(), E> {
        self.model.standing(k).map_err(|shut| match shut {
            Shut::Revoked => E::KeyRevoked,
            Shut::Suspended => E::KeySuspended,
            Shut::Pending => E::EnrollmentPending,
        })
    }

    fn learn(&mut self, k: K, after: Facts) {
        let before = self.facts.insert(k, after).unwrap();
        let revoked = after.hard && (!before.hard || self.model.keys[&k].revoked.is_none());
        self.model.learn(k, revoked, after.is_worse_than(before));
    }

    /// What an answer that was no login is good for: a revocation proves itself.
    fn learn_unproven(&mut self, k: K, cert: Option<Cert>) {
        let Some(known) = self.model.keys.get(&k) else { return };
        let facts = self.facts[&k];
        if let Some(cert @ (Cert::Revoked | Cert::Retired | Cert::SubkeyRevoked)) = cert
            && !(facts.hard && known.revoked.is_some())
            && facts.last != cert
        {
            self.learn(k, Facts { last: facts.last, ..facts.and(cert) });
        }
    }

    /// A key asks for a change of its identity.
    fn asks(&self, k: K, by: By) -> Result<(), E> {
        if by == By::Stranger || !self.model.keys.contains_key(&k) {
            return Err(E::InvalidNonceSignature);
        }
        self.facts[&k].admit(by)?;
        self.standing(k)
    }

    fn comes_in(&mut self, k: K, by: By, cert: Option<Cert>, code: Option<usize>) -> Result<bool, E> {
        let known = self.facts.get(&k).copied();
        let after = match (known, cert) {
            (None, None) => return Err(E::UnknownFingerprint),
            (Some(known), Some(cert)) if known.last != cert => known.and(cert),
            (Some(known), _) => known,
            (None, Some(cert)) => Facts::of(cert),
        };
        if by == By::Stranger {
            return Err(if cert.is_some() { E::InvalidNonceSignature } else { E::UnknownFingerprint });
        }
        after.admit(by)?;
        if known.is_some() {
            self.learn(k, after);
            if let Some(code) = code {
                self.model.use_code(k, code);
            }
        } else {
            let admission = match (code, self.open) {
                (Some(code), _) => Admission::Code(code),
                (None, true) => Admission::Approved,
                (None, false) => Admission::Pending,
            };
            let mut came = self.model.enrol(k, admission);
            if came == Came::BadCode && self.open {
                came = self.model.enrol(k, Admission::Approved);
            }
            match came {
                Came::Enrolled => drop(self.facts.insert(k, after)),
                Came::Known | Came::Barred => return Err(E::Conflict),
                Came::BadCode => return Err(E::EnrollmentClosed),
                Came::TooMany => return Err(E::TooManyRequests),
            }
        }
        self.standing(k).map(|()| known.is_none())
    }

    async fn log_in(&mut self, k: K, by: By, cert: Option<Cert>, code: Option<usize>, refresh: bool) {
        let nonsense = || "no code at all".to_owned();
        let text = code.map(|code| self.codes.get(code).cloned().unwrap_or_else(nonsense));
        let mut request = life::answer(&self.world, k, by, cert).await;
        (request.enrollment_code, request.refresh) = (text, refresh);
        let done = told(self.world.answer(&request).await);
        let expected = self.comes_in(k, by, cert, code);
        if expected.is_err() {
            self.learn_unproven(k, cert);
        }
        assert_eq!(done.as_ref().map(|login| login.response.is_new_enrollment).map_err(|e| *e), expected);
        if let Ok(login) = done {
            self.keep(k, login);
        }
    }

    fn keep(&mut self, k: K, login: Login) {
        let now = self.model.now;
        let person = self.model.keys[&k].person;
        let family = login.response.refresh_token.map(|token| Family {
            tokens: vec![(token, 0)],
            generation: 0,
            advanced_at: 0,
            until: now + 30 * DAY,
        });
        self.given.push(Given {
            k,
            person,
            generation: self.model.person(k).unwrap().generation,
            session: login.who.session().clone(),
            tokens: vec![(login.response.access_token, now + HOUR)],
            listed_until: if family.is_some() { now + 30 * DAY } else { now + 12 * HOUR },
            family,
            ended: false,
            dead: false,
        });
    }

    fn rotate(&mut self, old: K, new: K, by: By, cert: Cert) -> Result<(K, bool), E> {
        self.asks(old, by)?;
        let facts = Facts::of(cert);
        facts.admit(By::Primary)?;
        let due = (by == By::Subkey).then(|| self.model.now + 7 * DAY);
        let sub = changed(self.model.rotate(old, new, due))?;
        match due {
            None => self.facts.insert(new, facts),
            Some(_) => self.coming.insert(new, facts),
        };
        Ok((sub, due.is_none()))
    }

    fn cancel(&mut self, old: K, by: By) -> Result<(), E> {
        self.asks(old, by)?;
        match by {
            By::Primary => found(self.model.cancel(old)),
            By::Subkey | By::Stranger => Err(E::Forbidden),
        }
    }

    fn link(&mut self, primary: K, secondary: K, cert: Option<Cert>) -> Result<K, E> {
        self.asks(primary, By::Primary)?;
        match (self.facts.get(&secondary).copied(), cert) {
            (None, None) => return Err(E::InvalidNonceSignature),
            (None, Some(cert)) => {
                let facts = Facts::of(cert);
                facts.admit(By::Primary)?;
                if !self.open {
                    return Err(E::EnrollmentClosed);
                }
                let sub = changed(self.model.link(primary, secondary, true))?;
                self.facts.insert(secondary, facts);
                return Ok(sub);
            }
            (Some(known), Some(cert)) if known.last != cert => {
                known.and(cert).admit(By::Primary)?;
                self.standing(secondary)?;
                self.learn(secondary, known.and(cert));
            }
            (Some(_), _) => self.asks(secondary, By::Primary)?,
        }
        changed(self.model.link(primary, secondary, false))
    }

    /// Whether what was given out still counts, time aside.
    fn counts(&self, given: &Given) -> bool {
        let known = self.model.keys.get(&given.k).filter(|key| key.person == given.person);
        let person = self.model.people[given.person].as_ref();
        !given.ended
            && known.is_some()
            && person.is_some_and(|person| person.generation == given.generation)
            && self.standing(given.k).is_ok()
            && self.facts[&given.k].admit(By::Primary).is_ok()
    }

    async fn refresh(&mut self, login: usize, first: bool) {
        let Some(counts) = self.given.get(login).map(|given| self.counts(given)) else { return };
        let (given, now) = (&mut self.given[login], self.model.now);
        let Some(family) = &mut given.family else { return };
        let shown = if first { family.tokens.first() } else { family.tokens.last() };
        let (token, generation) = shown.cloned().unwrap();
        let done = told(self.world.verifier.refresh_token(&token, &Caller::default()).await);
        let current = generation == family.generation;
        let again = generation + 1 == family.generation && now - family.advanced_at <= GRACE;
        if !counts || family.until <= now {
            assert_eq!(done.err(), Some(E::InvalidToken));
        } else if current || again {
            let done = done.expect("the refresh token is good");
            if current {
                (family.generation, family.advanced_at) = (family.generation + 1, now);
            }
            family.tokens.push((done.refresh_token, family.generation));
            given.tokens.push((done.access_token, family.until.min(now + HOUR)));
        } else {
            assert_eq!(done.err(), Some(E::InvalidToken));
            given.ended = true;
            self.model.audit.push("refresh_reused");
        }
    }

    /// The token with which somebody asks about their sessions, if they have one.
    async fn asker(&self, login: usize) -> Option<capauth_verifier::Authenticated> {
        let (token, _) = self.given.get(login)?.tokens.last()?;
        self.world.verifier.authenticate(token, Audience::Own).await.ok()
    }

    async fn end_one(&mut self, login: usize, other: usize) {
        let (Some(who), true) = (self.asker(login).await, other < self.given.len()) else { return };
        let (mine, theirs) = (&self.given[login], &self.given[other]);
        let is_listed = |given: &Given| {
            (given.person, given.generation) == (mine.person, mine.generation)
                && !given.ended
                && given.listed_until > self.model.now
        };
        let sessions = self.world.verifier.sessions(&who).await.unwrap();
        assert_eq!(sessions.len(), self.given.iter().filter(|given| is_listed(given)).count());
        let id = hex::encode(&Sha256::digest(theirs.session.jti.as_bytes())[..16]);
        let done = told(self.world.verifier.end_one_session(&who, &id).await);
        let listed = is_listed(theirs);
        assert_eq!(done, found(listed));
        self.given[other].ended |= listed;
    }

    async fn end_all(&mut self, login: usize) {
        if let Some(who) = self.asker(login).await {
            self.world.verifier.end_all_sessions(&who).await.unwrap();
            assert!(self.model.end_all(self.given[login].k));
        }
    }
}
