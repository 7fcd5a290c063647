//! Who administers, and what administrators do.

use capauth_tower::Fingerprint;
use serde_json::{Value, json};

use crate::person::Person;
use crate::site::{ADMIN_TOKEN, ORIGIN, Site, request};

const ADMIN: (&str, &str) = ("authorization", "Bearer 0123456789abcdef0123456789abcdef");

fn fingerprint(person: &Person) -> Fingerprint {
    person.fingerprint().parse().unwrap()
}

/// A site that a key administers.
async fn site_of(admin: &Person) -> Site {
    let key = fingerprint(admin);
    Site::with(|config| config.admin_fingerprints([key])).await
}

#[tokio::test]
async fn the_token_administers() {
    assert_eq!(ADMIN.1, format!("Bearer {ADMIN_TOKEN}"));
    let site = Site::with(|config| config.admin_token(ADMIN_TOKEN).require_approval()).await;
    let alice = Person::new("alice");
    let challenge = site.challenge("/capauth/v1/challenge", &alice, json!({})).await;
    let pending = site.post("/capauth/v1/verify", &[], &site.answer(&challenge, &alice, &Value::Null)).await;
    assert_eq!(
        (pending.status().as_u16(), pending.json()["status"].as_str()),
        (403, Some("enrollment_pending"))
    );
    assert_eq!(site.get("/capauth/v1/keys?approved_only=true", &[ADMIN]).await.json(), json!([]));

    let named = json!({"fingerprint": alice.fingerprint()});
    let answer = site.post("/capauth/v1/keys/approve", &[ADMIN], &named).await;
    assert_eq!(answer.json(), json!({"approved": true, "fingerprint": alice.fingerprint()}));
    let bearer = site.bearer(&alice).await;

    let path = format!("/capauth/v1/keys/{}/groups", alice.fingerprint());
    let headers = [ADMIN, ("content-type", "application/json")];
    let answer = site.send(request("PUT", &path, &headers, json!({"groups": ["staff"]}).to_string())).await;
    assert_eq!(answer.json(), json!({"fingerprint": alice.fingerprint(), "groups": ["staff"]}));
    let me = site.get("/auth/capauth/me", &[("authorization", &bearer)]).await;
    assert_eq!(me.json()["groups"], json!(["staff"]));
    let keys = site.get("/capauth/v1/keys", &[ADMIN]).await.json();
    assert_eq!(keys[0]["fingerprint"], alice.fingerprint());
    assert_eq!(keys[0]["groups"], json!(["staff"]));

    let answer = site.post("/capauth/v1/keys/revoke", &[ADMIN], &named).await;
    assert_eq!(answer.json(), json!({"revoked": true, "fingerprint": alice.fingerprint()}));
    assert_eq!(site.get("/auth/capauth/me", &[("authorization", &bearer)]).await.status(), 401);
    let answer = site.post("/capauth/v1/keys/erase", &[ADMIN], &named).await;
    assert_eq!(answer.json(), json!({"erased": true, "fingerprint": alice.fingerprint()}));
    let gone = site.post("/capauth/v1/keys/approve", &[ADMIN], &named).await;
    assert_eq!((gone.status().as_u16(), gone.error().as_str()), (404, "not_found"));
}

#[tokio::test]
async fn keys_are_listed_page_by_page() {
    let site = Site::new().await;
    for name in ["a", "b", "c"] {
        site.token(&Person::new(name), json!({})).await;
    }
    let first = site.get("/capauth/v1/keys?limit=2", &[ADMIN]).await.json();
    assert_eq!(first.as_array().unwrap().len(), 2);
    let after = first[1]["fingerprint"].as_str().unwrap();
    let rest = site.get(&format!("/capauth/v1/keys?limit=2&after={after}"), &[ADMIN]).await.json();
    assert_eq!(rest.as_array().unwrap().len(), 1);
    for bad in ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "approved_only=maybe", "after=xyz"] {
        assert_eq!(site.get(&format!("/capauth/v1/keys?{bad}"), &[ADMIN]).await.status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn attack_administration_with_a_persons_token() {
    let alice = Person::new("alice");
    let key = fingerprint(&alice);
    // Even an administrator's own: applications get to see tokens.
    let site = Site::with(|config| config.admin_token(ADMIN_TOKEN).admin_fingerprints([key])).await;
    let bearer = site.bearer(&alice).await;
    for path in ["/capauth/v1/keys", "/capauth/v1/revocations"] {
        let answer = site.get(path, &[("authorization", &bearer)]).await;
        assert_eq!((answer.status().as_u16(), answer.error().as_str()), (403, "forbidden"), "{path}");
        let guessed = site.get(path, &[("authorization", "Bearer 0123456789abcdef0123456789abcdeX")]).await;
        assert_eq!((guessed.status().as_u16(), guessed.error().as_str()), (401, "invalid_token"), "{path}");
        assert_eq!(guessed.header("www-authenticate"), "Bearer");
        assert_eq!(site.get(path, &[]).await.status(), 401, "{path}");
        assert_eq!(site.get(path, &[ADMIN, ADMIN]).await.status(), 401, "{path}: two headers");
        assert_eq!(site.get(path, &[ADMIN]).await.status(), 200, "{path}");
    }
    // The bearer decides, whatever session comes with it.
    let cookie = site.cookie(&alice, Value::Null).await;
    assert_eq!(site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await.status(), 200);
    let both = [("cookie", &*cookie), ("authorization", &*bearer)];
    assert_eq!(site.get("/capauth/v1/keys", &both).await.status(), 403);
}

#[tokio::test]
async fn a_listed_keys_fresh_session_administers_for_a_quarter_of_an_hour() {
    let alice = Person::new("alice");
    let site = site_of(&alice).await;
    let cookie = site.cookie(&alice, Value::Null).await;
    site.advance(15 * 60);
    assert_eq!(site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await.status(), 200);
    site.advance(1);
    let answer = site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await;
    assert_eq!((answer.status().as_u16(), answer.error().as_str()), (403, "forbidden"));
    assert!(answer.json()["error_description"].as_str().unwrap().contains("Sign in again"));
    assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 200, "still signed in");
}

#[tokio::test]
async fn attack_administration_by_a_key_that_is_not_listed() {
    let (alice, mallory) = (Person::new("alice"), Person::new("mallory"));
    let site = site_of(&alice).await;
    let claims = json!({"name": "admin", "groups": ["admins"], "capauth_admin": true});
    let cookie = site.cookie(&mallory, claims).await;
    assert_eq!(site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await.status(), 403);
}

#[tokio::test]
async fn attack_administration_by_a_session_from_another_origin_or_none() {
    let alice = Person::new("alice");
    let key = fingerprint(&alice);
    let site = Site::with(|config| config.admin_fingerprints([key]).origin("https://www.example.com")).await;
    for more in [json!({}), json!({"origin": "https://www.example.com"})] {
        let cookie = site.cookie_from(&alice, Value::Null, more).await;
        assert_eq!(site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await.status(), 403);
    }
    let cookie = site.cookie_from(&alice, Value::Null, json!({"origin": ORIGIN})).await;
    assert_eq!(site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await.status(), 200);
}

#[tokio::test]
async fn attack_cross_site_request_to_administration() {
    let alice = Person::new("alice");
    let site = site_of(&alice).await;
    let cookie = site.cookie(&alice, Value::Null).await;
    let path = format!("/capauth/v1/keys/{}/groups", alice.fingerprint());
    let json = ("content-type", "application/json");
    let body = json!({"groups": ["admins"]}).to_string();
    for bad in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        let answer = site.send(request("PUT", &path, &[("cookie", &cookie), json, bad], body.clone())).await;
        assert_eq!(answer.status(), 403, "{bad:?}");
    }
    let good = [("cookie", &*cookie), json, ("origin", ORIGIN)];
    assert_eq!(site.send(request("PUT", &path, &good, body)).await.status(), 200);
}

#[tokio::test]
async fn attack_hs256_token_made_with_the_shared_secret_neither_administers_nor_is_a_session() {
    let alice = Person::new("alice");
    let key = fingerprint(&alice);
    let site = Site::with(|config| {
        config.jwt_secret("s".repeat(32)).admin_fingerprints([key]).admin_token(ADMIN_TOKEN)
    })
    .await;
    // Any application that shares the secret can make the like of this token.
    let token = site.token(&alice, json!({"origin": ORIGIN})).await;
    let bearer = format!("Bearer {token}");
    assert_eq!(site.get("/capauth/v1/keys", &[("authorization", &bearer)]).await.status(), 403);
    for cookie in [format!("__Host-capauth={token}"), format!("__Host-capauth={}", token.replace('.', ""))] {
        assert_eq!(site.get("/auth/capauth/me", &[("cookie", &cookie)]).await.status(), 401);
        assert_eq!(site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await.status(), 401);
    }
    let cookie = site.cookie(&alice, Value::Null).await;
    assert_eq!(
        site.get("/capauth/v1/keys", &[("cookie", &cookie)]).await.status(),
        200,
        "a sealed session does"
    );
}

#[tokio::test]
async fn without_administrators_nobody_administers() {
    let site = Site::with(|config| config).await;
    let bearer = site.bearer(&Person::new("alice")).await;
    for headers in [&[][..], &[("authorization", "Bearer ")], &[("authorization", &bearer)], &[ADMIN]] {
        let answer = site.get("/capauth/v1/keys", headers).await;
        assert_eq!(
            (answer.status().as_u16(), answer.error().as_str()),
            (501, "not_configured"),
            "{headers:?}"
        );
    }
}
