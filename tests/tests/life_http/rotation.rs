//! A new key takes an old one's place.

use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{DAY, World, members};

pub(crate) async fn a_primary_key_is_replaced_at_once_and_its_identity_stays(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new) = (world.member().await, Key::new());
    let path = format!("/keys/{}", old.fingerprint);
    world.admin("PUT", &format!("{path}/groups"), json!({"groups": ["staff"]})).await.ok();
    world.admin("PUT", &format!("{path}/name"), json!({"user_name": "alice"})).await.ok();
    let (token, cookie) = (world.token(&old).await, world.cookie(&old).await);

    let answer = world.rotate(&old, &new).await.ok();
    assert_eq!(
        answer,
        json!({
            "rotated": true, "old_fingerprint": old.fingerprint, "new_fingerprint": new.fingerprint,
            "sub": old.fingerprint,
        })
    );

    world.sign_in(&old).await.refused("401 key_revoked");
    world.try_enrol(&old).await.refused("401 key_revoked");
    assert!(!world.is_signed_in(&token).await);
    world.browse(&cookie, "", "GET", "/auth/capauth/me", &Value::Null).await.refused("401 invalid_token");

    let login = world.sign_in(&new).await.ok();
    assert_eq!(login["fingerprint"], new.fingerprint);
    assert_eq!(login["is_new_enrollment"], false);
    assert_eq!(login["oidc_claims"]["sub"], old.fingerprint);
    assert_eq!(login["oidc_claims"]["capauth_fingerprint"], new.fingerprint);
    assert_eq!(login["oidc_claims"]["groups"], json!(["staff"]));
    let told = world.user_info(login["access_token"].as_str().unwrap()).await.ok();
    assert_eq!(told["preferred_username"], "alice");
    assert_eq!(world.listed(&new).await["sub"], old.fingerprint);
    assert_eq!(world.listed(&new).await["replaced_at"], Value::Null);
    assert_eq!(world.listed(&old).await["replaced_at"], world.time(0));
    assert_eq!(world.listed(&old).await["replaced_soon"], Value::Null);
}

pub(crate) async fn an_identity_outlives_any_number_of_keys(framework: Framework) {
    let world = World::new(framework).await;
    let first = world.member().await;
    let mut current = first.clone();
    for _ in 0..3 {
        let next = Key::new();
        assert_eq!(world.rotate(&current, &next).await.ok()["sub"], first.fingerprint);
        world.sign_in(&current).await.refused("401 key_revoked");
        current = next;
    }
    assert_eq!(world.sign_in(&current).await.ok()["oidc_claims"]["sub"], first.fingerprint);
}

pub(crate) async fn fingerprints_are_signed_as_they_are_spelled(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new) = (world.member().await, Key::new());
    let spelled = |key: &Key| format!("0x{}", key.fingerprint.to_lowercase());
    let body = world
        .rotation_with(&old, &new, |body| {
            body["old_fingerprint"] = spelled(&old).into();
            body["new_fingerprint"] = spelled(&new).into();
        })
        .await;
    // What was signed has this spelling: another one is another text.
    let mut respelled = body.clone();
    respelled["new_fingerprint"] = new.fingerprint.as_str().into();
    world.post("/rotate", &respelled).await.refused("401 invalid_nonce_signature");
    let answer = world.post("/rotate", &body).await.ok();
    assert_eq!(answer["old_fingerprint"], old.fingerprint, "answered in capitals");
    assert_eq!(answer["new_fingerprint"], new.fingerprint);
}

pub(crate) async fn a_subkeys_rotation_waits_a_week(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    let token = world.token(&old).await;
    let answer = world.rotate(&by_subkey, &new).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.json(),
        json!({
            "rotated": false, "old_fingerprint": old.fingerprint, "new_fingerprint": new.fingerprint,
            "sub": old.fingerprint, "effective_at": world.time(7 * 24 * 3600),
        })
    );
    assert!(world.is_signed_in(&token).await, "nothing has happened yet");
    let soon = json!({"fingerprint": new.fingerprint, "effective_at": world.time(7 * 24 * 3600)});
    assert_eq!(world.listed(&old).await["replaced_soon"], soon);
    world.try_enrol(&new).await.refused("409 conflict");

    world.advance(7 * DAY - 6);
    world.sign_in(&old).await.ok();
    world.try_enrol(&new).await.refused("409 conflict");
    let token = world.token(&old).await;
    world.advance(6);
    assert!(!world.is_signed_in(&token).await);
    world.sign_in(&old).await.refused("401 key_revoked");
    assert_eq!(world.sign_in(&new).await.ok()["oidc_claims"]["sub"], old.fingerprint);
}

pub(crate) async fn a_waiting_rotation_happens_on_whatever_request_comes_first(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    let listed = |entry: Value| entry["replaced_at"].clone();
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    world.advance(8 * DAY);
    // The first to come is somebody else.
    world.member().await;
    assert_ne!(listed(world.listed(&old).await), Value::Null);
    assert_eq!(world.listed(&new).await["sub"], old.fingerprint);
}

pub(crate) async fn the_primary_key_cancels_a_waiting_rotation(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    world.cancel(&old).await.refused("404 not_found");
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);

    assert_eq!(world.cancel(&old).await.ok(), json!({"cancelled": true}));
    world.cancel(&old).await.refused("404 not_found");
    world.advance(8 * DAY);
    assert_eq!(world.sign_in(&old).await.ok()["oidc_claims"]["sub"], old.fingerprint);
    // The other key is a stranger's again.
    assert_eq!(world.enrol(&new).await["oidc_claims"]["sub"], new.fingerprint);
}

pub(crate) async fn an_administrator_cancels_a_waiting_rotation(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    let path = format!("/keys/{}/rotation", old.fingerprint);
    world.admin("DELETE", &path, Value::Null).await.refused("404 not_found");
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    world.call(None, "DELETE", &path, &Value::Null).await.refused("401 invalid_token");
    let answer = world.admin("DELETE", &path, Value::Null).await.ok();
    assert_eq!(answer, json!({"cancelled": true, "fingerprint": old.fingerprint}));
    world.admin("DELETE", &path, Value::Null).await.refused("404 not_found");
    world.admin("DELETE", "/keys/xyz/rotation", Value::Null).await.refused("400 invalid_fingerprint");
    world.advance(8 * DAY);
    world.sign_in(&old).await.ok();
}

pub(crate) async fn a_waiting_rotation_ends_with_its_subkey(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, revoked), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    // No login: a revocation proves itself.
    world.submit(&old, &revoked).await;
    world.advance(8 * DAY);
    world.sign_in(&old).await.ok();
    world.sign_in(&by_subkey).await.refused("401 key_revoked");
    assert_eq!(world.listed(&new).await, Value::Null);
}

pub(crate) async fn attack_rotation_by_the_thief_of_a_subkey(framework: Framework) {
    let world = World::new(framework).await;
    let (owner, thief, _) = Key::with_subkey();
    world.enrol(&owner).await;
    let (mallorys, other) = (Key::new(), Key::new());
    assert_eq!(world.rotate(&thief, &mallorys).await.status, 202);
    // Neither a second rotation nor a cancellation of their own.
    world.rotate(&thief, &other).await.refused("409 conflict");
    world.cancel(&thief).await.refused("403 forbidden");
    // The owner is not kept waiting, and nothing is left of the other.
    let next = Key::new();
    assert_eq!(world.rotate(&owner, &next).await.ok()["rotated"], true);
    world.advance(8 * DAY);
    assert_eq!(world.sign_in(&next).await.ok()["oidc_claims"]["sub"], owner.fingerprint);
    assert_eq!(world.listed(&mallorys).await, Value::Null);
    world
        .admin("DELETE", &format!("/keys/{}/rotation", next.fingerprint), Value::Null)
        .await
        .refused("404 not_found");
}

pub(crate) async fn attack_rotation_that_waited_while_its_key_was_revoked(framework: Framework) {
    for by_owner in [true, false] {
        let world = World::new(framework).await;
        let ((owner, thief, _), mallorys) = (Key::with_subkey(), Key::new());
        world.enrol(&owner).await;
        assert_eq!(world.rotate(&thief, &mallorys).await.status, 202);
        if by_owner {
            world.submit(&owner, &owner.revoked()).await;
        } else {
            world.admin("POST", "/keys/revoke", json!({"fingerprint": owner.fingerprint})).await.ok();
        }
        world.advance(8 * DAY);
        world.sign_in(&mallorys).await.refused("401 unknown_fingerprint");
        assert_eq!(world.listed(&mallorys).await, Value::Null, "by its owner: {by_owner}");
    }
}

pub(crate) async fn an_old_keys_revocation_suspends_until_an_administrator_decides(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new) = (world.member().await, Key::new());
    world.rotate(&old, &new).await.ok();
    let token = world.token(&new).await;
    world.advance(30 * DAY - 60);
    world.submit(&old, &old.revoked()).await;
    assert!(!world.is_signed_in(&token).await);
    let refused = world.sign_in(&new).await;
    refused.refused("403 key_suspended");
    assert_eq!(world.listed(&new).await["suspended"], true);
    // Said after proof alone.
    let mut unproven = world.login_of(&new, Value::Null).await;
    unproven["nonce_signature"] = Key::new().sign("something else", world.now()).into();
    world.post("/verify", &unproven).await.refused("401 invalid_nonce_signature");
    world.rotate(&new, &Key::new()).await.refused("403 key_suspended");

    let answer = world.admin("POST", "/keys/approve", json!({"fingerprint": new.fingerprint})).await.ok();
    assert_eq!(members(&answer), ["approved", "fingerprint"]);
    assert_eq!(world.sign_in(&new).await.ok()["oidc_claims"]["sub"], old.fingerprint);
    assert_eq!(world.listed(&new).await["suspended"], false);
    world.sign_in(&old).await.refused("401 key_revoked");
}

pub(crate) async fn attack_suspension_by_the_thief_of_a_key_long_retired(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new) = (world.member().await, Key::new());
    world.rotate(&old, &new).await.ok();
    world.advance(30 * DAY + 60);
    let token = world.token(&new).await;
    world.submit(&old, &old.revoked()).await;
    world.sign_in(&new).await.ok();
    assert!(world.is_signed_in(&token).await);
    // Nor by a revocation that somebody else signed.
    let world = World::new(framework).await;
    let (old, new) = (world.member().await, Key::new());
    world.rotate(&old, &new).await.ok();
    let forged = Key::new().draft.revocation(sequoia_openpgp::types::ReasonForRevocation::KeyCompromised, 0);
    let mut draft = old.draft.clone();
    draft.packets.insert(1, forged.into());
    world.submit(&old, &draft.armored()).await;
    world.sign_in(&new).await.ok();
}

pub(crate) async fn the_primary_key_confirms_what_a_subkey_began(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    assert_eq!(world.rotate(&old, &new).await.ok()["rotated"], true);
    assert_eq!(world.sign_in(&new).await.ok()["oidc_claims"]["sub"], old.fingerprint);
    world.advance(8 * DAY);
    world.sign_in(&new).await.ok();
}

pub(crate) async fn a_waiting_rotation_goes_with_an_identity_that_is_erased(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    world.admin("POST", "/keys/erase", json!({"fingerprint": old.fingerprint})).await.ok();
    world.advance(8 * DAY);
    world.sign_in(&new).await.refused("401 unknown_fingerprint");
    assert_eq!(world.enrol(&new).await["oidc_claims"]["sub"], new.fingerprint);
}

pub(crate) async fn a_rotation_whose_week_is_over_is_seen_by_administrators_first(framework: Framework) {
    let world = World::new(framework).await;
    let ((old, by_subkey, _), new) = (Key::with_subkey(), Key::new());
    world.enrol(&old).await;
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    world.advance(8 * DAY);
    // Nobody else has asked for anything since.
    let path = format!("/keys/{}/rotation", old.fingerprint);
    world.admin("DELETE", &path, Value::Null).await.refused("404 not_found");
    assert_ne!(world.listed(&old).await["replaced_at"], Value::Null);
    assert_eq!(world.listed(&new).await["sub"], old.fingerprint);
}

pub(crate) async fn a_key_of_the_newest_kind_takes_the_place_of_an_older_one(framework: Framework) {
    use capauth_tests::keys::{CREATED, Draft, ed25519_v6};
    let world = World::new(framework).await;
    let old = world.member().await;
    let new = Key::of(Draft::of(ed25519_v6(CREATED)).user_id("Test <test@example.org>", |b| b));
    assert_eq!(new.fingerprint.len(), 64);
    assert_eq!(world.rotate(&old, &new).await.ok()["new_fingerprint"], new.fingerprint);
    assert_eq!(world.sign_in(&new).await.ok()["oidc_claims"]["sub"], old.fingerprint);
    let next = Key::new();
    world.rotate(&new, &next).await.ok();
    assert_eq!(world.sign_in(&next).await.ok()["oidc_claims"]["sub"], old.fingerprint);
}

pub(crate) async fn a_rotation_is_no_enrolment(framework: Framework) {
    use capauth_tower::EnrollmentMode::{Approval, Closed};
    for mode in [Closed, Approval] {
        let world = World::with(framework, |config| config.enrollment(mode)).await;
        let (old, new) = (Key::new(), Key::new());
        world.admin("POST", "/keys/enroll", json!({"public_key": old.certificate})).await.ok();
        world.rotate(&old, &new).await.ok();
        assert_eq!(world.sign_in(&new).await.ok()["oidc_claims"]["sub"], old.fingerprint);
    }
}

pub(crate) async fn a_suspended_identitys_key_is_suspended_wherever_it_is_linked(framework: Framework) {
    let world = World::new(framework).await;
    let (old, new, primary) = (world.member().await, Key::new(), world.member().await);
    world.rotate(&old, &new).await.ok();
    world.link(&primary, &new).await.ok();
    let (token, kept) = (world.token(&new).await, world.sign_in(&primary).await.ok());
    assert_eq!(kept["oidc_claims"]["sub"], primary.fingerprint);
    world.submit(&old, &old.revoked()).await;
    assert!(!world.is_signed_in(&token).await);
    world.sign_in(&new).await.refused("403 key_suspended");
    assert_eq!(world.sign_in(&primary).await.ok()["oidc_claims"]["sub"], primary.fingerprint);
    // Unlinked, it is suspended still.
    world.unlink(&primary, &new).await.ok();
    world.sign_in(&new).await.refused("403 key_suspended");
    world.admin("POST", "/keys/approve", json!({"fingerprint": new.fingerprint})).await.ok();
    assert_eq!(world.sign_in(&new).await.ok()["oidc_claims"]["sub"], old.fingerprint);
}
