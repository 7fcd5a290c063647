//! Logins that another device is to sign: what is remembered of each, and how it moves on.

use std::sync::Arc;

use async_trait::async_trait;
use capauth_protocol::{Fingerprint, Nonce};
use subtle::ConstantTimeEq as _;

use super::{AddressPrefix, Challenge, StoreResult};
use crate::clock::Timestamp;

/// A login that another device is to sign, as it was made. Nothing of it opens anything: code and token are hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrLogin {
    /// Its name, and what is used once.
    pub nonce: Nonce,
    /// What stands for the client's nonce in the payload.
    pub client_nonce: Box<str>,
    /// When it was made.
    pub timestamp: Timestamp,
    /// The service it lets in to.
    pub service: Arc<str>,
    /// From when on nobody can answer it.
    pub expires: Timestamp,
    /// The web origin it is bound to.
    pub origin: Box<str>,
    /// Where the request came from.
    pub prefix: AddressPrefix,
    /// The keyed hash of the code.
    pub code_hash: [u8; 32],
    /// The hash of the token that fetches the result.
    pub poll_hash: [u8; 32],
}

impl QrLogin {
    /// The challenge that whoever answers has to have signed.
    pub fn challenge_for(&self, fingerprint: Fingerprint) -> Challenge {
        Challenge {
            nonce: self.nonce,
            fingerprint,
            client_nonce: self.client_nonce.clone(),
            timestamp: self.timestamp,
            service: Arc::clone(&self.service),
            expires: self.expires,
            origin: Some(self.origin.clone()),
            prefix: self.prefix,
        }
    }

    /// Whether this is the hash of its token. Takes the same time whichever it is.
    pub fn is_polled_by(&self, poll_hash: &[u8; 32]) -> bool {
        self.poll_hash.ct_eq(poll_hash).into()
    }
}

/// Why a login from another device came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QrEnd {
    /// Nobody answered in time.
    Time,
    /// The person said no, on the one device or the other.
    Declined,
    /// The last of three wrong codes.
    WrongCode,
    /// The key that answered is not let in.
    Refused,
}

impl QrEnd {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Declined => "declined",
            Self::WrongCode => "wrong_code",
            Self::Refused => "refused",
        }
    }

    /// What a word on the wire stands for; a new one says at least that the login ended.
    #[cfg(feature = "remote")]
    pub(crate) fn of_word(word: &str) -> Self {
        let all = [Self::Time, Self::Declined, Self::WrongCode];
        all.into_iter().find(|end| end.as_str() == word).unwrap_or(Self::Refused)
    }
}

/// Where a login from another device stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QrState {
    /// Nobody answered yet.
    Open {
        /// Wrong codes, and answers that the person turned down.
        failures: u8,
    },
    /// Somebody signed without the code: the person is asked whether that is their key.
    Waiting {
        /// As before.
        failures: u8,
        /// The key that signed.
        fingerprint: Fingerprint,
        /// The answer, sealed.
        answer: Arc<[u8]>,
    },
    /// One answer was taken, and no other ever will be.
    Taken,
    /// The key is let in.
    SignedIn {
        /// The login, sealed.
        result: Arc<[u8]>,
        /// Until when it can be fetched.
        until: Timestamp,
    },
    /// The result was fetched.
    Fetched,
    /// It came to nothing.
    Ended(QrEnd),
}

/// Wrong codes, or answers turned down, after which a login ends.
const FAILURES: u8 = 3;

/// What comes of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It is the right one, and the answer that brought it is taken.
    Right,
    /// It is not.
    Wrong,
}

/// What follows on a state. `None`: the login is not in a state for that.
impl QrState {
    /// Whether an answer can be taken.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Waiting { .. })
    }

    const fn failures(&self) -> u8 {
        match self {
            Self::Open { failures } | Self::Waiting { failures, .. } => *failures,
            Self::Taken | Self::SignedIn { .. } | Self::Fetched | Self::Ended(_) => FAILURES,
        }
    }

    /// Somebody who proved possession of a key says a code. The right one is taken, even while another answer waits for the
    /// click: it was read off the screen.
    pub(crate) fn with_code(&self, is_right: bool) -> Option<(Self, Tried)> {
        if !self.is_open() {
            return None;
        }
        if is_right {
            return Some((Self::Taken, Tried::Right));
        }
        let failures = self.failures().saturating_add(1);
        let next = match self {
            _ if failures >= FAILURES => Self::Ended(QrEnd::WrongCode),
            // What waits for the click waits on.
            Self::Waiting { fingerprint, answer, .. } => {
                Self::Waiting { failures, fingerprint: *fingerprint, answer: Arc::clone(answer) }
            }
            _ => Self::Open { failures },
        };
        Some((next, Tried::Wrong))
    }

    /// Somebody who proved possession of a key says no code: the person is to be asked. Nothing takes the place of an answer
    /// that waits already: it would be another key under the person's finger.
    pub(crate) fn with_answer(&self, fingerprint: Fingerprint, answer: Arc<[u8]>) -> Option<Self> {
        match self {
            Self::Open { failures } => Some(Self::Waiting { failures: *failures, fingerprint, answer }),
            _ => None,
        }
    }

    /// The person says yes to this key, and to no other.
    pub(crate) fn confirmed(&self, key: &Fingerprint) -> Option<(Self, Arc<[u8]>)> {
        match self {
            Self::Waiting { fingerprint, answer, .. } if fingerprint == key => {
                Some((Self::Taken, Arc::clone(answer)))
            }
            _ => None,
        }
    }

    /// The person says no to the answer that waits. Another may come, as long as it is not the third.
    pub(crate) fn turned_down(&self) -> Option<Self> {
        match self {
            Self::Waiting { failures, .. } if failures.saturating_add(1) < FAILURES => {
                Some(Self::Open { failures: failures.saturating_add(1) })
            }
            Self::Waiting { .. } => Some(Self::Ended(QrEnd::Declined)),
            _ => None,
        }
    }

    /// The person says no on the device that signs: with the code, or as whoever waits for the click.
    pub(crate) fn declined_by(&self, key: &Fingerprint, has_code: bool) -> Option<Self> {
        match self {
            Self::Open { .. } | Self::Waiting { .. } if has_code => Some(Self::Ended(QrEnd::Declined)),
            Self::Waiting { fingerprint, .. } if fingerprint == key => Some(Self::Ended(QrEnd::Declined)),
            _ => None,
        }
    }

    /// Whether one answer was taken, of which something is still to come.
    pub(crate) const fn is_taken(&self) -> bool {
        matches!(self, Self::Taken | Self::SignedIn { .. })
    }

    /// How many bytes it holds of what was sent or is to be fetched.
    pub(crate) fn held(&self) -> usize {
        match self {
            Self::Waiting { answer, .. } => answer.len(),
            Self::SignedIn { result, .. } => result.len(),
            Self::Open { .. } | Self::Taken | Self::Fetched | Self::Ended(_) => 0,
        }
    }
}

/// A login from another device, where it stands, and how often it moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QrRow {
    /// What never changes.
    pub login: Arc<QrLogin>,
    /// Where it stands.
    pub state: QrState,
    /// Another number after each move.
    pub version: u64,
}

/// Logins that another device is to sign. Need not be durable, and nothing of them is to lie on a disk; must be bounded.
///
/// One operation moves a login on, and only from the state that was read: so whatever many do at once, each step is taken
/// by one.
#[async_trait]
pub trait QrStore: Send + Sync + 'static {
    /// Keeps a login until some time after it expired, or until it expired where there is no room. When full, makes room
    /// at the cost of whichever network holds most, and not at that of a login that was taken while there is another.
    async fn put(&self, login: QrLogin, now: Timestamp) -> StoreResult<()>;

    /// Reads a login.
    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<QrRow>>;

    /// Moves a login on, if it still is where `version` was read. Answers whether it was. Dropped before it answers, it
    /// should have moved nothing: who hears of no answer does not know that the login is theirs.
    async fn replace(&self, nonce: &Nonce, version: u64, state: QrState) -> StoreResult<bool>;

    /// Waits until the login is no longer where `version` was read, or is gone. May be dropped at any moment.
    async fn changed(&self, nonce: &Nonce, version: u64) -> StoreResult<()>;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(digit: u8) -> Fingerprint {
        format!("{digit:x}").repeat(40).parse().unwrap()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Code(bool),
        Answer(u8),
        Confirm(u8),
        TurnDown,
        Decline(u8, bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<bool>().prop_map(Step::Code),
            (0_u8..3).prop_map(Step::Answer),
            (0_u8..3).prop_map(Step::Confirm),
            Just(Step::TurnDown),
            (0_u8..3, any::<bool>()).prop_map(|(k, code)| Step::Decline(k, code)),
        ]
    }

    fn after(state: &QrState, step: &Step) -> Option<QrState> {
        match step {
            Step::Code(right) => state.with_code(*right).map(|(next, _)| next),
            Step::Answer(k) => state.with_answer(key(*k), Arc::from([*k])),
            Step::Confirm(k) => state.confirmed(&key(*k)).map(|(next, answer)| {
                assert_eq!(&*answer, [*k], "the answer is the confirmed key's");
                next
            }),
            Step::TurnDown => state.turned_down(),
            Step::Decline(k, code) => state.declined_by(&key(*k), *code),
        }
    }

    proptest! {
        /// Whatever comes in whatever order: at most one answer is taken, never after three failures, never one that the
        /// person did not see, and what is decided stays so.
        #[test]
        fn one_answer_is_taken_or_none(steps in proptest::collection::vec(step(), 0..40)) {
            let mut state = QrState::Open { failures: 0 };
            let (mut taken, mut failures) = (0, 0);
            for step in &steps {
                let was_open = state.is_open();
                let waiting = match &state {
                    QrState::Waiting { fingerprint, .. } => Some(*fingerprint),
                    _ => None,
                };
                let Some(next) = after(&state, step) else { continue };
                prop_assert!(was_open, "nothing follows on {state:?}");
                if matches!(step, Step::Code(false) | Step::TurnDown) {
                    failures += 1;
                }
                match (&next, step) {
                    (QrState::Taken, Step::Code(true)) => taken += 1,
                    (QrState::Taken, Step::Confirm(k)) => {
                        prop_assert_eq!(waiting, Some(key(*k)));
                        taken += 1;
                    }
                    (QrState::Taken, _) => prop_assert!(false, "{step:?} takes"),
                    (QrState::Waiting { fingerprint, .. }, _) => {
                        prop_assert!(waiting.is_none_or(|waiting| waiting == *fingerprint), "swapped");
                    }
                    _ => {}
                }
                state = next;
            }
            prop_assert!(taken <= 1 && failures <= 3);
            prop_assert_eq!(matches!(state, QrState::Taken), taken == 1);
            if failures == 3 {
                prop_assert!(!state.is_open());
            }
        }
    }
}
