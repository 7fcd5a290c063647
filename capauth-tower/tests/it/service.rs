//! The service's own endpoints.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_tower::{Secret, ServiceEntry};
use serde_json::{Value, json};

use crate::person::Person;
use crate::site::{ADMIN_TOKEN, ORIGIN, Site, request};

const CREDENTIAL: &str = "credential-of-b-0123456789abcdef0";

/// A site that also makes challenges for `b.example.com`.
async fn site() -> Site {
    let b = ServiceEntry::new("b.example.com").credential(Secret::new(CREDENTIAL));
    Site::with(|config| config.service(b).admin_token(ADMIN_TOKEN)).await
}

#[tokio::test]
async fn a_program_signs_in_and_learns_what_the_protocol_says() {
    let site = site().await;
    let alice = Person::new("alice");
    let challenge = site.challenge("/capauth/v1/challenge", &alice, json!({})).await;
    let claims = json!({"name": "Alice", "email": "alice@example.org"});
    let answer = site.post("/capauth/v1/verify", &[], &site.answer(&challenge, &alice, &claims)).await.json();
    assert_eq!(answer["authenticated"], true);
    assert_eq!(answer["fingerprint"], alice.fingerprint());
    assert_eq!(answer["token_type"], "capauth");
    assert_eq!(answer["is_new_enrollment"], true);
    assert_eq!(answer["oidc_claims"]["name"], "Alice");
    let replay = site.answer(&challenge, &alice, &Value::Null);
    assert_eq!(site.post("/capauth/v1/verify", &[], &replay).await.error(), "invalid_nonce");
}

#[tokio::test]
async fn a_token_says_whom_it_is_for() {
    let site = site().await;
    let alice = Person::new("alice");
    for (service, more) in
        [("app.example.com", json!({})), ("b.example.com", json!({"requested_service": "b.example.com"}))]
    {
        let token = site.token(&alice, more).await;
        let bearer = format!("Bearer {token}");
        let info = site.get("/capauth/v1/token-info", &[("authorization", &bearer)]).await;
        assert_eq!(info.status(), 200);
        assert_eq!(info.json()["aud"], service);
        assert_eq!(info.json()["iss"], ORIGIN);
        assert_eq!(info.json()["capauth_fingerprint"], alice.fingerprint());
        let query = site.get(&format!("/capauth/v1/token-info?token={token}"), &[]).await.json();
        assert_eq!((&query["active"], &query["aud"]), (&json!(true), &json!(service)));
        for member in ["sub", "iss", "iat", "exp", "amr", "capauth_fingerprint"] {
            assert!(!query[member].is_null(), "{member}");
        }
        assert!(query["name"].is_null() && query["groups"].is_null());
        for method in ["GET", "POST"] {
            let info =
                site.send(request(method, "/capauth/v1/userinfo", &[("authorization", &bearer)], "")).await;
            assert_eq!(info.json()["aud"], service, "{method}");
        }
    }
}

#[tokio::test]
async fn attack_token_of_another_service_is_nothing_here() {
    let site = site().await;
    let alice = Person::new("alice");
    let bearer =
        format!("Bearer {}", site.token(&alice, json!({"requested_service": "b.example.com"})).await);
    for path in ["/auth/capauth/me", "/capauth/v1/logout"] {
        let answer = site.get(path, &[("authorization", &bearer)]).await;
        assert_eq!((answer.status().as_u16(), answer.error().as_str()), (401, "invalid_token"), "{path}");
    }
    assert_eq!(
        site.get("/capauth/v1/token-info", &[("authorization", &bearer)]).await.status(),
        200,
        "not ended"
    );
}

#[tokio::test]
async fn a_bad_token_is_refused_in_the_header_and_inactive_in_the_query() {
    let site = site().await;
    for path in ["/capauth/v1/token-info", "/capauth/v1/userinfo"] {
        for headers in [&[][..], &[("authorization", "Bearer nonsense")], &[("authorization", "Basic YTpi")]]
        {
            let answer = site.get(path, headers).await;
            assert_eq!((answer.status().as_u16(), answer.error().as_str()), (401, "invalid_token"), "{path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
    let answer = site.get("/capauth/v1/token-info?token=nonsense", &[]).await;
    assert_eq!((answer.status().as_u16(), answer.json()), (200, json!({"active": false})));
    let both = site.get("/capauth/v1/token-info?token=x", &[("authorization", "Bearer nonsense")]).await;
    assert_eq!(both.status(), 401, "the header decides");
    let alice = Person::new("alice");
    let token = site.token(&alice, json!({})).await;
    site.advance(24 * 3600);
    let answer = site.get(&format!("/capauth/v1/token-info?token={token}"), &[]).await;
    assert_eq!(answer.json(), json!({"active": false}));
}

#[tokio::test]
async fn attack_claimed_name_or_address_as_an_account_key() {
    let site = site().await;
    let mallory = Person::new("mallory");
    let challenge = site.challenge("/capauth/v1/challenge", &mallory, json!({})).await;
    let claims = json!({"name": "admin", "email": "root@example.org", "preferred_username": "admin"});
    let login =
        site.post("/capauth/v1/verify", &[], &site.answer(&challenge, &mallory, &claims)).await.json();
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());
    let info = site.get("/capauth/v1/userinfo", &[("authorization", &bearer)]).await.json();
    let own = format!("capauth-{}", mallory.fingerprint()[..32].to_lowercase());
    assert_eq!(info["preferred_username"], own);
    assert_eq!(info["name"], "admin", "for showing");
    assert!(info["email"].is_null() && info["email_verified"].is_null());
}

#[tokio::test]
async fn the_service_describes_itself() {
    let site = site().await;
    let status = site.get("/capauth/v1/status", &[]).await;
    assert_eq!(status.status(), 200);
    assert_eq!(status.json()["service"], "app.example.com");
    assert_eq!(status.json()["healthy"], true);
    let health = site.get("/health", &[]).await;
    assert_eq!((health.status().as_u16(), health.json()), (200, json!({"status": "ok"})));
    let known = site.get("/capauth/v1/well-known", &[]).await.json();
    assert_eq!(known["jwks_uri"], "https://app.example.com/.well-known/jwks.json");
    let keys = site.get("/.well-known/jwks.json", &[]).await;
    assert_eq!(keys.header("content-type"), "application/json");
    assert!(!keys.json()["keys"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_service_with_a_credential_follows_the_feed() {
    let site = site().await;
    let alice = Person::new("alice");
    let path = "/capauth/v1/revocations";
    let credential = format!("Bearer {CREDENTIAL}");
    let b = ("authorization", credential.as_str());
    let empty = site.get(path, &[b]).await;
    assert_eq!((empty.status().as_u16(), &empty.json()["entries"]), (200, &json!([])));

    let bearer = site.bearer(&alice).await;
    site.get("/capauth/v1/logout", &[("authorization", &bearer)]).await;
    let news = site.get(path, &[b]).await;
    assert_eq!(news.json()["entries"][0]["kind"], "token");
    let cursor = news.json()["cursor"].as_u64().unwrap();
    let tag = format!("\"{}-{cursor}\"", news.json()["epoch"]);
    assert_eq!(news.header("etag"), tag);
    let same = site.get(&format!("{path}?after={cursor}"), &[b, ("if-none-match", &tag)]).await;
    assert_eq!((same.status().as_u16(), same.text().as_str()), (304, ""));
    let other = site.get(&format!("{path}?after={cursor}"), &[b, ("if-none-match", "\"0\"")]).await;
    assert_eq!(other.status(), 200);
    let admin = site.get(path, &[("authorization", "Bearer 0123456789abcdef0123456789abcdef")]).await;
    assert_eq!(admin.status(), 200);
    assert_eq!(site.get(&format!("{path}?after=x"), &[b]).await.status(), 400);
}

#[tokio::test]
async fn attack_feed_without_its_credential() {
    let b = ServiceEntry::new("b.example.com").credential(Secret::new(CREDENTIAL));
    let sites = [site().await, Site::with(|config| config.service(b)).await];
    for site in sites {
        let bearer = site.bearer(&Person::new("alice")).await;
        for (headers, status) in [
            (&[][..], 401),
            (&[("authorization", "Bearer credential-of-b-0123456789abcdef1")], 401),
            (&[("authorization", "Basic credential-of-b-0123456789abcdef0")], 401),
            (&[("authorization", &bearer)], 403),
        ] {
            assert_eq!(site.get("/capauth/v1/revocations", headers).await.status(), status, "{headers:?}");
        }
        // The feed's credential is good for the feed alone.
        let credential = format!("Bearer {CREDENTIAL}");
        assert_ne!(site.get("/capauth/v1/keys", &[("authorization", &credential)]).await.status(), 200);
    }
}

#[tokio::test]
async fn a_token_is_ended_by_its_id_by_whoever_holds_it_by_an_application_and_by_an_administrator() {
    let site = site().await;
    let alice = Person::new("alice");
    let credential = format!("Bearer {CREDENTIAL}");
    let admin = "Bearer 0123456789abcdef0123456789abcdef".to_owned();
    for ender in [None, Some(credential), Some(admin)] {
        let bearer = site.bearer(&alice).await;
        let other = site.bearer(&alice).await;
        let ask =
            async |bearer: &str| site.get("/auth/capauth/me", &[("authorization", bearer)]).await.status();
        assert_eq!(ask(&bearer).await, 200);
        let body = json!({"jti": jti(&bearer)});
        let by = ender.as_deref().unwrap_or(&bearer);
        let ended = site.post("/capauth/v1/revoke", &[("authorization", by)], &body).await;
        assert_eq!((ended.status().as_u16(), ended.json()), (200, json!({"revoked": true})));
        assert_eq!((ask(&bearer).await.as_u16(), ask(&other).await.as_u16()), (401, 200));
    }
    let elsewhere = site.token(&alice, json!({"requested_service": "b.example.com"})).await;
    let bearer = format!("Bearer {elsewhere}");
    let known = ("authorization", bearer.as_str());
    let jti = site.get("/capauth/v1/token-info", &[known]).await.json()["jti"].clone();
    assert_eq!(site.post("/capauth/v1/revoke", &[known], &json!({"jti": jti})).await.status(), 200, "for B");
    assert_eq!(site.get("/capauth/v1/token-info", &[known]).await.status(), 401);
    let cookie = site.cookie(&alice, json!(null)).await;
    let origin = ("origin", "https://app.example.com");
    let unknown = site.post("/capauth/v1/revoke", &[("cookie", &cookie), origin], &json!({"jti": "x"})).await;
    assert_eq!(unknown.status(), 403, "somebody else's, as far as anybody knows");
}

#[tokio::test]
async fn attack_ending_somebody_elses_token() {
    let site = site().await;
    let (alice, mallory) =
        (site.bearer(&Person::new("alice")).await, site.bearer(&Person::new("mallory")).await);
    let body = json!({"jti": jti(&alice)});
    for (headers, status) in [
        (&[][..], 401),
        (&[("authorization", mallory.as_str())], 403),
        (&[("authorization", "Bearer nonsense")], 401),
        (&[("authorization", "Bearer credential-of-b-0123456789abcdef1")], 401),
        (&[("cookie", "__Host-capauth=stale"), ("origin", "https://evil.example")], 403),
    ] {
        assert_eq!(site.post("/capauth/v1/revoke", headers, &body).await.status(), status, "{headers:?}");
    }
    for bad in [json!({}), json!({"jti": ""}), json!({"jti": 1}), json!({"jti": "a", "expires": -1})] {
        let refused = site.post("/capauth/v1/revoke", &[("authorization", &alice)], &bad).await;
        assert_eq!(refused.status(), 400, "{bad}");
    }
    assert_eq!(site.get("/auth/capauth/me", &[("authorization", &alice)]).await.status(), 200);
}

#[tokio::test]
async fn attack_ending_ones_token_for_a_second_so_that_it_counts_again_after() {
    let site = site().await;
    let alice = Person::new("alice");
    let bearer = site.bearer(&alice).await;
    let told =
        |path: &'static str| site.get(path, &[("authorization", "Bearer 0123456789abcdef0123456789abcdef")]);
    let now = site.capauth.local_verifier().unwrap().now().as_unix();
    let path = "/capauth/v1/revoke";
    let credential = format!("Bearer {CREDENTIAL}");
    for (by, expires, least, most) in [
        (bearer.as_str(), 1, 12 * 3600, 13 * 3600),
        // How long it is remembered is no person's to say, and an application's only upwards.
        (&site.bearer(&alice).await, now + 300 * 24 * 3600, 12 * 3600, 13 * 3600),
        (&credential, now + 1, 12 * 3600, 13 * 3600),
        (&credential, now + 30 * 24 * 3600, 29 * 24 * 3600, 31 * 24 * 3600),
        (&credential, u64::MAX, 399 * 24 * 3600, 401 * 24 * 3600),
    ] {
        let jti = if by == credential { format!("unheard-of-{expires}") } else { jti(by) };
        let body = json!({"jti": jti, "expires": expires});
        assert_eq!(site.post(path, &[("authorization", by)], &body).await.status(), 200);
        let feed = told("/capauth/v1/revocations").await.json();
        let ends = feed["entries"].as_array().unwrap().last().unwrap()["expires"].as_u64().unwrap();
        assert!((now + least..now + most).contains(&ends), "{expires}: {}", ends - now);
    }
    site.advance(2);
    assert_eq!(site.get("/auth/capauth/me", &[("authorization", &bearer)]).await.status(), 401);
}

/// The `jti` in a bearer's token.
fn jti(bearer: &str) -> String {
    let payload = bearer.split('.').nth(1).unwrap();
    let payload: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    payload["jti"].as_str().unwrap().to_owned()
}
