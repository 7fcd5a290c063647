//! Several keys for one identity.

use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{World, text};

pub(crate) async fn two_keys_become_one_identity(framework: Framework) {
    let world = World::new(framework).await;
    let (primary, secondary) = (world.member().await, world.member().await);
    for (key, group) in [(&primary, "staff"), (&secondary, "admins")] {
        let path = format!("/keys/{}/groups", key.fingerprint);
        world.admin("PUT", &path, json!({"groups": [group]})).await.ok();
    }
    let (kept, ended) = (world.token(&primary).await, world.token(&secondary).await);

    let answer = world.link(&primary, &secondary).await.ok();
    assert_eq!(answer, json!({"linked": true, "sub": primary.fingerprint}));
    assert!(!world.is_signed_in(&ended).await);
    assert!(world.is_signed_in(&kept).await);

    let login = world.sign_in(&secondary).await.ok();
    assert_eq!(login["fingerprint"], secondary.fingerprint);
    assert_eq!(login["oidc_claims"]["sub"], primary.fingerprint);
    assert_eq!(login["oidc_claims"]["capauth_fingerprint"], secondary.fingerprint);
    assert_eq!(login["oidc_claims"]["groups"], json!(["staff"]), "granted to the primary, and only that");
    assert_eq!(world.sign_in(&primary).await.ok()["oidc_claims"]["sub"], primary.fingerprint);
    let listed = world.listed(&secondary).await;
    assert_eq!(
        (&listed["linked_to"], &listed["sub"]),
        (&json!(primary.fingerprint), &json!(primary.fingerprint))
    );
    assert_eq!(world.listed(&primary).await["linked_to"], Value::Null);
}

pub(crate) async fn a_key_that_is_unlinked_has_its_own_identity_again_without_grants(framework: Framework) {
    let world = World::new(framework).await;
    let (primary, secondary) = (world.member().await, world.member().await);
    let path = format!("/keys/{}", secondary.fingerprint);
    world.admin("PUT", &format!("{path}/groups"), json!({"groups": ["admins"]})).await.ok();
    let email = json!({"email": "a@example.org"});
    world.admin("PUT", &format!("{path}/email"), email).await.ok();
    world.link(&primary, &secondary).await.ok();
    let token = world.token(&secondary).await;

    let answer = world.unlink(&primary, &secondary).await.ok();
    assert_eq!(answer, json!({"linked": false, "sub": secondary.fingerprint}));
    assert!(!world.is_signed_in(&token).await);
    let login = world.sign_in(&secondary).await.ok();
    assert_eq!(login["oidc_claims"]["sub"], secondary.fingerprint);
    assert_eq!(login["oidc_claims"]["groups"], Value::Null);
    assert_eq!(world.listed(&secondary).await["linked_to"], Value::Null);
    let token = world.token_claiming(&secondary, &json!({"email": "a@example.org"})).await;
    assert_eq!(world.user_info(&token).await.ok()["email"], Value::Null);
    // It can join again, or another.
    world.link(&world.member().await, &secondary).await.ok();
}

pub(crate) async fn a_new_key_joins_where_enrolment_is_open(framework: Framework) {
    let world = World::new(framework).await;
    let (primary, secondary) = (world.member().await, Key::new());
    world.link(&primary, &secondary).await.refused("401 unknown_fingerprint");
    let mut body = world.link_of_new(&primary, &secondary).await;
    body["secondary_public_key"] = Key::new().certificate.into();
    world.post("/link", &body).await.refused("401 fingerprint_mismatch");
    body["secondary_public_key"] = "no key".into();
    world.post("/link", &body).await.refused("400 invalid_public_key");
    body["secondary_public_key"] = secondary.certificate.as_str().into();
    assert_eq!(world.post("/link", &body).await.ok(), json!({"linked": true, "sub": primary.fingerprint}));
    let login = world.sign_in(&secondary).await.ok();
    assert_eq!(login["oidc_claims"]["sub"], primary.fingerprint);
    assert_eq!(world.unlink(&primary, &secondary).await.ok()["sub"], secondary.fingerprint);
}

pub(crate) async fn a_new_key_joins_on_an_administrators_word_elsewhere(framework: Framework) {
    use capauth_tower::EnrollmentMode::{Approval, Closed};
    for mode in [Closed, Approval] {
        let world = World::with(framework, |config| config.enrollment(mode)).await;
        let primary = Key::new();
        let enrolled = json!({"public_key": primary.certificate});
        world.admin("POST", "/keys/enroll", enrolled).await.ok();
        let token = text(&world.sign_in(&primary).await.ok(), "access_token");
        let new = Key::new();
        let body = world.link_of_new(&primary, &new).await;
        world.post("/link", &body).await.refused("403 enrollment_closed");
        let wrong = "another-administrators-token-0123456789";
        world.call(Some(wrong), "POST", "/link", &body).await.refused("401 invalid_token");
        world.call(Some(&token), "POST", "/link", &body).await.refused("403 forbidden");
        assert_eq!(world.admin("POST", "/link", body).await.ok()["linked"], true, "{mode:?}");
        assert_eq!(world.sign_in(&new).await.ok()["oidc_claims"]["sub"], primary.fingerprint);
        // An administrator's word does not stand for the keys'.
        let mut unsigned = world.link_of_new(&primary, &Key::new()).await;
        unsigned["primary_signature"] = new.sign("something else", world.now()).into();
        world.admin("POST", "/link", unsigned).await.refused("401 invalid_nonce_signature");
    }
}

pub(crate) async fn known_keys_link_in_every_mode(framework: Framework) {
    let closed = capauth_tower::EnrollmentMode::Closed;
    let world = World::with(framework, |config| config.enrollment(closed)).await;
    let (primary, secondary) = (Key::new(), Key::new());
    for key in [&primary, &secondary] {
        world.admin("POST", "/keys/enroll", json!({"public_key": key.certificate})).await.ok();
    }
    world.link(&primary, &secondary).await.ok();
}

pub(crate) async fn an_administrator_unlinks_without_a_signature(framework: Framework) {
    let world = World::new(framework).await;
    let (primary, secondary) = (world.member().await, world.member().await);
    let token = world.token(&primary).await;
    world.link(&primary, &secondary).await.ok();
    let body = json!({
        "primary_fingerprint": primary.fingerprint, "secondary_fingerprint": secondary.fingerprint,
    });
    world.post("/unlink", &body).await.refused("401 invalid_nonce_signature");
    world.call(Some(&token), "POST", "/unlink", &body).await.refused("403 forbidden");
    let wrong = "another-administrators-token-0123456789";
    world.call(Some(wrong), "POST", "/unlink", &body).await.refused("401 invalid_token");
    let cookie = world.cookie(&primary).await;
    let as_person = world.browse(&cookie, crate::world::ORIGIN, "POST", "/capauth/v1/unlink", &body).await;
    as_person.refused("403 forbidden");
    let answer = world.admin("POST", "/unlink", body.clone()).await.ok();
    assert_eq!(answer, json!({"linked": false, "sub": secondary.fingerprint}));
    world.admin("POST", "/unlink", body).await.refused("409 conflict");
    let unknown =
        json!({"primary_fingerprint": primary.fingerprint, "secondary_fingerprint": crate::world::NOBODY});
    world.admin("POST", "/unlink", unknown).await.refused("404 not_found");
}

pub(crate) async fn the_primary_keys_end_ends_its_secondaries(framework: Framework) {
    for by_owner in [true, false] {
        let world = World::new(framework).await;
        let (primary, secondary) = (world.member().await, world.member().await);
        world.link(&primary, &secondary).await.ok();
        let token = world.token(&secondary).await;
        let bystander = world.member().await;
        if by_owner {
            world.submit(&primary, &primary.revoked()).await;
        } else {
            world.admin("POST", "/keys/revoke", json!({"fingerprint": primary.fingerprint})).await.ok();
        }
        assert!(!world.is_signed_in(&token).await);
        world.sign_in(&secondary).await.refused("401 key_revoked");
        world.sign_in(&primary).await.refused("401 key_revoked");
        world.sign_in(&bystander).await.ok();
    }
}

pub(crate) async fn a_secondary_keys_end_leaves_its_primary(framework: Framework) {
    for by_owner in [true, false] {
        let world = World::new(framework).await;
        let (primary, secondary, other) = (world.member().await, world.member().await, world.member().await);
        world.link(&primary, &secondary).await.ok();
        world.link(&primary, &other).await.ok();
        let (token, kept) = (world.token(&secondary).await, world.token(&primary).await);
        if by_owner {
            world.submit(&secondary, &secondary.revoked()).await;
        } else {
            world.admin("POST", "/keys/revoke", json!({"fingerprint": secondary.fingerprint})).await.ok();
        }
        assert!(!world.is_signed_in(&token).await);
        assert!(world.is_signed_in(&kept).await);
        world.sign_in(&secondary).await.refused("401 key_revoked");
        for key in [&primary, &other] {
            assert_eq!(world.sign_in(key).await.ok()["oidc_claims"]["sub"], primary.fingerprint);
        }
    }
}

pub(crate) async fn an_erased_secondary_key_leaves_its_primary(framework: Framework) {
    let world = World::new(framework).await;
    let (primary, secondary) = (world.member().await, world.member().await);
    world.link(&primary, &secondary).await.ok();
    world.admin("POST", "/keys/erase", json!({"fingerprint": secondary.fingerprint})).await.ok();
    world.sign_in(&secondary).await.refused("401 unknown_fingerprint");
    world.sign_in(&primary).await.ok();
    assert_eq!(world.enrol(&secondary).await["oidc_claims"]["sub"], secondary.fingerprint);
}

pub(crate) async fn an_erased_primary_key_takes_its_secondaries_along(framework: Framework) {
    let world = World::new(framework).await;
    let (primary, secondary) = (world.member().await, world.member().await);
    world.link(&primary, &secondary).await.ok();
    let token = world.token(&secondary).await;
    world.admin("POST", "/keys/erase", json!({"fingerprint": primary.fingerprint})).await.ok();
    assert!(!world.is_signed_in(&token).await);
    for key in [&primary, &secondary] {
        world.sign_in(key).await.refused("401 unknown_fingerprint");
    }
}
