//! Attacks with access tokens. The forger here is strong: where it helps, they hold the very key that signs tokens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use capauth_tests::keys::Draft;
use capauth_tests::login::{ISSUER, SERVICE, World, kind, payload, request, response};
use capauth_tests::signer;
use capauth_verifier::{
    Audience, AuthErrorKind as K, KeyPurpose, Login, Secret, ServiceEntry, Verifier as _,
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

const APP: &str = "other.example.com";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A token in its parts.
struct Token {
    header: Value,
    payload: Value,
}

impl Token {
    fn of(login: &Login) -> Self {
        let mut parts = login.response.access_token.split('.').map(|part| B64.decode(part).unwrap());
        let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
        Self { header: next(), payload: next() }
    }

    fn with_header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.payload[name] = value.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.payload.as_object_mut().unwrap().remove(name);
        self
    }

    fn without_header(mut self, name: &str) -> Self {
        self.header.as_object_mut().unwrap().remove(name);
        self
    }

    fn message(&self) -> String {
        format!("{}.{}", B64.encode(self.header.to_string()), B64.encode(self.payload.to_string()))
    }

    fn sign(&self, key: &SigningKey) -> String {
        let message = self.message();
        format!("{message}.{}", B64.encode(key.sign(message.as_bytes()).to_bytes()))
    }

    fn mac(&self, secret: &[u8]) -> String {
        let message = self.message();
        let key = jsonwebtoken::EncodingKey::from_secret(secret);
        let mac =
            jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
        format!("{message}.{mac}")
    }
}

/// The key with which a world signs its tokens, taken out of the store with the master key.
async fn stolen_key(world: &World) -> SigningKey {
    let ring = world.stores.tokens.token_keys(KeyPurpose::Access).await.unwrap();
    let stored = ring.first().unwrap();
    let sealer = world.verifier.sealer("token signing key");
    let pkcs8 = sealer.open(&[KeyPurpose::Access.as_str(), &stored.kid], &stored.sealed).unwrap();
    // PKCS #8, version 1: the seed stands at the end.
    let seed: [u8; 32] = pkcs8[pkcs8.len() - 32..].try_into().unwrap();
    SigningKey::from_bytes(&seed)
}

#[track_caller]
fn refused(world: &World, token: &str) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for audience in [Audience::Own, Audience::AnyOfIssuer] {
            match world.verifier.authenticate(token, audience).await {
                Ok(_) => panic!("{caller}: let through: {token}"),
                Err(error) => assert_eq!(error.kind(), K::InvalidToken, "{caller}"),
            }
        }
    }
}

async fn accepted(world: &World, token: &str) {
    world.verifier.authenticate(token, Audience::Own).await.expect("a good token");
}

#[tokio::test]
async fn token_as_it_is_made() {
    let world = World::new().await;
    let (member, login) = world.member().await;
    let Token { header, payload } = Token::of(&login);
    let ring = world.stores.tokens.token_keys(KeyPurpose::Access).await.unwrap();
    assert_eq!(header, json!({"typ": "at+jwt", "alg": "EdDSA", "kid": ring[0].kid}));
    assert_eq!((payload["iss"].as_str(), payload["aud"].as_str()), (Some(ISSUER), Some(SERVICE)));
    assert_eq!(payload["sub"], member.fingerprint().to_string());
    assert_eq!(payload["exp"].as_u64().unwrap() - payload["iat"].as_u64().unwrap(), 3600);
    assert_eq!(login.response.token_type, "capauth");
    accepted(&world, &login.response.access_token).await;
    // The forger's tools make a good token when they change nothing: what is refused below is refused for its change.
    accepted(&world, &Token::of(&login).sign(&stolen_key(&world).await)).await;
}

#[tokio::test]
async fn alg_none() {
    let world = World::new().await;
    let (_, login) = world.member().await;
    for algorithm in ["none", "None", "NONE", ""] {
        let message = Token::of(&login).with_header("alg", algorithm).message();
        for signature in ["", "AA", login.response.access_token.rsplit('.').next().unwrap()] {
            refused(&world, &format!("{message}.{signature}")).await;
        }
        refused(&world, &message).await;
    }
    accepted(&world, &login.response.access_token).await;
}

#[tokio::test]
async fn hs256_with_the_public_key_as_secret() {
    let world = World::new().await;
    let (_, login) = world.member().await;
    let jwks: Value = serde_json::from_str(&world.verifier.jwks().await.unwrap()).unwrap();
    let key = &jwks["keys"][0];
    let x = key["x"].as_str().unwrap();
    let token = || Token::of(&login).with_header("alg", "HS256");
    for secret in
        [x.as_bytes(), &B64.decode(x).unwrap(), key.to_string().as_bytes(), jwks.to_string().as_bytes(), b""]
    {
        refused(&world, &token().mac(secret)).await;
        refused(&world, &token().without_header("kid").mac(secret)).await;
        refused(&world, &token().with("capauth_service", SERVICE).mac(secret)).await;
    }
    accepted(&world, &login.response.access_token).await;
}

#[tokio::test]
async fn other_algorithms_than_the_configured_one() {
    let world = World::new().await;
    let (_, login) = world.member().await;
    let key = stolen_key(&world).await;
    for algorithm in ["HS256", "HS512", "RS256", "PS256", "ES256", "ES384", "Ed25519", "eddsa"] {
        refused(&world, &Token::of(&login).with_header("alg", algorithm).sign(&key)).await;
    }
    accepted(&world, &Token::of(&login).sign(&key)).await;
}

#[tokio::test]
async fn signed_by_another_key_under_any_name() {
    let world = World::new().await;
    let (_, login) = world.member().await;
    let own = stolen_key(&world).await;
    let other = SigningKey::from_bytes(&[7; 32]);
    refused(&world, &Token::of(&login).sign(&other)).await;
    for kid in ["", "unknown", "../../etc/passwd", "0", "' OR 1=1 --"] {
        refused(&world, &Token::of(&login).with_header("kid", kid).sign(&other)).await;
        refused(&world, &Token::of(&login).with_header("kid", kid).sign(&own)).await;
    }
    refused(&world, &Token::of(&login).without_header("kid").sign(&own)).await;
    // The forger's key inside the token, or where the token says it is to be fetched.
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": B64.encode(other.verifying_key().as_bytes())});
    refused(&world, &Token::of(&login).with_header("jwk", jwk).sign(&other)).await;
    let there = "https://evil.example/jwks.json";
    refused(&world, &Token::of(&login).with_header("jku", there).sign(&other)).await;
    // Another installation's token, whose names are all the same.
    let twin = World::new().await;
    let (_, twins) = twin.member().await;
    refused(&world, &twins.response.access_token).await;
    accepted(&world, &Token::of(&login).sign(&own)).await;
}

#[tokio::test]
async fn token_of_another_purpose() {
    let world = World::new().await;
    let (_, login) = world.member().await;
    let key = stolen_key(&world).await;
    for purpose in ["JWT", "jwt", "logout+jwt", "at+jwt2", "id+jwt", ""] {
        refused(&world, &Token::of(&login).with_header("typ", purpose).sign(&key)).await;
    }
    refused(&world, &Token::of(&login).without_header("typ").sign(&key)).await;
    accepted(&world, &Token::of(&login).sign(&key)).await;
}

#[tokio::test]
async fn tampered_payload_and_what_is_no_token() {
    let world = World::new().await;
    let (member, login) = world.member().await;
    let (other, _) = world.member().await;
    accepted(&world, &login.response.access_token).await;
    let [header, payload, signature] = <[String; 3]>::try_from(
        login.response.access_token.split('.').map(str::to_owned).collect::<Vec<_>>(),
    )
    .unwrap();
    let good = |payload: Token| payload.message();
    for changed in [
        Token::of(&login).with("sub", other.fingerprint().to_string()),
        Token::of(&login).with("exp", 9_999_999_999_u64),
        Token::of(&login).with("aud", APP),
        Token::of(&login).with("capauth_generation", 1),
        Token::of(&login).with("groups", json!(["admins"])),
    ] {
        refused(&world, &format!("{}.{signature}", good(changed))).await;
    }
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{signature}."),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!(" {header}.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}\n"),
        format!("{header}.{payload}.{signature}="),
        format!("{payload}.{header}.{signature}"),
        format!("{header}..{signature}"),
        member.fingerprint().to_string(),
    ] {
        refused(&world, &text).await;
    }
    accepted(&world, &login.response.access_token).await;
}

#[tokio::test]
async fn token_that_claims_more_than_its_signer_would_have_written() {
    let world = World::with(|b| b.service(ServiceEntry::new(APP))).await;
    let (_, login) = world.member().await;
    let (other, _) = world.member().await;
    let key = stolen_key(&world).await;
    let token = || Token::of(&login);
    for changed in [
        token().with("iss", "https://evil.example"),
        token().with("iss", format!("{ISSUER}/")),
        token().without("iss"),
        token().with("aud", "evil.example"),
        token().with("aud", ""),
        token().without("aud"),
        // The HS256 name for the audience means nothing here.
        token().without("aud").with("capauth_service", SERVICE),
        token().with("exp", capauth_tests::keys::NOW),
        token().with("exp", 0),
        token().without("exp"),
        token().with("exp", "9999999999"),
        token().with("exp", -1),
        token().with("capauth_epoch", 1),
        token().without("capauth_epoch"),
        token().with("capauth_generation", 1),
        token().without("capauth_generation"),
        token().with("sub", other.fingerprint().to_string()),
        token().with("sub", "nobody"),
        token().without("sub"),
        token().with("capauth_fingerprint", Draft::honest().fingerprint().to_string()),
        token().without("jti"),
    ] {
        refused(&world, &changed.sign(&key)).await;
    }
    let elsewhere = token().with("aud", APP).sign(&key);
    assert_eq!(kind(world.verifier.authenticate(&elsewhere, Audience::Own).await), K::InvalidToken);
    world.verifier.authenticate(&elsewhere, Audience::AnyOfIssuer).await.expect("a listed service");
    // Groups are read from the store, whatever a token says; they are never believed.
    let claiming = token().with("groups", json!(["admins"])).with("capauth_admin", true).sign(&key);
    let who = world.verifier.authenticate(&claiming, Audience::Own).await.expect("a good token otherwise");
    assert!(who.groups().is_empty() && who.claims().extra.is_empty());
}

#[tokio::test]
async fn expired_token_also_one_that_was_seen_before() {
    let world = World::with(|b| b.token_lifetime(std::time::Duration::from_secs(600))).await;
    let (_, seen) = world.member().await;
    let (_, unseen) = world.member().await;
    assert_eq!(seen.response.expires_in, 600);
    accepted(&world, &seen.response.access_token).await;
    world.advance(599);
    accepted(&world, &seen.response.access_token).await;
    world.advance(1);
    refused(&world, &seen.response.access_token).await;
    refused(&world, &unseen.response.access_token).await;
}

#[tokio::test]
async fn token_after_it_was_ended() {
    let world = World::new().await;
    let node = world.beside(SERVICE, |b| b).await;
    let (member, ended) = world.member().await;
    let other = world.return_with(member.fingerprint(), &member.pair()).await.unwrap();
    for place in [&world, &node] {
        accepted(place, &ended.response.access_token).await;
        place.verifier.resume(ended.who.session()).await.expect("a session");
    }
    world.verifier.end(ended.who.session()).await.unwrap();
    refused(&world, &ended.response.access_token).await;
    assert_eq!(kind(world.verifier.resume(ended.who.session()).await), K::InvalidToken);
    world.advance(1);
    refused(&node, &ended.response.access_token).await;
    assert_eq!(kind(node.verifier.resume(ended.who.session()).await), K::InvalidToken);
    let restarted = world.beside(SERVICE, |b| b).await;
    refused(&restarted, &ended.response.access_token).await;
    // The same person's other token goes on.
    for place in [&world, &node, &restarted] {
        accepted(place, &other.response.access_token).await;
    }
    // It stays ended for as long as its session could have lasted, also once its own hour is over.
    world.advance(3 * 3600);
    world.beside(SERVICE, |b| b).await;
    assert_eq!(kind(world.verifier.resume(ended.who.session()).await), K::InvalidToken);
    world.verifier.resume(other.who.session()).await.expect("sessions last longer than tokens");
}

#[tokio::test]
async fn token_after_its_key_was_revoked_and_after_the_generation_rose() {
    let world = World::new().await;
    let node = world.beside(SERVICE, |b| b).await;
    let ((alice, alices), (bob, bobs), (_, carols)) =
        (world.member().await, world.member().await, world.member().await);
    world.verifier.set_groups(&bob.fingerprint(), &["staff".to_owned()]).await.unwrap();
    for login in [&alices, &bobs, &carols] {
        accepted(&world, &login.response.access_token).await;
        accepted(&node, &login.response.access_token).await;
    }
    world.verifier.revoke(&alice.fingerprint()).await.unwrap();
    world.verifier.set_groups(&bob.fingerprint(), &[]).await.unwrap();
    for login in [&alices, &bobs] {
        refused(&world, &login.response.access_token).await;
    }
    accepted(&world, &carols.response.access_token).await;
    world.advance(1);
    for login in [&alices, &bobs] {
        refused(&node, &login.response.access_token).await;
    }
    accepted(&node, &carols.response.access_token).await;
    // A token made for the generation that is yet to come is no better.
    let generation = world.stored(alice.fingerprint()).await.unwrap().identity.generation;
    let key = stolen_key(&world).await;
    refused(&world, &Token::of(&alices).with("capauth_generation", generation).sign(&key)).await;
    refused(&world, &Token::of(&bobs).with("capauth_generation", 99).sign(&key)).await;
}

/// The service moves to another address: it starts with the keys it has, and takes only tokens of its present name.
#[tokio::test]
async fn token_of_the_address_that_the_service_had_before() {
    let before = World::new().await;
    let after = before.beside(SERVICE, |b| b.base_url("https://login.example.com")).await;
    let (member, old) = before.member().await;
    refused(&after, &old.response.access_token).await;
    let new = after.return_with(member.fingerprint(), &member.pair()).await.unwrap();
    accepted(&after, &new.response.access_token).await;
    refused(&before, &new.response.access_token).await;
}

#[tokio::test]
async fn token_of_nine_thousand_characters() {
    let world = World::new().await;
    let (_, login) = world.member().await;
    let key = stolen_key(&world).await;
    let padded = |bytes: usize| Token::of(&login).with("zzz", "x".repeat(bytes)).sign(&key);
    assert!(padded(6_600).len() > 9_000);
    refused(&world, &padded(6_600)).await;
    refused(&world, &"x".repeat(9_000)).await;
    refused(&world, &".".repeat(9_000)).await;
    refused(&world, &"x".repeat(10 << 20)).await;
    assert!(padded(4_000).len() > 5_500);
    accepted(&world, &padded(4_000)).await;
}

async fn hs256() -> World {
    World::with(|b| b.jwt_secret(Secret::new(SECRET)).service(ServiceEntry::new(APP))).await
}

#[tokio::test]
async fn hs256_tokens_name_their_service_without_an_audience() {
    let world = hs256().await;
    let (member, login) = world.member().await;
    let Token { header, payload: claims } = Token::of(&login);
    assert_eq!(header, json!({"typ": "at+jwt", "alg": "HS256"}));
    assert_eq!(claims["capauth_service"], SERVICE);
    assert!(claims.get("aud").is_none());
    accepted(&world, &login.response.access_token).await;
    accepted(&world, &Token::of(&login).mac(SECRET.as_bytes())).await;
    assert_eq!(world.verifier.jwks().await.unwrap(), r#"{"keys":[]}"#, "a secret is not published");

    // A's token at B, which shares the secret.
    let b = world.beside(APP, |b| b.base_url(ISSUER).jwt_secret(Secret::new(SECRET))).await;
    refused(&b, &login.response.access_token).await;
    let asked = capauth_protocol::request::ChallengeRequest {
        requested_service: APP.into(),
        ..request(member.fingerprint())
    };
    let challenge = world.ask(asked).await.unwrap();
    let signature = signer::detached(&member.pair(), &payload(&challenge));
    let for_b = world.answer(&response(member.fingerprint(), &challenge, signature, None)).await.unwrap();
    accepted(&b, &for_b.response.access_token).await;
    assert_eq!(
        kind(world.verifier.authenticate(&for_b.response.access_token, Audience::Own).await),
        K::InvalidToken
    );
}

#[tokio::test]
async fn hs256_forgeries() {
    let world = hs256().await;
    let (_, login) = world.member().await;
    let secret = SECRET.as_bytes();
    let token = || Token::of(&login);
    for other in [&b""[..], b"secret", &SECRET.as_bytes()[..31], SERVICE.as_bytes()] {
        refused(&world, &token().mac(other)).await;
    }
    for changed in [
        token().with("capauth_service", "evil.example"),
        token().without("capauth_service"),
        token().without("capauth_service").with("aud", SERVICE),
        token().with("iss", "https://evil.example"),
        token().with("exp", capauth_tests::keys::NOW),
        token().with("capauth_generation", 1),
        token().with_header("typ", "JWT"),
        token().without_header("typ"),
        token().with_header("alg", "HS512"),
        token().with_header("alg", "none"),
        token().with_header("alg", "EdDSA"),
    ] {
        refused(&world, &changed.mac(secret)).await;
    }
    refused(&world, &format!("{}.", token().with_header("alg", "none").message())).await;
    // Tokens of the other kind, and this kind where the other is spoken.
    let eddsa = world.beside(SERVICE, |b| b).await;
    let key = stolen_key(&eddsa).await;
    let ring = world.stores.tokens.token_keys(KeyPurpose::Access).await.unwrap();
    let signed = token()
        .with_header("alg", "EdDSA")
        .with_header("kid", ring[0].kid.as_str())
        .with("aud", SERVICE)
        .sign(&key);
    refused(&world, &signed).await;
    accepted(&eddsa, &signed).await;
    refused(&eddsa, &login.response.access_token).await;
    accepted(&world, &token().mac(secret)).await;
}
