//! What a token is good for, what the service says of itself, and what administrators do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use capauth_tests::http::{Answer, Client, SignIn, send};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

struct Place {
    service: Service,
    client: Client,
}

impl Place {
    fn open(settings: &[(&str, &str)]) -> Self {
        let service = Service::start(settings);
        Self { client: Client::new(service.url()), service }
    }

    fn with_administrator() -> Self {
        Self::open(&[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)])
    }

    async fn enrol(&self, key: &Key) -> Answer {
        let sign = |data: &[u8]| key.detach_sign(data);
        self.client.sign_in(SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate)).await
    }

    async fn token_of(&self, key: &Key) -> String {
        self.enrol(key).await.ok()["access_token"].as_str().unwrap().to_owned()
    }

    async fn keys(&self, query: &str) -> Vec<Value> {
        let list = self.client.get_as(ADMIN_TOKEN, &format!("/capauth/v1/keys{query}")).await.ok();
        list.as_array().unwrap().clone()
    }

    async fn administer(&self, call: &str, key: &Key) -> Answer {
        let body = json!({"fingerprint": key.fingerprint});
        self.client.post_as(ADMIN_TOKEN, &format!("/capauth/v1/keys/{call}"), &body).await
    }

    async fn grant(&self, key: &Key, groups: &Value) -> Answer {
        let path = format!("/capauth/v1/keys/{}/groups", key.fingerprint);
        let body = json!({"groups": groups});
        send(self.client.request("PUT", &path).bearer_auth(ADMIN_TOKEN).json(&body)).await
    }
}

fn alice() -> Key {
    Key::ed25519("Alice <alice@example.org>")
}

#[tokio::test]
async fn status_health_and_well_known() {
    let place = Place::open(&[("CAPAUTH_SERVICE_ID", "auth.example.com")]);
    let status = place.client.get("/capauth/v1/status").await.ok();
    assert_eq!(status["service"], "auth.example.com");
    assert_eq!((&status["enrolled_keys"], &status["healthy"]), (&json!(0), &json!(true)));
    assert_eq!(status["require_approval"], false);
    assert!(status["version"].is_string());
    place.enrol(&alice()).await.ok();
    assert_eq!(place.client.get("/capauth/v1/status").await.ok()["enrolled_keys"], 1);
    assert_eq!(place.client.get("/health").await.status, 200);
    let known = place.client.get("/capauth/v1/well-known").await.ok();
    assert_eq!(known["capauth_version"], "1.0");
    assert_eq!(known["service"], "auth.example.com");
    assert_eq!(known["enrollment"], "open");
    assert_eq!(known["nonce_ttl_seconds"], 60);
    assert_eq!(known["access_token_alg"], "EdDSA");
    assert_eq!(known["jwks_uri"], "https://auth.example.com/.well-known/jwks.json");
    assert!(known["supported_claims"].as_array().unwrap().contains(&json!("name")));
}

#[tokio::test]
async fn access_tokens_verify_with_the_published_keys() {
    let place = Place::open(&[]);
    let key = alice();
    let token = place.token_of(&key).await;
    let jwks = place.client.get("/.well-known/jwks.json").await.ok();
    let published = jwks["keys"].as_array().unwrap();
    assert!(published.iter().all(|key| key.get("d").is_none()), "a private key was published");
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!((header.alg, header.typ.as_deref()), (Algorithm::EdDSA, Some("at+jwt")));
    let own = published
        .iter()
        .find(|key| key["kid"].as_str() == header.kid.as_deref())
        .expect("the kid is published");
    assert_eq!((&own["alg"], &own["use"]), (&json!("EdDSA"), &json!("sig")));
    let decoding = DecodingKey::from_jwk(&serde_json::from_value(own.clone()).unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&["capauth.local"]);
    rules.set_issuer(&["https://capauth.local"]);
    let claims = jsonwebtoken::decode::<Value>(&token, &decoding, &rules).unwrap().claims;
    assert_eq!(claims["sub"], key.fingerprint);
    assert_eq!(claims["capauth_fingerprint"], key.fingerprint);
    assert!(claims["jti"].is_string());
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
}

#[tokio::test]
async fn token_info_and_userinfo() {
    let place = Place::open(&[]);
    let key = alice();
    let token = place.token_of(&key).await;
    let by_header = place.client.get_as(&token, "/capauth/v1/token-info").await.ok();
    assert_eq!(by_header["sub"], key.fingerprint);
    let by_query = place.client.get(&format!("/capauth/v1/token-info?token={token}")).await.ok();
    assert_eq!((&by_query["active"], &by_query["sub"]), (&json!(true), &json!(key.fingerprint)));
    assert_eq!(by_query["iss"], "https://capauth.local");
    assert_eq!(by_query["amr"], json!(["pgp"]));
    assert_eq!(by_query["capauth_fingerprint"], key.fingerprint);
    assert!(by_query["iat"].as_u64() < by_query["exp"].as_u64());
    let userinfo = place.client.get_as(&token, "/capauth/v1/userinfo").await.ok();
    assert_eq!(userinfo["sub"], key.fingerprint);

    let mut forged = token.clone();
    forged.truncate(token.rfind('.').unwrap() + 1);
    forged.push_str(&"A".repeat(86));
    for bad in ["x", "a.b.c", &forged, ADMIN_TOKEN] {
        let answer = place.client.get_as(bad, "/capauth/v1/token-info").await;
        answer.refused("401 invalid_token");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        place.client.get_as(bad, "/capauth/v1/userinfo").await.refused("401 invalid_token");
        let by_query = place.client.get(&format!("/capauth/v1/token-info?token={bad}")).await.ok();
        assert_eq!(by_query, json!({"active": false}));
    }
    place.client.get("/capauth/v1/token-info").await.refused("401 invalid_token");
    place.client.get("/capauth/v1/userinfo").await.refused("401 invalid_token");
}

/// Names that applications key accounts on do not come from what a person says.
#[tokio::test]
async fn attack_name_is_admin() {
    let place = Place::open(&[]);
    let key = alice();
    let claims = json!({"name": "admin", "email": "admin@example.org"});
    let sign = |data: &[u8]| key.detach_sign(data);
    let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).claiming(&claims);
    let answer = place.client.sign_in(login).await.ok();
    let userinfo =
        place.client.get_as(answer["access_token"].as_str().unwrap(), "/capauth/v1/userinfo").await.ok();
    assert_eq!(userinfo["name"], "admin");
    let expected = format!("capauth-{}", key.fingerprint[..32].to_lowercase());
    assert_eq!(userinfo["preferred_username"], expected);
    assert_eq!(userinfo.get("email"), None, "an address that nobody verified: {userinfo}");
}

#[tokio::test]
async fn logout_ends_the_token() {
    let place = Place::open(&[]);
    let key = alice();
    let (token, other) = (place.token_of(&key).await, place.token_of(&key).await);
    place.client.get_as(&token, "/capauth/v1/logout").await.ok();
    place.client.get_as(&token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
    place.client.get_as(&other, "/capauth/v1/userinfo").await.ok();
}

#[tokio::test]
async fn tokens_survive_a_restart_and_so_does_their_end() {
    let place = Place::open(&[]);
    let key = alice();
    let (kept, ended) = (place.token_of(&key).await, place.token_of(&key).await);
    place.client.get_as(&ended, "/capauth/v1/logout").await.ok();
    let folder = place.service.folder();
    assert!(place.service.terminate().success());
    let service = Service::start_in(&folder, &[]);
    let client = Client::new(service.url());
    client.get_as(&kept, "/capauth/v1/userinfo").await.ok();
    client.get_as(&ended, "/capauth/v1/userinfo").await.refused("401 invalid_token");
}

#[tokio::test]
async fn tokens_under_a_shared_secret() {
    let secret = "a-shared-secret-of-more-than-thirty-two-bytes";
    let place = Place::open(&[("CAPAUTH_JWT_SECRET", secret)]);
    let key = alice();
    let token = place.token_of(&key).await;
    let mut rules = Validation::new(Algorithm::HS256);
    rules.validate_aud = false;
    let shared = DecodingKey::from_secret(secret.as_bytes());
    let claims = jsonwebtoken::decode::<Value>(&token, &shared, &rules).unwrap().claims;
    assert_eq!(claims["sub"], key.fingerprint);
    assert_eq!(claims["capauth_service"], "capauth.local");
    assert_eq!(claims.get("aud"), None, "{claims}");
    assert_eq!(place.client.get("/capauth/v1/well-known").await.ok()["access_token_alg"], "HS256");
    place.client.get_as(&token, "/capauth/v1/userinfo").await.ok();
}

#[tokio::test]
async fn administrators_list_keys_in_pages() {
    let place = Place::with_administrator();
    let mut expected = Vec::new();
    for number in 0..5 {
        let key = Key::ed25519(&format!("User {number}"));
        place.enrol(&key).await.ok();
        expected.push(key.fingerprint);
    }
    expected.sort();
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = place.keys(&format!("?limit=2&after={after}")).await;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = last["fingerprint"].as_str().unwrap().to_owned();
        found.extend(page.iter().map(|key| key["fingerprint"].as_str().unwrap().to_owned()));
    }
    assert_eq!(found, expected);
    let all = place.keys("").await;
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|key| key["approved"] == true && key["revoked_at"].is_null()), "{all:?}");
    for bad in ["limit=0", "limit=1001", "limit=x", "after=xyz", "approved_only=perhaps"] {
        let answer = place.client.get_as(ADMIN_TOKEN, &format!("/capauth/v1/keys?{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_pending_key_signs_in_once_it_is_approved() {
    let place = Place::open(&[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN), ("CAPAUTH_REQUIRE_APPROVAL", "true")]);
    let key = alice();
    for _ in 0..2 {
        let pending = place.enrol(&key).await;
        pending.refused("403 enrollment_pending");
        assert_eq!(pending.json()["status"], "enrollment_pending");
        assert!(pending.json()["message"].is_string());
    }
    assert!(place.keys("?approved_only=true").await.is_empty());
    assert_eq!(place.keys("").await[0]["approved"], false);
    let approved = place.administer("approve", &key).await.ok();
    assert_eq!(approved, json!({"approved": true, "fingerprint": key.fingerprint}));
    place.enrol(&key).await.ok();
    assert_eq!(place.keys("?approved_only=true").await.len(), 1);
}

#[tokio::test]
async fn a_key_that_an_administrator_revokes_is_out_for_good() {
    let place = Place::with_administrator();
    let key = alice();
    let token = place.token_of(&key).await;
    let revoked = place.administer("revoke", &key).await.ok();
    assert_eq!(revoked, json!({"revoked": true, "fingerprint": key.fingerprint}));
    place.client.get_as(&token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
    // With the certificate and without: it does not come back.
    place.enrol(&key).await.refused("401 key_revoked");
    assert!(place.keys("").await[0]["revoked_at"].is_string());
    // Erasing it leaves no way back in either, and no trace in the list.
    let erased = place.administer("erase", &key).await.ok();
    assert_eq!(erased, json!({"erased": true, "fingerprint": key.fingerprint}));
    assert!(place.keys("").await.is_empty());
    place.enrol(&key).await.refused("409 conflict");
}

#[tokio::test]
async fn an_erased_key_may_enrol_again_and_its_old_tokens_stay_dead() {
    let place = Place::with_administrator();
    let key = alice();
    let token = place.token_of(&key).await;
    place.administer("erase", &key).await.ok();
    place.client.get_as(&token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
    assert_eq!(place.enrol(&key).await.ok()["is_new_enrollment"], true);
    place.client.get_as(&token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
}

#[tokio::test]
async fn groups_are_granted_narrowed_and_taken_away() {
    let place = Place::with_administrator();
    let key = alice();
    place.enrol(&key).await.ok();
    let granted = place.grant(&key, &json!(["admins", "staff"])).await.ok();
    assert_eq!(granted, json!({"fingerprint": key.fingerprint, "groups": ["admins", "staff"]}));
    let sign = |data: &[u8]| key.detach_sign(data);
    let login = SignIn::new(&key.fingerprint, &sign);
    let all = place.client.sign_in(login).await.ok();
    assert_eq!(all["oidc_claims"]["groups"], json!(["admins", "staff"]));
    let claims = json!({"groups": ["staff", "root"]});
    let some = place.client.sign_in(login.claiming(&claims)).await.ok();
    assert_eq!(some["oidc_claims"]["groups"], json!(["staff"]));
    let none = json!({"groups": []});
    let none = place.client.sign_in(login.claiming(&none)).await.ok();
    assert!(none["oidc_claims"].get("groups").is_none_or(|groups| *groups == json!([])), "{none}");

    let token = all["access_token"].as_str().unwrap();
    assert_eq!(
        place.client.get_as(token, "/capauth/v1/userinfo").await.ok()["groups"],
        json!(["admins", "staff"])
    );
    place.grant(&key, &json!(["staff"])).await.ok();
    place.client.get_as(token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
    assert_eq!(place.keys("").await[0]["groups"], json!(["staff"]));
    for bad in [json!(["a b"]), json!(["a", "a"]), json!("a"), json!([1]), json!([""]), json!(null)] {
        place.grant(&key, &bad).await.refused("400 invalid_request");
    }
}

#[tokio::test]
async fn unknown_keys_are_not_found() {
    let place = Place::with_administrator();
    for call in ["approve", "revoke", "erase"] {
        assert_eq!(place.administer(call, &alice()).await.status, 404, "{call}");
    }
    assert_eq!(place.grant(&alice(), &json!([])).await.status, 404);
    let body = json!({"fingerprint": "xyz"});
    let answer = place.client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/revoke", &body).await;
    answer.refused("400 invalid_fingerprint");
}

#[tokio::test]
async fn the_feed_tells_what_ended() {
    let place = Place::with_administrator();
    let key = alice();
    let token = place.token_of(&key).await;
    let feed = async |after: u64| {
        place.client.get_as(ADMIN_TOKEN, &format!("/capauth/v1/revocations?after={after}")).await
    };
    assert_eq!(feed(0).await.ok()["entries"], json!([]));
    place.client.get_as(&token, "/capauth/v1/logout").await.ok();
    let first = feed(0).await;
    assert_eq!(first.ok()["entries"][0]["kind"], "token");
    assert!(!first.text().contains(&token));
    let cursor = first.ok()["cursor"].as_u64().unwrap();
    place.administer("revoke", &key).await.ok();
    let second = feed(cursor).await.ok();
    let entries = second["entries"].as_array().unwrap();
    assert!(entries.iter().any(|e| e["kind"] == "key" && e["fingerprint"] == key.fingerprint), "{second}");
    assert!(entries.iter().all(|e| e["kind"] != "token"), "told twice: {second}");
    // Asked again, the same page costs no body.
    let tag = first.header("etag").to_owned();
    assert!(!tag.is_empty());
    let again = feed(second["cursor"].as_u64().unwrap()).await;
    assert_eq!(again.ok()["entries"], json!([]));
    let request =
        place.client.request("GET", &format!("/capauth/v1/revocations?after={}", again.ok()["cursor"]));
    let unchanged =
        send(request.bearer_auth(ADMIN_TOKEN).header("if-none-match", again.header("etag"))).await;
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
}

/// Every administrator's call: method, path, body.
fn administrators_calls(key: &Key) -> Vec<(&'static str, String, Value)> {
    let named = json!({"fingerprint": key.fingerprint});
    vec![
        ("GET", "/capauth/v1/keys".to_owned(), Value::Null),
        ("POST", "/capauth/v1/keys/approve".to_owned(), named.clone()),
        ("POST", "/capauth/v1/keys/revoke".to_owned(), named.clone()),
        ("POST", "/capauth/v1/keys/erase".to_owned(), named),
        ("PUT", format!("/capauth/v1/keys/{}/groups", key.fingerprint), json!({"groups": ["admins"]})),
        ("GET", "/capauth/v1/revocations".to_owned(), Value::Null),
    ]
}

async fn call(place: &Place, method: &str, path: &str, body: &Value, token: Option<&str>) -> Answer {
    let mut request = place.client.request(method, path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if method != "GET" {
        request = request.json(body);
    }
    send(request).await
}

#[tokio::test]
async fn attack_administrators_calls_by_others() {
    let place = Place::with_administrator();
    let key = alice();
    let token = place.token_of(&key).await;
    let (short, long) = (&ADMIN_TOKEN[..ADMIN_TOKEN.len() - 1], format!("{ADMIN_TOKEN}x"));
    for (method, path, body) in administrators_calls(&key) {
        let by = |token| call(&place, method, &path, &body, token);
        by(None).await.refused("401 invalid_token");
        by(Some("x")).await.refused("401 invalid_token");
        by(Some(short)).await.refused("401 invalid_token");
        by(Some(&long)).await.refused("401 invalid_token");
        by(Some(&token)).await.refused("403 forbidden");
    }
    // None of it had an effect.
    place.client.get_as(&token, "/capauth/v1/userinfo").await.ok();
    let keys = place.keys("").await;
    assert_eq!((&keys[0]["groups"], &keys[0]["revoked_at"]), (&json!([]), &Value::Null));
    for (method, path, body) in administrators_calls(&key) {
        let answer = call(&place, method, &path, &body, Some(ADMIN_TOKEN)).await;
        // The key is erased half-way: it is unknown from then on.
        assert!([200, 404].contains(&answer.status), "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn without_an_administrator_configured_nobody_administers() {
    let place = Place::open(&[]);
    let key = alice();
    let token = place.token_of(&key).await;
    for (method, path, body) in administrators_calls(&key) {
        for token in [None, Some(""), Some("x"), Some(token.as_str())] {
            let answer = call(&place, method, &path, &body, token).await;
            assert_eq!(answer.refusal(), "501 not_configured", "{method} {path}: {}", answer.text());
        }
    }
}
