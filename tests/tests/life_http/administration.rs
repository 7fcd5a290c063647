//! What administrators see: the keys, and the log of what was done.

use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{NOBODY, ORIGIN, World, members};

pub(crate) async fn keys_are_listed_with_everything_that_is_known_of_them(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let enrolled = world.time(0);
    let of_alice = [
        "approved",
        "enrolled_at",
        "fingerprint",
        "groups",
        "last_auth",
        "linked_to",
        "revoked_at",
        "sub",
        "suspended",
    ];
    let entry = world.listed(&alice).await;
    assert_eq!(members(&entry), of_alice);
    assert_eq!(
        entry,
        json!({
            "approved": true, "enrolled_at": enrolled, "fingerprint": alice.fingerprint, "groups": [],
            "last_auth": enrolled, "linked_to": null, "revoked_at": null, "sub": alice.fingerprint,
            "suspended": false,
        })
    );
    world.advance(100);
    world.sign_in(&alice).await.ok();
    world
        .admin("PUT", &format!("/keys/{}/name", alice.fingerprint), json!({"user_name": "alice"}))
        .await
        .ok();
    world
        .admin("PUT", &format!("/keys/{}/groups", alice.fingerprint), json!({"groups": ["b", "a"]}))
        .await
        .ok();
    let entry = world.listed(&alice).await;
    assert_eq!(entry["last_auth"], world.time(0));
    assert_eq!(entry["user_name"], "alice");
    assert_eq!(entry["groups"], json!(["a", "b"]));
    world.admin("POST", "/keys/revoke", json!({"fingerprint": alice.fingerprint})).await.ok();
    let revoked_at = world.time(0);
    world.advance(100);
    assert_eq!(world.listed(&alice).await["revoked_at"], revoked_at);
}

pub(crate) async fn keys_are_listed_page_by_page(framework: Framework) {
    let world = World::with(framework, capauth_tower::LocalConfig::require_approval).await;
    let keys: Vec<Key> = (0..5).map(|_| Key::new()).collect();
    for key in &keys {
        world.try_enrol(key).await.refused("403 enrollment_pending");
    }
    world.admin("POST", "/keys/approve", json!({"fingerprint": keys[0].fingerprint})).await.ok();
    let ask = async |query: &str| -> Vec<String> {
        let page = world.admin("GET", &format!("/keys?{query}"), Value::Null).await.ok();
        let entries = page.as_array().unwrap().iter();
        entries.map(|entry| entry["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    let mut expected: Vec<String> = keys.iter().map(|key| key.fingerprint.clone()).collect();
    expected.sort();
    let (mut walked, mut after) = (Vec::new(), String::new());
    loop {
        let page = ask(&format!("limit=2&after={after}")).await;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after.clone_from(last);
        walked.extend(page);
    }
    assert_eq!(walked, expected);
    assert_eq!(ask("").await, expected);
    assert_eq!(ask("approved_only=true").await, [keys[0].fingerprint.clone()]);
    for bad in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=1", "approved_only=maybe"] {
        world.admin("GET", &format!("/keys?{bad}"), Value::Null).await.refused("400 invalid_request");
    }
    world.admin("GET", "/keys?after=xyz", Value::Null).await.refused("400 invalid_fingerprint");
}

pub(crate) async fn every_session_of_an_identity_is_ended_by_an_administrator(framework: Framework) {
    let world = World::new(framework).await;
    let (alice, second, bob) = (world.member().await, world.member().await, world.member().await);
    world.link(&alice, &second).await.ok();
    let tokens = [world.token(&alice).await, world.token(&second).await];
    let (cookie, bobs) = (world.cookie(&alice).await, world.token(&bob).await);
    let path = format!("/keys/{}/sessions", second.fingerprint);
    let answer = world.admin("DELETE", &path, Value::Null).await.ok();
    assert_eq!(answer, json!({"ended": true, "fingerprint": second.fingerprint}));
    for token in &tokens {
        assert!(!world.is_signed_in(token).await);
    }
    world.browse(&cookie, "", "GET", "/auth/capauth/me", &Value::Null).await.refused("401 invalid_token");
    assert!(world.is_signed_in(&bobs).await);
    world.sign_in(&alice).await.ok();
    let nobody = format!("/keys/{NOBODY}/sessions");
    world.admin("DELETE", &nobody, Value::Null).await.refused("404 not_found");
    world.admin("DELETE", "/keys/xyz/sessions", Value::Null).await.refused("400 invalid_fingerprint");
}

/// `who what subject` of each line of the log after a cursor.
async fn log(world: &World, after: u64) -> Vec<String> {
    let page = world.admin("GET", &format!("/audit?after={after}&limit=1000"), Value::Null).await.ok();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let entries = page["entries"].as_array().unwrap().iter();
    entries.map(|e| [text(&e["who"]), text(&e["what"]), text(&e["subject"])].join(" ")).collect()
}

pub(crate) async fn what_is_done_is_written_down(framework: Framework) {
    let admin = Key::new();
    let listed = admin.draft.fingerprint();
    let world = World::with(framework, |config| config.admin_fingerprints([listed])).await;
    let (alice, second, next) = (world.member().await, world.member().await, Key::new());
    let a = &alice.fingerprint;
    let path = |what: &str| format!("/keys/{a}/{what}");
    world.admin("PUT", &path("groups"), json!({"groups": ["staff"]})).await.ok();
    world.admin("PUT", &path("name"), json!({"user_name": "alice"})).await.ok();
    world.admin("PUT", &path("email"), json!({"email": "alice@example.org"})).await.ok();
    world.admin("DELETE", &path("email"), json!({"email": "alice@example.org"})).await.ok();
    world.admin("DELETE", &path("sessions"), Value::Null).await.ok();
    world.admin("POST", "/enrollment-codes", json!({})).await.ok();
    world.link(&alice, &second).await.ok();
    world.unlink(&alice, &second).await.ok();
    world.rotate(&alice, &next).await.ok();
    let cookie = world.cookie(&admin).await;
    let body = json!({"fingerprint": second.fingerprint});
    world.browse(&cookie, ORIGIN, "POST", "/capauth/v1/keys/revoke", &body).await.ok();
    world.submit(&next, &next.revoked()).await;
    let (s, m) = (&second.fingerprint, &admin.fingerprint);
    assert_eq!(
        log(&world, 0).await,
        [
            format!("{a} enrolled {a}"),
            format!("{s} enrolled {s}"),
            format!("administrator groups {a}"),
            format!("administrator user_name {a}"),
            format!("administrator email_confirmed {a}"),
            format!("administrator email_withdrawn {a}"),
            format!("administrator ended_all {a}"),
            "administrator code_made -".to_owned(),
            format!("{a} linked {s}"),
            format!("{a} unlinked {s}"),
            format!("{a} rotated {a}"),
            format!("{m} enrolled {m}"),
            format!("{m} revoked {s}"),
            format!("{a} revoked_itself {a}"),
        ]
    );
}

pub(crate) async fn what_happens_by_itself_is_the_servers(framework: Framework) {
    let world = World::with(framework, capauth_tower::LocalConfig::require_approval).await;
    let (alice, by_subkey, _) = Key::with_subkey();
    let (new, forgotten) = (Key::new(), Key::new());
    world.try_enrol(&alice).await.refused("403 enrollment_pending");
    world.admin("POST", "/keys/approve", json!({"fingerprint": alice.fingerprint})).await.ok();
    world.try_enrol(&forgotten).await.refused("403 enrollment_pending");
    assert_eq!(world.rotate(&by_subkey, &new).await.status, 202);
    world.advance(20 * 24 * 3600);
    world.sign_in(&new).await.ok();
    let a = &alice.fingerprint;
    // Nobody is named who was never let in: else strangers would fill the log.
    assert_eq!(
        log(&world, 0).await,
        [
            format!("administrator approved {a}"),
            format!("{a} rotation_waits {a}"),
            format!("server rotated {a}"),
        ]
    );
    assert_eq!(world.listed(&forgotten).await, Value::Null);
}

pub(crate) async fn the_log_is_read_page_by_page(framework: Framework) {
    let world = World::new(framework).await;
    let empty = world.admin("GET", "/audit", Value::Null).await.ok();
    assert_eq!(empty, json!({"entries": [], "cursor": 0}));
    for _ in 0..5 {
        world.member().await;
        world.advance(10);
    }
    let whole = world.admin("GET", "/audit", Value::Null).await.ok();
    let entries = whole["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 5);
    assert_eq!(members(&entries[0]), ["at", "subject", "what", "who"]);
    assert_eq!((&entries[0]["at"], &entries[4]["at"]), (&json!(world.time(-50)), &json!(world.time(-10))));
    let (mut walked, mut after) = (Vec::new(), 0);
    loop {
        let page = world.admin("GET", &format!("/audit?limit=2&after={after}"), Value::Null).await.ok();
        let some = page["entries"].as_array().unwrap();
        assert!(some.len() <= 2);
        if some.is_empty() {
            assert_eq!(page["cursor"], after, "where one stands if there is nothing new");
            break;
        }
        after = page["cursor"].as_u64().unwrap();
        walked.extend(some.clone());
    }
    assert_eq!(&walked, entries);
    assert_eq!(whole["cursor"], after);
    let (mut back, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/audit?limit=2&newest_first=true&after={before}");
        let page = world.admin("GET", &path, Value::Null).await.ok();
        let some = page["entries"].as_array().unwrap();
        if some.is_empty() {
            break;
        }
        before = page["cursor"].to_string();
        back.extend(some.clone());
    }
    back.reverse();
    assert_eq!(&back, entries, "from the last line to the first");
    for bad in ["limit=0", "limit=1001", "after=x", "after=-1", "after=1&after=2", "newest_first=maybe"] {
        world.admin("GET", &format!("/audit?{bad}"), Value::Null).await.refused("400 invalid_request");
    }
}

pub(crate) async fn the_log_names_nobody_who_was_erased(framework: Framework) {
    let world = World::new(framework).await;
    let alice = world.member().await;
    let path = |what: &str| format!("/keys/{}/{what}", alice.fingerprint);
    world.admin("PUT", &path("name"), json!({"user_name": "alice"})).await.ok();
    world.admin("PUT", &path("email"), json!({"email": "ada@example.org"})).await.ok();
    let before = world.admin("GET", "/audit", Value::Null).await.text();
    assert!(before.contains(&alice.fingerprint));
    world.admin("POST", "/keys/erase", json!({"fingerprint": alice.fingerprint})).await.ok();
    let after = world.admin("GET", "/audit", Value::Null).await.text();
    for secret in [&*alice.fingerprint, "ada@example.org", "\"alice\"", "127.0.0.1"] {
        assert!(!after.contains(secret), "{secret} in {after}");
    }
    let log = log(&world, 0).await;
    let gone = log[0].split(' ').next().unwrap();
    assert!(gone.starts_with("gone:"));
    assert_eq!(log.last().unwrap(), &format!("administrator erased {gone}"));
}

pub(crate) async fn the_network_is_written_down_where_that_is_wanted(framework: Framework) {
    let world =
        World::with(framework, |config| config.verifier(|verifier| verifier.audit_network(true))).await;
    world.member().await;
    let page = world.admin("GET", "/audit", Value::Null).await.ok();
    assert_eq!(page["entries"][0]["network"], "127.0.0.0/24");
    let world = World::new(framework).await;
    world.member().await;
    assert_eq!(world.admin("GET", "/audit", Value::Null).await.ok()["entries"][0]["network"], Value::Null);
}

pub(crate) async fn keys_are_found_by_what_is_known_of_them(framework: Framework) {
    let world = World::with(framework, capauth_tower::LocalConfig::require_approval).await;
    let (alice, second, pending) = (Key::new(), Key::new(), Key::new());
    for key in [&alice, &second, &pending] {
        world.try_enrol(key).await.refused("403 enrollment_pending");
    }
    for key in [&alice, &second] {
        world.admin("POST", "/keys/approve", json!({"fingerprint": key.fingerprint})).await.ok();
    }
    world
        .admin("PUT", &format!("/keys/{}/name", alice.fingerprint), json!({"user_name": "alice"}))
        .await
        .ok();
    world.link(&alice, &second).await.ok();
    let ask = async |query: &str| -> Vec<String> {
        let page = world.admin("GET", &format!("/keys?{query}"), Value::Null).await.ok();
        let entries = page.as_array().unwrap().iter();
        entries.map(|entry| entry["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    let mut hers = [alice.fingerprint.clone(), second.fingerprint.clone()];
    hers.sort();
    let mut named = ask("user_name=alice").await;
    named.sort();
    assert_eq!(named, hers);
    assert!(ask("user_name=bob").await.is_empty());
    let waits = std::slice::from_ref(&pending.fingerprint);
    assert_eq!(ask("pending_only=true").await, waits);
    for digits in [9, 10, 40] {
        let lower = pending.fingerprint[..digits].to_lowercase();
        assert_eq!(ask(&format!("prefix={lower}")).await, waits);
    }
    assert_eq!(ask("prefix=").await.len(), 3);
    // All keys of an identity, by any of them, the primary one first.
    for key in [&alice, &second] {
        let beside = ask(&format!("beside={}", key.fingerprint)).await;
        assert_eq!(beside, [alice.fingerprint.as_str(), second.fingerprint.as_str()]);
    }
    assert_eq!(ask(&format!("beside={}", pending.fingerprint)).await, waits);
    assert!(ask(&format!("beside={NOBODY}")).await.is_empty());
    world.admin("GET", "/keys?beside=xyz", Value::Null).await.refused("400 invalid_fingerprint");
    for bad in ["prefix=xyz", "pending_only=maybe", &format!("prefix={}", "0".repeat(65))] {
        world.admin("GET", &format!("/keys?{bad}"), Value::Null).await.refused("400 invalid_request");
    }
}
