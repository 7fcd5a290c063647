//! Who proves possession of a key, and is not let in with it.

use capauth_tower::{EnrollmentMode, RateLimits};
use capauth_verifier::Actor;
use serde_json::json;

use crate::people::Key;
use crate::servers::Framework;
use crate::world::World;

/// Where nobody is sent away for trying too often: what is tried here would be.
async fn unlimited(framework: Framework, mode: EnrollmentMode) -> World {
    World::with(framework, |config| config.enrollment(mode).rate_limits(RateLimits::off())).await
}

/// Signs in by the code; answers how that was refused, or nothing.
async fn sign_in(world: &World, key: &Key) -> Option<String> {
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let answer = phone.send(&phone.answer_with(key, world.now(), desktop.code())).await;
    (answer.status != 200).then(|| answer.refusal())
}

/// Whatever this key says about a login, nothing comes of it, and somebody else signs in.
async fn is_kept_out(world: &World, key: &Key, enrollment_code: Option<&str>, refusal: &str, alice: &Key) {
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let answer = |code: Option<String>, decline: bool| {
        let mut answer = phone.answer(key, world.now());
        answer["code"] = code.into();
        answer["decline"] = decline.into();
        answer["enrollment_code"] = enrollment_code.into();
        answer
    };
    for number in 0..3 {
        for decline in [false, true] {
            phone.send(&answer(Some(desktop.wrong_code(number)), decline)).await.refused(refusal);
        }
    }
    // The right one tells them no more, and does not use the login up.
    for decline in [false, true] {
        phone.send(&answer(Some(desktop.code()), decline)).await.refused(refusal);
    }
    phone.send(&answer(None, false)).await.refused(refusal);
    assert_eq!(desktop.peek().await, json!({"status": "pending", "completed": false}));
    phone.send(&phone.answer_with(alice, world.now(), desktop.code())).await.ok();
}

pub(crate) async fn attack_codes_tried_with_keys_that_are_not_let_in(framework: Framework) {
    let world = unlimited(framework, EnrollmentMode::Open).await;
    let (alice, revoked) = (Key::new(), Key::new());
    for key in [&alice, &revoked] {
        assert_eq!(sign_in(&world, key).await, None);
    }
    let local = world.capauth.local_verifier().unwrap();
    let administration = local.administration(Actor::Administrator, None);
    administration.revoke(&revoked.draft.fingerprint()).await.unwrap();
    is_kept_out(&world, &revoked, None, "401 key_revoked", &alice).await;
}

pub(crate) async fn attack_codes_tried_with_keys_that_wait(framework: Framework) {
    let world = unlimited(framework, EnrollmentMode::Approval).await;
    let (alice, waiting, new) = (Key::new(), Key::new(), Key::new());
    let local = world.capauth.local_verifier().unwrap();
    let administration = local.administration(Actor::Administrator, None);
    for key in [&alice, &waiting] {
        assert_eq!(sign_in(&world, key).await.as_deref(), Some("403 enrollment_pending"));
    }
    administration.approve(&alice.draft.fingerprint()).await.unwrap();
    let nobodys = Some("0123456789abcdef0123456789abcdef");
    is_kept_out(&world, &waiting, None, "403 enrollment_pending", &alice).await;
    is_kept_out(&world, &waiting, nobodys, "403 enrollment_pending", &alice).await;
    is_kept_out(&world, &new, nobodys, "403 enrollment_closed", &alice).await;
    // One that an administrator made lets in whoever waits, and whoever is new; once.
    for key in [&waiting, &new] {
        let made = administration.make_code(&[], None).await.unwrap();
        let desktop = world.desktop().await;
        let phone = world.phone(&desktop);
        let mut answer = phone.answer_with(key, world.now(), desktop.code());
        answer["enrollment_code"] = made.enrollment_code.as_str().into();
        phone.send(&answer).await.ok();
        is_kept_out(&world, &Key::new(), Some(&made.enrollment_code), "403 enrollment_closed", &alice).await;
    }
}

pub(crate) async fn attack_codes_tried_where_nobody_new_comes_in(framework: Framework) {
    let world = unlimited(framework, EnrollmentMode::Open).await;
    let alice = Key::new();
    assert_eq!(sign_in(&world, &alice).await, None);
    // A code that nobody needs keeps nobody out.
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let mut answer = phone.answer_with(&Key::new(), world.now(), desktop.code());
    answer["enrollment_code"] = "0123456789abcdef0123456789abcdef".into();
    phone.send(&answer).await.ok();

    let world = unlimited(framework, EnrollmentMode::Closed).await;
    let local = world.capauth.local_verifier().unwrap();
    let made = local.administration(Actor::Administrator, None).make_code(&[], None).await.unwrap();
    let desktop = world.desktop().await;
    let phone = world.phone(&desktop);
    let mut answer = phone.answer_with(&alice, world.now(), desktop.code());
    answer["enrollment_code"] = made.enrollment_code.as_str().into();
    phone.send(&answer).await.ok();
    for code in [None, Some("0123456789abcdef0123456789abcdef"), Some(&*made.enrollment_code)] {
        is_kept_out(&world, &Key::new(), code, "403 enrollment_closed", &alice).await;
    }
}
