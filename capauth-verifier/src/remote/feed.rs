//! What ended before its time: the service's feed of revocations, followed twice a second.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use capauth_protocol::Fingerprint;
use capauth_protocol::response::{RevocationEntry, Revocations};
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::fault::{Fault, FaultKind};
use super::link::{Call, Link, Proof};
use crate::verifier::Session;

const PATH: &str = "/capauth/v1/revocations";
/// For how many milliseconds what is known counts.
const FRESH: u64 = 30_000;
/// The longest page, in bytes.
const MAX_PAGE: usize = 512 * 1024;
/// The most pages at one time; the rest comes at the next.
const MAX_PAGES: usize = 64;
/// Every so many polls one asks without an `ETag`, since a tag may not cover the epoch.
const UNCONDITIONAL: u64 = 8;
/// Seconds for which an ended token is remembered past its time: another machine's clock may be behind.
const GRACE: u64 = 120;

#[derive(Default)]
struct State {
    cursor: u64,
    /// 0: not known.
    epoch: u64,
    keys: HashSet<Fingerprint>,
    generations: HashMap<Fingerprint, u64>,
    /// Hashes of tokens' names, and when each would have ended.
    tokens: HashMap<[u8; 32], u64>,
    /// What says that nothing comes after `cursor`.
    etag: Option<HeaderValue>,
}

/// Counts whatever changes an answer that was given before: an answer of an earlier count is looked at anew.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes(Arc<AtomicU64>);

impl Changes {
    /// To be taken before anything is looked at.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// To be called after the change is made.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// What is to be done after a page.
enum Then {
    Done,
    More,
    /// The place we had is not one of this feed.
    Again,
}

/// What is known of revocations, and since when.
pub(super) struct Feed {
    state: RwLock<State>,
    /// When a poll that came to the feed's end began, in milliseconds; 0: never.
    reached: AtomicU64,
    polls: AtomicU64,
    polling: Mutex<()>,
    changes: Changes,
}

impl Feed {
    pub(super) fn new(changes: Changes) -> Self {
        Self {
            state: RwLock::default(),
            reached: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            polling: Mutex::default(),
            changes,
        }
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is known is recent enough to let anybody in.
    pub(super) fn is_fresh(&self, now: u64) -> bool {
        let reached = self.reached.load(Ordering::Acquire);
        reached != 0 && now.abs_diff(reached) <= FRESH
    }

    /// Whether nothing says that the session has ended.
    pub(super) fn allows(&self, session: &Session, jti_hash: &[u8; 32]) -> bool {
        let state = self.state();
        let known = state.generations.get(&session.sub).copied().unwrap_or(0);
        (state.epoch == 0 || session.epoch == state.epoch)
            && session.generation >= known
            && !state.keys.contains(&session.fingerprint)
            && !state.tokens.contains_key(jti_hash)
    }

    /// Forgets where we were: the next poll starts at the beginning, and until then nobody is let in.
    pub(super) fn restart(&self) {
        let mut state = self.state_mut();
        self.reached.store(0, Ordering::Release);
        *state = State { epoch: state.epoch, ..State::default() };
        drop(state);
        self.changes.add();
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// The feed does not come.
    pub(super) async fn poll(&self, link: &Link, now: u64) -> Result<(), Fault> {
        let _alone = self.polling.lock().await;
        let conditional = !self.polls.fetch_add(1, Ordering::Relaxed).is_multiple_of(UNCONDITIONAL);
        let mut restarted = false;
        for _ in 0..MAX_PAGES {
            let (after, etag) = {
                let state = self.state();
                (state.cursor, state.etag.clone().filter(|_| conditional))
            };
            let call = Call::get(PATH)
                .proof(Proof::Credential)
                .after(after, etag.as_ref(), MAX_PAGE)
                .in_background();
            let answer = link.send(&call).await?;
            let then = match answer.status {
                304 => Then::Done,
                200 => {
                    let page: Revocations = link.parse(&answer)?;
                    self.take(page, after, answer.etag, now / 1000).map_err(|()| {
                        link.fault(FaultKind::Malformed, format!("{PATH} tells of something unknown"))
                    })?
                }
                _ => return Err(link.unexpected(&answer)),
            };
            match then {
                Then::Done => {
                    self.reached.store(now.max(1), Ordering::Release);
                    return Ok(());
                }
                Then::More => {}
                Then::Again if restarted => {
                    return Err(link.fault(FaultKind::Malformed, format!("{PATH} does not hold still")));
                }
                Then::Again => restarted = true,
            }
        }
        Ok(())
    }

    fn take(&self, page: Revocations, after: u64, etag: Option<HeaderValue>, now: u64) -> Result<Then, ()> {
        let ended = page.entries.into_iter().map(Ended::try_from).collect::<Result<Vec<_>, ()>>()?;
        let news = !ended.is_empty();
        let then = self.apply(ended, page.cursor, page.epoch, after, etag, now);
        if news || matches!(then, Then::Again) {
            self.changes.add();
        }
        Ok(then)
    }

    fn apply(
        &self,
        ended: Vec<Ended>,
        cursor: u64,
        epoch: u64,
        after: u64,
        etag: Option<HeaderValue>,
        now: u64,
    ) -> Then {
        let mut state = self.state_mut();
        if state.cursor != after {
            // It was decided to start anew while this page was on its way.
            return Then::Again;
        }
        let other_epoch = epoch != 0 && state.epoch != 0 && epoch != state.epoch;
        if other_epoch || cursor < after {
            // Until all of it was read once more, nothing is known.
            self.reached.store(0, Ordering::Release);
            *state = State { epoch: if epoch == 0 { state.epoch } else { epoch }, ..State::default() };
            return Then::Again;
        }
        if epoch != 0 {
            state.epoch = epoch;
        }
        let done = ended.is_empty() || cursor == after;
        state.cursor = cursor;
        state.etag = etag.filter(|_| done && ended.is_empty());
        if !ended.is_empty() {
            state.tokens.retain(|_, expires| expires.saturating_add(GRACE) > now);
        }
        for one in ended {
            match one {
                Ended::Token(hash, expires) => {
                    let known = state.tokens.entry(hash).or_default();
                    *known = expires.max(*known);
                }
                Ended::Generation(sub, generation) => {
                    let known = state.generations.entry(sub).or_default();
                    *known = generation.max(*known);
                }
                Ended::Key(fingerprint) => {
                    state.keys.insert(fingerprint);
                }
                Ended::Nobodys => {}
            }
        }
        if done { Then::Done } else { Then::More }
    }
}

/// An entry in the form in which it is looked up.
enum Ended {
    Token([u8; 32], u64),
    Generation(Fingerprint, u64),
    Key(Fingerprint),
    /// Of an identity that is no person's: no session of ours has it.
    Nobodys,
}

impl TryFrom<RevocationEntry> for Ended {
    type Error = ();

    fn try_from(entry: RevocationEntry) -> Result<Self, ()> {
        Ok(match entry {
            RevocationEntry::Token { jti_sha256, expires } => {
                let mut hash = [0; 32];
                hex::decode_to_slice(jti_sha256, &mut hash).map_err(|_| ())?;
                Self::Token(hash, expires)
            }
            RevocationEntry::Generation { sub, generation } => {
                sub.parse().map_or(Self::Nobodys, |sub| Self::Generation(sub, generation))
            }
            RevocationEntry::Key { fingerprint } => Self::Key(fingerprint),
        })
    }
}
