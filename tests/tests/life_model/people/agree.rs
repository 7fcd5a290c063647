//! Whether the verifier and the model agree.

use std::collections::{HashMap, HashSet};

use capauth_protocol::Fingerprint;
use capauth_tests::life::{K, KEYS, key, place};
use capauth_verifier::{Audience, AuthErrorKind as E, KeyRole, Revocation, Session, Stores, Verifier as _};
use sha2::{Digest as _, Sha256};

use super::{Play, told};
use crate::model::Role;

/// Who follows the feed, and believes nothing else.
#[derive(Default)]
pub(super) struct Follower {
    cursor: u64,
    generations: HashMap<Fingerprint, u64>,
    keys: HashSet<Fingerprint>,
    tokens: HashSet<[u8; 32]>,
}

impl Follower {
    async fn follow(&mut self, stores: &Stores) {
        let page = stores.tokens.revocations(self.cursor, 1000).await.unwrap();
        self.cursor = page.cursor;
        for entry in page.entries {
            match entry {
                Revocation::Generation { sub, generation } => {
                    let known = self.generations.entry(sub).or_default();
                    *known = generation.max(*known);
                }
                Revocation::Key { fingerprint } => drop(self.keys.insert(fingerprint)),
                Revocation::Token { jti_hash, .. } => drop(self.tokens.insert(jti_hash)),
            }
        }
    }

    fn allows(&self, session: &Session) -> bool {
        let hash: [u8; 32] = Sha256::digest(session.jti.as_bytes()).into();
        session.generation >= self.generations.get(&session.sub).copied().unwrap_or(0)
            && !self.keys.contains(&session.fingerprint)
            && !self.tokens.contains(&hash)
    }
}

impl Play {
    /// Everything that can be seen is as the model has it.
    pub(super) async fn agree(&mut self) {
        let stores = self.world.stores.clone();
        for k in 0..KEYS {
            self.agree_on_key(k).await;
        }
        assert_eq!(stores.keys.count().await.unwrap(), self.model.count() as u64);
        self.feed.follow(&stores).await;
        for place in 0..self.given.len() {
            self.agree_on_login(place).await;
        }
        let page = stores.keys.audit(self.lines, 1000).await.unwrap();
        assert!(page.entries.iter().all(|line| line.id > self.lines));
        let mut words: Vec<&str> = page.entries.iter().map(|line| line.what.as_str()).collect();
        // Of what comes due at once nobody says what comes first.
        let expected = &mut self.model.audit;
        words.sort_unstable();
        expected.sort_unstable();
        assert_eq!(words, *expected);
        expected.clear();
        self.lines = page.cursor;
    }

    async fn agree_on_key(&mut self, k: K) {
        let fingerprint = key(k).fingerprint;
        let stored = self.world.stored(fingerprint).await;
        let Some(known) = self.model.keys.get(&k) else { return assert_eq!(stored, None) };
        let stored = stored.expect("the model knows this key");
        let waiting = stored.waiting.map(|(new, due)| (place(&new), due.as_unix()));
        assert_eq!(waiting, self.model.waiting_for(k));
        let role = match stored.role {
            KeyRole::Primary => (true, None, None),
            KeyRole::Secondary(primary) => (false, Some(place(&primary)), None),
            KeyRole::Archived(at) => (false, None, Some(at.as_unix())),
        };
        let expected = match known.role {
            Role::Primary => (true, None, None),
            Role::Secondary(_) => (false, self.model.primary(known.person), None),
            Role::Archived(at) => (false, None, Some(at)),
        };
        assert_eq!(role, expected);
        assert_eq!(stored.revoked.is_some(), known.revoked.is_some());
        let (identity, person) = (stored.identity, self.model.person(k).unwrap());
        assert_eq!(place(&identity.sub), person.sub);
        assert_eq!((identity.approved, identity.suspended), (person.approved, self.model.suspended(k)));
        assert_eq!(identity.ended, self.model.ended(k));
        assert!(identity.groups.iter().eq(&person.groups));
        assert_eq!(identity.user_name.as_deref(), person.name);
        let now = (person.generation, identity.generation);
        let before = self.generations.insert(known.person, now).unwrap_or(now);
        assert_eq!(now.1.checked_sub(before.1), Some(now.0 - before.0), "a generation");
    }

    async fn agree_on_login(&mut self, place: usize) {
        let (given, now) = (&self.given[place], self.model.now);
        let counts = self.counts(given);
        assert!(!(counts && given.dead), "a login came back to life");
        assert_eq!(
            self.feed.allows(&given.session),
            counts,
            "the feed tells of what ended, and of nothing else"
        );
        let verifier = &self.world.verifier;
        let resumed = verifier.resume(&given.session).await.is_ok();
        assert_eq!(resumed, counts && now < given.session.expires.as_unix());
        for (token, until) in &given.tokens {
            let who = told(verifier.authenticate(token, Audience::Own).await);
            if !counts || *until <= now {
                assert_eq!(who.map(|who| who.sub()), Err(E::InvalidToken));
                continue;
            }
            let (who, person) = (who.expect("the token is good"), self.model.person(given.k).unwrap());
            assert_eq!(who.sub(), key(person.sub).fingerprint);
            assert_eq!(who.fingerprint(), key(given.k).fingerprint);
            assert!(who.claims().groups.iter().eq(&person.groups));
        }
        self.given[place].dead |= !counts;
    }
}
