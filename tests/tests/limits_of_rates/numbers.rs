//! Each number: so many pass, the next does not, and as time passes it does.

use capauth_tower::RateLimits;
use futures_util::future::join_all;
use serde_json::Value;

use crate::people::Key;
use crate::servers::Framework;
use crate::{Visitor, limited, limited_to, nobody, wait};

const HERE: &str = "198.51.100.1";
const ELSEWHERE: &str = "203.0.113.9";

pub(crate) async fn ten_challenges_a_minute_for_a_key_from_an_address(framework: Framework) {
    let world = limited(framework).await;
    let here = world.from(HERE);
    assert_eq!(here.flood(&nobody(1)).await, 10);
    wait(&here.ask(&nobody(1)).await, 6);
    // Of this key, and from here.
    here.ask(&nobody(2)).await.ok();
    world.from(ELSEWHERE).ask(&nobody(1)).await.ok();
    world.advance(5);
    wait(&here.ask(&nobody(1)).await, 1);
    world.advance(1);
    here.ask(&nobody(1)).await.ok();
    wait(&here.ask(&nobody(1)).await, 6);
    world.advance(60);
    assert_eq!(here.flood(&nobody(1)).await, 10, "all of them have come back");
}

pub(crate) async fn three_hundred_challenges_a_minute_from_an_address(framework: Framework) {
    let world = limited(framework).await;
    let here = world.from(HERE);
    for number in 0..300 {
        here.ask(&nobody(number)).await.ok();
    }
    let refused = here.ask(&nobody(300)).await;
    // A fifth of a second, in whole ones.
    wait(&refused, 1);
    // What is refused is not counted for the key either.
    world.from(ELSEWHERE).ask(&nobody(300)).await.ok();
    world.advance(1);
    for number in 300..305 {
        here.ask(&nobody(number)).await.ok();
    }
    wait(&here.ask(&nobody(305)).await, 1);
}

async fn listed(here: &Visitor<'_>) -> usize {
    let keys = here.world.admin("GET", "/keys", Value::Null).await.ok();
    keys.as_array().expect("a list").len()
}

pub(crate) async fn twenty_new_keys_an_hour_from_an_address(framework: Framework) {
    let world = limited(framework).await;
    let here = world.from(HERE);
    let first = Key::new();
    for number in 0..20 {
        let key = if number == 0 { first.clone() } else { Key::new() };
        assert_eq!(here.sign_in(&key).await.ok()["is_new_enrollment"], true, "{number}");
    }
    let late = Key::new();
    wait(&here.sign_in(&late).await, 180);
    assert_eq!(listed(&here).await, 20, "a refused key is not stored");
    // Keys that are known sign in, and elsewhere is elsewhere.
    here.sign_in(&first).await.ok();
    world.from(ELSEWHERE).sign_in(&Key::new()).await.ok();
    world.advance(179);
    wait(&here.sign_in(&late).await, 1);
    world.advance(1);
    assert_eq!(here.sign_in(&late).await.ok()["is_new_enrollment"], true);
    assert_eq!(listed(&here).await, 22);
}

pub(crate) async fn attack_enrolment_by_links(framework: Framework) {
    let world = limited_to(framework, RateLimits::default().enrollments_per_hour(3)).await;
    let here = world.from(HERE);
    let primary = Key::new();
    here.sign_in(&primary).await.ok();
    for number in 0..3 {
        let body = world.link_of_new(&primary, &Key::new()).await;
        let linked = here.post("/link", &body).await;
        if number < 2 {
            linked.ok();
        } else {
            wait(&linked, 1200);
        }
    }
    assert_eq!(listed(&here).await, 3);
    wait(&here.sign_in(&Key::new()).await, 1200);
    // What links known keys enrols nobody.
    let known = Key::new();
    world.from(ELSEWHERE).sign_in(&known).await.ok();
    let body = world.link_body(&primary, &known).await;
    here.post("/link", &body).await.ok();
}

pub(crate) async fn the_numbers_can_be_set(framework: Framework) {
    let limits = RateLimits::default().challenges_per_minute(2).challenges_per_address(3);
    let world = limited_to(framework, limits).await;
    let here = world.from(HERE);
    assert_eq!(here.flood(&nobody(1)).await, 2);
    wait(&here.ask(&nobody(1)).await, 30);
    assert_eq!(here.flood(&nobody(2)).await, 1);
    wait(&here.ask(&nobody(3)).await, 20);

    let world = limited_to(framework, RateLimits::off()).await;
    for number in 0..30 {
        world.from(HERE).ask(&nobody(1)).await.ok();
        assert_ne!(world.from(HERE).fail(&nobody(2)).await.status, 429, "{number}");
    }
}

pub(crate) async fn of_sixty_four_at_once_no_more_than_the_number_pass(framework: Framework) {
    let world = limited(framework).await;
    let here = world.from(HERE);
    let key = nobody(1);
    let answers = join_all((0..64).map(|_| here.ask(&key))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    let answers = join_all((0..64).map(|_| here.fail(&key))).await;
    assert_eq!(answers.iter().filter(|answer| answer.refusal() == "400 invalid_nonce").count(), 5);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 59);

    // Of honest ones none is refused, however many come at once.
    let world = limited_to(framework, RateLimits::default().challenges_per_minute(40)).await;
    let (here, key) = (world.from(HERE), Key::new());
    here.sign_in(&key).await.ok();
    let answers = join_all((0..32).map(|_| here.sign_in(&key))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
}
