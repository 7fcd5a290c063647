//! What administrators say of an identity: its account name, its e-mail address, its groups.

use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{NOBODY, World};

async fn name(world: &World, key: &Key, name: Value) -> capauth_tests::http::Answer {
    world.admin("PUT", &format!("/keys/{}/name", key.fingerprint), json!({"user_name": name})).await
}

/// The account name that applications get.
async fn told(world: &World, key: &Key) -> Value {
    world.user_info(&world.token(key).await).await.ok()["preferred_username"].clone()
}

fn without_a_name(key: &Key) -> String {
    format!("capauth-{}", key.fingerprint[..32].to_lowercase())
}

pub(crate) async fn an_administrator_gives_a_name_and_takes_it_away(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    assert_eq!(told(&world, &alice).await, without_a_name(&alice));
    assert_eq!(world.listed(&alice).await["user_name"], Value::Null);
    let answer = name(&world, &alice, json!("alice")).await.ok();
    assert_eq!(answer, json!({"fingerprint": alice.fingerprint, "user_name": "alice"}));
    assert_eq!(told(&world, &alice).await, "alice");
    assert_eq!(world.listed(&alice).await["user_name"], "alice");
    let other = name(&world, &alice, json!("alice.b_c-1")).await.ok();
    assert_eq!(other["user_name"], "alice.b_c-1");
    let answer = name(&world, &alice, Value::Null).await.ok();
    assert_eq!(answer, json!({"fingerprint": alice.fingerprint, "user_name": null}));
    assert_eq!(told(&world, &alice).await, without_a_name(&alice));
    // Its own name it may have again.
    name(&world, &alice, json!("alice")).await.ok();
    assert_eq!(told(&world, &alice).await, "alice");
}

pub(crate) async fn what_a_name_may_be(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let reserved =
        ["admin", "root", "administrator", "postmaster", "www", "capauth", "capauth-0123", "capauth-"];
    let long = "a".repeat(41);
    let malformed = ["", "Alice", "al ice", "älice", "a/b", "a@b", "a\nb", "-a", ".a", "_a", &*long];
    for bad in reserved.into_iter().chain(malformed) {
        name(&world, &alice, bad.into()).await.refused("400 invalid_request");
    }
    for bad in [json!(7), json!(["alice"]), json!({})] {
        name(&world, &alice, bad).await.refused("400 invalid_request");
    }
    let path = format!("/keys/{}/name", alice.fingerprint);
    world.admin("PUT", &path, json!({})).await.refused("400 invalid_request");
    world.admin("PUT", "/keys/xyz/name", json!({"user_name": "x"})).await.refused("400 invalid_fingerprint");
    let nobody = format!("/keys/{NOBODY}/name");
    world.admin("PUT", &nobody, json!({"user_name": "x"})).await.refused("404 not_found");
    for good in [&long[..40], "a", "admin2", "0"] {
        name(&world, &alice, good.into()).await.ok();
    }
}

pub(crate) async fn attack_name_of_somebody_before(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, mallory) = (world.member().await, world.member().await);
    name(&world, &alice, json!("alice")).await.ok();
    name(&world, &mallory, json!("alice")).await.refused("409 conflict");
    name(&world, &alice, json!("alice2")).await.ok();
    name(&world, &mallory, json!("alice")).await.refused("409 conflict");
    world.admin("POST", "/keys/erase", json!({"fingerprint": alice.fingerprint})).await.ok();
    for gone in ["alice", "alice2"] {
        name(&world, &mallory, gone.into()).await.refused("409 conflict");
    }
    // Not even to the same key, which is another identity now.
    world.enrol(&alice).await;
    name(&world, &alice, json!("alice")).await.refused("409 conflict");
    name(&world, &mallory, json!("mallory")).await.ok();
}

pub(crate) async fn attack_account_name_by_claim(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, mallory) = (world.member().await, world.member().await);
    name(&world, &alice, json!("alice")).await.ok();
    let claims = json!({
        "name": "alice", "preferred_username": "alice", "username": "alice", "nickname": "alice",
        "user_name": "alice", "sub": alice.fingerprint,
    });
    let token = world.token_claiming(&mallory, &claims).await;
    let told = world.user_info(&token).await.ok();
    assert_eq!(told["preferred_username"], without_a_name(&mallory));
    assert_eq!(told["sub"], mallory.fingerprint);
    assert_eq!(told["name"], "alice", "to show, and nothing else");
    for absent in ["username", "nickname", "user_name"] {
        assert_eq!(told[absent], Value::Null);
    }
    let token = world.token_claiming(&alice, &claims).await;
    assert_eq!(world.user_info(&token).await.ok()["preferred_username"], "alice");
}

pub(crate) async fn a_linked_key_has_its_identitys_name(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second) = (world.member().await, world.member().await);
    name(&world, &second, json!("second")).await.ok();
    world.link(&alice, &second).await.ok();
    assert_eq!(told(&world, &second).await, without_a_name(&alice));
    name(&world, &second, json!("alice")).await.ok();
    assert_eq!(told(&world, &alice).await, "alice");
    world.unlink(&alice, &second).await.ok();
    assert_eq!(told(&world, &alice).await, "alice");
}

async fn vouch(world: &World, method: &str, key: &Key, email: &str) -> capauth_tests::http::Answer {
    world.admin(method, &format!("/keys/{}/email", key.fingerprint), json!({"email": email})).await
}

/// Address, and whether it is told to be verified.
async fn address(world: &World, key: &Key, claim: &str) -> (Value, Value) {
    let token = world.token_claiming(key, &json!({"email": claim})).await;
    let told = world.user_info(&token).await.ok();
    (told["email"].clone(), told["email_verified"].clone())
}

pub(crate) async fn an_administrator_vouches_for_an_address(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let none = (Value::Null, Value::Null);
    assert_eq!(address(&world, &alice, "alice@example.org").await, none);
    let answer = vouch(&world, "PUT", &alice, "Alice@EXAMPLE.org").await.ok();
    assert_eq!(answer, json!({"fingerprint": alice.fingerprint, "confirmed": true}));
    let verified = (json!("alice@example.org"), json!(true));
    assert_eq!(address(&world, &alice, "alice@example.org").await, verified);
    assert_eq!(address(&world, &alice, "ALICE@example.ORG").await, verified, "in its normal form");
    // Told only to whom it is claimed.
    let token = world.token(&alice).await;
    assert_eq!(world.user_info(&token).await.ok()["email"], Value::Null);
    let token = world.token_claiming(&alice, &json!({"email": "alice@example.org"})).await;
    let answer = vouch(&world, "DELETE", &alice, "alice@example.org").await.ok();
    assert_eq!(answer, json!({"fingerprint": alice.fingerprint, "confirmed": false}));
    assert_eq!(world.user_info(&token).await.ok()["email"], Value::Null, "looked up at every use");
    assert_eq!(address(&world, &alice, "alice@example.org").await, none);
    vouch(&world, "DELETE", &alice, "alice@example.org").await.ok();
}

pub(crate) async fn attack_address_of_somebody_else(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, mallory) = (world.member().await, world.member().await);
    vouch(&world, "PUT", &alice, "alice@example.org").await.ok();
    vouch(&world, "PUT", &mallory, "mallory@example.org").await.ok();
    let none = (Value::Null, Value::Null);
    for like in [
        "alice@example.org",
        "Mallory <alice@example.org>",
        "mallory@example.org,alice@example.org",
        "alice@example.org\u{200b}",
        "alice+x@example.org",
        "alice@example.org.",
    ] {
        assert_eq!(address(&world, &mallory, like).await, none, "{like}");
    }
    let verified = (json!("mallory@example.org"), json!(true));
    assert_eq!(address(&world, &mallory, "mallory@example.org").await, verified);
    // One address is one identity's, until it is taken away there.
    vouch(&world, "PUT", &mallory, "Alice@example.org").await.refused("409 conflict");
    let second = world.member().await;
    vouch(&world, "PUT", &second, "second@example.org").await.ok();
    vouch(&world, "DELETE", &second, "second@example.org").await.ok();
    vouch(&world, "PUT", &mallory, "second@example.org").await.ok();
    // An identity that comes again is another one.
    world.admin("POST", "/keys/erase", json!({"fingerprint": alice.fingerprint})).await.ok();
    assert_eq!(address(&world, &alice, "alice@example.org").await, none);
}

pub(crate) async fn what_an_address_may_be(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let long = format!("{}@example.org", "a".repeat(250));
    for method in ["PUT", "DELETE"] {
        for bad in
            ["", "alice", "@example.org", "a@b@example.org", "\"a\"@example.org", "a b@example.org", &long]
        {
            vouch(&world, method, &alice, bad).await.refused("400 invalid_request");
        }
        let path = format!("/keys/{}/email", alice.fingerprint);
        for bad in [json!({}), json!({"email": 7}), json!({"email": null})] {
            world.admin(method, &path, bad).await.refused("400 invalid_request");
        }
        let body = json!({"email": "a@example.org"});
        let nobody = format!("/keys/{NOBODY}/email");
        world.admin(method, &nobody, body.clone()).await.refused("404 not_found");
        world.admin(method, "/keys/xyz/email", body).await.refused("400 invalid_fingerprint");
        vouch(&world, method, &alice, "a+b@example.org").await.ok();
    }
}

pub(crate) async fn a_group_taken_away_ends_what_was_given_out_and_one_more_does_not(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let path = format!("/keys/{}/groups", alice.fingerprint);
    let grant = async |groups: Value| world.admin("PUT", &path, json!({"groups": groups})).await.ok();
    grant(json!(["staff"])).await;
    let token = world.token(&alice).await;
    grant(json!(["staff", "admins"])).await;
    assert_eq!(world.user_info(&token).await.ok()["groups"], json!(["admins", "staff"]), "today's");
    grant(json!(["admins"])).await;
    assert!(!world.is_signed_in(&token).await);
    assert_eq!(world.sign_in(&alice).await.ok()["oidc_claims"]["groups"], json!(["admins"]));
}
