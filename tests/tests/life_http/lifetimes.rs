//! How long things last, where that is configured.

use std::time::Duration;

use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{DAY, World, text};

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

async fn me(world: &World, cookie: &str) -> u16 {
    let answer = world.browse(cookie, "", "GET", "/auth/capauth/me", &Value::Null).await;
    if answer.status != 200 {
        answer.refused("401 invalid_token");
    }
    answer.status
}

pub(crate) async fn what_is_not_used_ends(framework: Framework) {
    let world =
        World::with(framework, |config| config.verifier(|verifier| verifier.session_idle(minutes(10)))).await;
    let alice = world.member().await;
    let (cookie, token, idle) =
        (world.cookie(&alice).await, world.token(&alice).await, world.cookie(&alice).await);
    for _ in 0..3 {
        world.advance(10 * 60);
        assert_eq!(me(&world, &cookie).await, 200);
        assert!(world.is_signed_in(&token).await);
    }
    assert_eq!(me(&world, &idle).await, 401, "thirty minutes alone");
    world.advance(10 * 60 + 1);
    assert_eq!(me(&world, &cookie).await, 401);
    assert!(!world.is_signed_in(&token).await);
    assert_eq!(me(&world, &world.cookie(&alice).await).await, 200);
}

pub(crate) async fn without_a_bound_what_is_not_used_lasts(framework: Framework) {
    let world = World::new(framework).await;
    let cookie = world.cookie(&Key::new()).await;
    world.advance(11 * 3600);
    assert_eq!(me(&world, &cookie).await, 200);
}

pub(crate) async fn a_session_has_its_time_however_much_it_is_used(framework: Framework) {
    let world = World::with(framework, |config| config.session_lifetime(minutes(30))).await;
    let cookie = world.cookie(&Key::new()).await;
    for _ in 0..29 {
        world.advance(60);
        assert_eq!(me(&world, &cookie).await, 200);
    }
    world.advance(59);
    assert_eq!(me(&world, &cookie).await, 200);
    world.advance(1);
    assert_eq!(me(&world, &cookie).await, 401);
}

pub(crate) async fn the_verifiers_own_setting_of_a_sessions_time_counts(framework: Framework) {
    let world =
        World::with(framework, |config| config.verifier(|verifier| verifier.session_lifetime(minutes(30))))
            .await;
    let cookie = world.cookie(&Key::new()).await;
    world.advance(30 * 60 - 1);
    assert_eq!(me(&world, &cookie).await, 200);
    world.advance(1);
    assert_eq!(me(&world, &cookie).await, 401);
}

pub(crate) async fn the_other_times_are_set_too(framework: Framework) {
    let world = World::with(framework, |config| {
        config.require_approval().verifier(|verifier| {
            verifier
                .rotation_delay(minutes(60))
                .pending_lifetime(minutes(120))
                .refresh_lifetime(minutes(90))
                .token_lifetime(minutes(5))
        })
    })
    .await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.try_enrol(&old).await.refused("403 enrollment_pending");
    world.admin("POST", "/keys/approve", json!({"fingerprint": old.fingerprint})).await.ok();
    let pending = Key::new();
    world.try_enrol(&pending).await.refused("403 enrollment_pending");

    let body = world.login_of(&old, json!({"refresh": true})).await;
    let login = world.post("/verify", &body).await.ok();
    assert_eq!(login["expires_in"], 300);
    let waits = world.rotate(&by_subkey, &new).await;
    assert_eq!(waits.json()["effective_at"], world.time(3600));
    let (access, mut refresh) = (text(&login, "access_token"), text(&login, "refresh_token"));
    world.advance(300);
    assert!(!world.is_signed_in(&access).await);
    let ask = |token: &str| json!({"grant_type": "refresh_token", "refresh_token": token});
    refresh = text(&world.post("/token", &ask(&refresh)).await.ok(), "refresh_token");
    world.advance(3300);
    world.sign_in(&old).await.refused("401 key_revoked");
    world.sign_in(&new).await.ok();
    world.post("/token", &ask(&refresh)).await.refused("401 invalid_token");

    let body = world.login_of(&new, json!({"refresh": true})).await;
    let refresh = text(&world.post("/verify", &body).await.ok(), "refresh_token");
    world.advance(90 * 60);
    world.post("/token", &ask(&refresh)).await.refused("401 invalid_token");
    world.sign_in(&pending).await.refused("401 unknown_fingerprint");
    world.advance(DAY);
    world.sign_in(&new).await.ok();
}
