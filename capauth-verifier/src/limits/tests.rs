use std::collections::HashMap;
use std::task::{Context, Poll, Waker};
use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;

const START: u64 = 1_700_000_000_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(UNIX_EPOCH + Duration::from_millis(START)))
}

fn limits(numbers: &RateLimits, clock: &Arc<ManualClock>) -> Limits {
    let clock: Arc<dyn Clock> = clock.clone();
    Limits::new(numbers, &clock).unwrap()
}

fn from(address: &str) -> Caller {
    Caller { address: Some(address.parse().unwrap()), ..Caller::default() }
}

fn key(number: u64) -> Fingerprint {
    format!("{number:040X}").parse().unwrap()
}

/// What a bucket is: so many, of which one comes back every so often.
struct Model {
    number: u64,
    worth: u64,
    /// Milliseconds' worth of what is used up, and when that was so.
    buckets: HashMap<u8, (u64, u64)>,
}

impl Model {
    fn used(&self, key: u8, now: u64) -> u64 {
        let (used, at) = self.buckets.get(&key).copied().unwrap_or((0, now));
        used.saturating_sub(now - at)
    }

    fn take(&mut self, key: u8, now: u64) -> Result<(), u64> {
        let used = self.used(key, now);
        let most = (self.number - 1) * self.worth;
        if used > most {
            return Err(used - most);
        }
        self.buckets.insert(key, (used + self.worth, now));
        Ok(())
    }

    fn give_back(&mut self, key: u8, now: u64) {
        let used = self.used(key, now).saturating_sub(self.worth);
        self.buckets.insert(key, (used, now));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Take(u8),
    GiveBack(u8),
    Wait(u64),
    /// The clock is set back: nothing changes.
    SetBack(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_u8).prop_map(Step::Take),
        1 => (0..4_u8).prop_map(Step::GiveBack),
        3 => prop_oneof![0..50_u64, 0..20_000_u64, 0..4_000_000_u64].prop_map(Step::Wait),
        1 => (0..100_000_u64).prop_map(Step::SetBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn buckets_do_what_a_simple_model_does(
        number in 1..40_u32,
        window in prop_oneof![Just(60_u64), Just(3600)],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let clock = clock();
        let meter = Meter::new(number, Duration::from_secs(window), 1024, clock.clone());
        let worth = (window * 1000).div_ceil(u64::from(number));
        let mut model = Model { number: u64::from(number), worth, buckets: HashMap::new() };
        let (mut now, mut shown) = (0, START);
        for step in steps {
            match step {
                Step::Take(key) => {
                    let expected = model.take(key, now).map_err(Duration::from_millis);
                    prop_assert_eq!(meter.take(&key), expected, "{} at {}", key, now);
                }
                Step::GiveBack(key) => {
                    // Only of what was taken, and it is looked at first, as it always is.
                    if model.used(key, now) > 0 {
                        meter.give_back(&key);
                        model.give_back(key, now);
                    }
                }
                Step::Wait(millis) => {
                    clock.advance(Duration::from_millis(millis));
                    (now, shown) = (now + millis, shown + millis);
                }
                Step::SetBack(millis) => {
                    // Time that passed and was not looked at is lost with it, so it is looked at.
                    let _ = meter.take(&200_u8);
                    shown -= millis;
                    clock.set(UNIX_EPOCH + Duration::from_millis(shown));
                    let _ = meter.take(&200_u8);
                }
            }
        }
    }

    /// However the requests fall: in no window are there more than the number, and what came back in it.
    #[test]
    fn no_window_has_more_than_twice_the_number(
        number in 1..30_u32,
        waits in prop::collection::vec(0..3_000_u64, 1..300),
    ) {
        let clock = clock();
        let meter = Meter::new(number, MINUTE, 8, clock.clone());
        let (mut now, mut passed) = (0, Vec::new());
        for wait in waits {
            clock.advance(Duration::from_millis(wait));
            now += wait;
            if meter.take(&()).is_ok() {
                passed.push(now);
            }
        }
        for begin in &passed {
            let within = passed.iter().filter(|at| (*begin..begin + 60_000).contains(*at)).count();
            prop_assert!(within <= 2 * number as usize, "{within} of {number}");
        }
    }
}

/// Somebody in one of the networks of 2001:db8::/32.
fn of_network(number: u32) -> Caller {
    let [a, b, c, d] = number.to_be_bytes().map(u16::from);
    let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, a << 8 | b, c << 8 | d, 0, 0, 0, 1);
    Caller { address: Some(address.into()), ..Caller::default() }
}

#[test]
fn tables_have_one_size_whatever_is_sent() {
    let limits = limits(&RateLimits::default(), &clock());
    let (size, key) = (limits.bytes(), key(1));
    assert!((1 << 20..8 << 20).contains(&size), "{size} bytes");
    for number in 0..150_000 {
        let caller = of_network(number);
        let _ = limits.challenge(&caller, Some(&key));
        let _ = limits.enrollment(&caller);
    }
    assert_eq!(limits.bytes(), size);
}

/// Every network of a /48 at work, each with all that it may ask for and more: somebody else signs in meanwhile, and what
/// the networks themselves may do stays bounded.
#[test]
fn attack_flood_from_every_network_of_a_slash_48() {
    const NETWORKS: u32 = 1 << 16;
    let limits = limits(&RateLimits::default().challenges_per_address(2), &clock());
    let mut passed = 0;
    for round in 0..4 {
        let flooded = key(round);
        for network in 0..NETWORKS {
            passed += u32::from(limits.challenge(&of_network(network), Some(&flooded)).is_ok());
        }
        for number in 0..200 {
            let honest = from(&format!("192.0.{round}.{number}"));
            limits.challenge(&honest, Some(&flooded)).unwrap();
        }
    }
    let allowed = 2 * NETWORKS;
    // A set that overflows forgets: of all networks a few percent get more.
    assert!((allowed..allowed + allowed / 20).contains(&passed), "{passed} of {allowed}");
}

#[test]
fn attack_flood_of_a_fingerprint_counts_against_its_sender_alone() {
    let limits = limits(&RateLimits::default(), &clock());
    let (flooded, another) = (key(7), key(8));
    let flood = from("198.51.100.1");
    for number in 0..10 {
        assert!(limits.challenge(&flood, Some(&flooded)).is_ok(), "{number}");
    }
    let refused = limits.challenge(&flood, Some(&flooded)).unwrap_err();
    assert_eq!((refused.kind(), refused.seconds_to_wait()), (AuthErrorKind::TooManyRequests, Some(6)));
    limits.challenge(&flood, Some(&another)).unwrap();
    limits.challenge(&from("198.51.100.2"), Some(&flooded)).unwrap();
}

#[test]
fn without_an_address_nothing_is_counted() {
    let limits = limits(&RateLimits::default(), &clock());
    for _ in 0..1_000 {
        limits.challenge(&Caller::default(), Some(&key(1))).unwrap();
        limits.enrollment(&Caller::default()).unwrap();
    }
}

#[tokio::test]
async fn what_goes_well_is_not_counted_and_what_is_the_servers_fault_is_not_either() {
    let limits = limits(&RateLimits::default(), &clock());
    let caller = from("192.0.2.1");
    for _ in 0..100 {
        limits.attempt(&caller, Some(&key(1))).await.unwrap().succeeded();
        let fault: Result<(), AuthError> = Err(AuthErrorKind::Unavailable.into());
        limits.attempt(&caller, Some(&key(1))).await.unwrap().conclude(&fault);
    }
    let refused: Result<(), AuthError> = Err(AuthErrorKind::InvalidNonceSignature.into());
    for _ in 0..5 {
        limits.attempt(&caller, Some(&key(1))).await.unwrap().conclude(&refused);
    }
    let error = limits.attempt(&caller, Some(&key(1))).await.unwrap_err();
    assert_eq!(error.seconds_to_wait(), Some(12));
    limits.attempt(&caller, Some(&key(2))).await.unwrap().succeeded();
}

/// Whoever breaks off before the answer has tried all the same.
#[tokio::test]
async fn attack_attempts_broken_off_before_they_are_answered() {
    let limits = limits(&RateLimits::default(), &clock());
    let caller = from("192.0.2.1");
    for _ in 0..5 {
        drop(limits.attempt(&caller, Some(&key(1))).await.unwrap());
    }
    assert!(limits.attempt(&caller, Some(&key(1))).await.is_err());
}

async fn many_at_once(outcome: fn() -> Result<(), AuthError>) -> (usize, usize) {
    let limits = Arc::new(limits(&RateLimits::default(), &clock()));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let limits = Arc::clone(&limits);
            tokio::spawn(async move {
                let caller = from("192.0.2.1");
                let challenged = limits.challenge(&caller, Some(&key(1))).is_ok();
                let Ok(attempt) = limits.attempt(&caller, Some(&key(1))).await else {
                    return (challenged, false);
                };
                tokio::task::yield_now().await;
                attempt.conclude(&outcome());
                (challenged, true)
            })
        })
        .collect();
    let (mut challenged, mut tried) = (0, 0);
    for task in tasks {
        let (challenge, attempt) = task.await.unwrap();
        challenged += usize::from(challenge);
        tried += usize::from(attempt);
    }
    (challenged, tried)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_at_once_no_more_than_the_number_pass() {
    for _ in 0..50 {
        assert_eq!(many_at_once(|| Err(AuthErrorKind::InvalidNonceSignature.into())).await, (10, 5));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_at_once_that_go_well_none_is_refused() {
    for _ in 0..50 {
        assert_eq!(many_at_once(|| Ok(())).await, (10, 64));
    }
}

#[test]
fn a_device_has_buckets_of_its_own_but_no_enrolments() {
    let limits = limits(&RateLimits::default(), &clock());
    let stranger = from("192.0.2.1");
    let known = Caller { device: Some(DeviceId::generate().unwrap()), ..stranger.clone() };
    while limits.challenge(&stranger, Some(&key(1))).is_ok() {}
    for _ in 0..10 {
        limits.challenge(&known, Some(&key(1))).unwrap();
    }
    assert!(limits.challenge(&known, Some(&key(1))).is_err(), "bounded alike");
    for _ in 0..10 {
        limits.enrollment(&stranger).unwrap();
        limits.enrollment(&known).unwrap();
    }
    assert!(limits.enrollment(&known).is_err());
    limits.not_enrolled(&known);
    limits.enrollment(&stranger).unwrap();
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let clock: Arc<dyn Clock> = clock();
    for bad in [
        RateLimits::default().challenges_per_minute(0),
        RateLimits::default().failures_per_minute(60_001),
        RateLimits::default().challenges_per_address(0),
        RateLimits::default().failures_per_address(u32::MAX),
        RateLimits::off().enrollments_per_hour(0),
    ] {
        let error = Limits::new(&bad, &clock).unwrap_err().to_string();
        assert!(error.contains("1 to 60000"), "{error}");
    }
    assert!(!Limits::new(&RateLimits::off(), &clock).unwrap().are_on());
}

/// More wait for an answer than are told of it at once: those beyond come again.
#[tokio::test]
async fn attack_any_number_of_requests_that_wait_for_one_answer() {
    let limits = limits(&RateLimits::default().failures_per_minute(1), &clock());
    let (caller, neighbour, key) = (from("192.0.2.1"), from("192.0.2.2"), key(1));
    let mut context = Context::from_waker(Waker::noop());
    let judged = limits.attempt(&caller, Some(&key)).await.unwrap();
    let (mut waiting, mut refused) = (Vec::new(), 0);
    for _ in 0..100 {
        let mut waits = Box::pin(limits.attempt(&caller, Some(&key)));
        match waits.as_mut().poll(&mut context) {
            Poll::Pending => waiting.push(waits),
            Poll::Ready(answer) => {
                assert_eq!(answer.unwrap_err().seconds_to_wait(), Some(1));
                refused += 1;
            }
        }
    }
    assert_eq!((waiting.len(), refused), (64, 36));
    // Nobody else waits for it.
    limits.attempt(&neighbour, Some(&key)).await.unwrap().succeeded();
    limits.attempt(&caller, None).await.unwrap().succeeded();
    judged.succeeded();
    for waits in waiting {
        waits.await.unwrap().succeeded();
    }
    // Those who went away while they waited take nobody's place.
    let judged = limits.attempt(&caller, Some(&key)).await.unwrap();
    for _ in 0..200 {
        let mut waits = Box::pin(limits.attempt(&caller, Some(&key)));
        assert!(waits.as_mut().poll(&mut context).is_pending());
    }
    judged.succeeded();
}

/// What breaks on our side is not the sender's.
#[tokio::test]
async fn an_attempt_that_ends_in_a_panic_is_not_counted() {
    let limits = Arc::new(limits(&RateLimits::default().failures_per_minute(1), &clock()));
    for _ in 0..3 {
        let own = Arc::clone(&limits);
        let task = tokio::spawn(async move {
            let _attempt = own.attempt(&from("192.0.2.1"), Some(&key(1))).await.unwrap();
            panic!("a fault of the server's");
        });
        assert!(task.await.unwrap_err().is_panic());
    }
    limits.attempt(&from("192.0.2.1"), Some(&key(1))).await.unwrap().succeeded();
}

#[test]
fn attack_application_that_names_any_address() {
    let limits = limits(&RateLimits::default().enrollments_per_hour(1), &clock());
    let by = |name: &str, caller: Caller| Caller { application: Some(name.into()), ..caller };
    let victim = from("192.0.2.1");
    while limits.challenge(&by("bad", victim.clone()), Some(&key(1))).is_ok() {}
    limits.challenge(&victim, Some(&key(1))).unwrap();
    limits.challenge(&by("good", victim.clone()), Some(&key(1))).unwrap();
    let enrolled = (0..200).filter(|number| limits.enrollment(&by("bad", of_network(*number))).is_ok());
    assert_eq!(enrolled.count(), 50);
    assert!(limits.enrollment(&by("bad", Caller::default())).is_err(), "nor when it names none");
    limits.not_enrolled(&by("bad", of_network(1)));
    limits.enrollment(&by("bad", of_network(1))).unwrap();
    limits.enrollment(&by("good", victim.clone())).unwrap();
    limits.enrollment(&victim).unwrap();
}

#[test]
fn attack_device_names_collected_and_used_at_once() {
    let limits = limits(&RateLimits::default().challenges_per_address(3), &clock());
    let at = from("192.0.2.1");
    let device = || Caller { device: Some(DeviceId::generate().unwrap()), ..at.clone() };
    let passed = (0..50).filter(|number| limits.challenge(&device(), Some(&key(*number))).is_ok());
    assert_eq!(passed.count(), 30);
    let known = device();
    assert!(limits.challenge(&known, None).is_err());
    limits.challenge(&at, None).unwrap();
    limits.challenge(&Caller { address: from("192.0.2.2").address, ..known.clone() }, None).unwrap();
    // What was refused is not counted for the browser itself.
    for _ in 0..2 {
        limits.challenge(&Caller { address: from("192.0.2.2").address, ..known.clone() }, None).unwrap();
    }
}
