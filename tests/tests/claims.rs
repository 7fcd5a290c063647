//! Attacks with claims: what a person says of themselves is only ever that, and only when they signed it for this login.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use capauth_protocol::payload::ClaimsPayload;
use capauth_protocol::request::VerifyRequest;
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{ErrorCode, OidcClaims, Scalar};
use capauth_tests::keys::{Back, Draft, MINUTE, at, new_subkey, pair_of};
use capauth_tests::login::{World, json, kind, payload};
use capauth_tests::signer;
use capauth_verifier::{Audience, AuthErrorKind as K, Login, Verifier as _};
use sequoia_openpgp::crypto::KeyPair;
use serde_json::json as body;

/// An answer as it goes over the wire, with this text as its claims and this text signed.
struct Answer<'a> {
    draft: &'a Draft,
    challenge: &'a ChallengeResponse,
    claims: &'a str,
    fingerprint: String,
    signature: Option<String>,
}

impl<'a> Answer<'a> {
    /// Claims that are signed as they stand there.
    fn honest(draft: &'a Draft, challenge: &'a ChallengeResponse, claims: &'a str) -> Self {
        let fingerprint = draft.fingerprint().to_string();
        let text = ClaimsPayload { fingerprint: &fingerprint, nonce: &challenge.nonce, claims_json: claims }
            .to_text();
        let signature = Some(signer::detached(&draft.pair(), &text));
        Self { draft, challenge, claims, fingerprint, signature }
    }

    /// The same with something else signed.
    fn signing(self, pair: &KeyPair, nonce: &str, fingerprint: &str, claims: &str) -> Self {
        let text = ClaimsPayload { fingerprint, nonce, claims_json: claims }.to_text();
        Self { signature: Some(signer::detached(pair, &text)), ..self }
    }

    fn text(&self) -> String {
        let mut members = body!({
            "capauth_version": "1.0",
            "fingerprint": self.fingerprint,
            "nonce": self.challenge.nonce,
            "nonce_signature": signer::detached(&self.draft.pair(), &payload(self.challenge)),
            "claims": "CLAIMS",
        });
        if let Some(signature) = &self.signature {
            members["claims_signature"] = signature.clone().into();
        }
        // The claims are spelled by the client: no JSON library comes between.
        members.to_string().replace(r#""CLAIMS""#, self.claims)
    }

    fn request(&self) -> VerifyRequest {
        VerifyRequest::parse(self.text().as_bytes()).expect("a body that is read")
    }
}

/// What applications read after an honest login with these claims, by the answer, the token and the session alike.
async fn mapped(world: &World, member: &Draft, claims: &str) -> OidcClaims {
    let challenge = world.challenge(member.fingerprint()).await;
    let login = world.answer(&Answer::honest(member, &challenge, claims).request()).await.expect("a login");
    let token = world.verifier.authenticate(&login.response.access_token, Audience::Own).await.unwrap();
    let session = world.verifier.resume(login.who.session()).await.unwrap();
    assert_eq!(&login.response.oidc_claims, login.who.claims());
    assert_eq!(token.claims(), login.who.claims());
    assert_eq!(session.claims(), login.who.claims());
    login.response.oidc_claims
}

#[tokio::test]
async fn unsigned_claims() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let challenge = world.challenge(member.fingerprint()).await;
    for signature in [None, Some(String::new()), Some("nonsense".to_owned())] {
        let answer = Answer { signature, ..Answer::honest(&member, &challenge, r#"{"name":"Mallory"}"#) };
        assert_eq!(kind(world.answer(&answer.request()).await), K::InvalidClaimsSignature);
    }
    // The login's own signature covers the login alone.
    let reused = Some(signer::detached(&member.pair(), &payload(&challenge)));
    let answer = Answer { signature: reused, ..Answer::honest(&member, &challenge, r#"{"name":"Mallory"}"#) };
    assert_eq!(kind(world.answer(&answer.request()).await), K::InvalidClaimsSignature);
    let honest = Answer::honest(&member, &challenge, r#"{"name":"Alice"}"#);
    let login = world.answer(&honest.request()).await.expect("signed, and the challenge is still there");
    assert_eq!(login.who.display_name(), "Alice");
}

#[tokio::test]
async fn tampered_claims() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let challenge = world.challenge(member.fingerprint()).await;
    let signed = r#"{"agent_type":"human","groups":[],"name":"Alice"}"#;
    for claims in [
        r#"{"agent_type":"human","groups":[],"name":"alice"}"#,
        r#"{"agent_type":"human","groups":["admins"],"name":"Alice"}"#,
        r#"{"agent_type":"human","name":"Alice"}"#,
        r#"{"agent_type":"human","email":"a@example.org","groups":[],"name":"Alice"}"#,
        r#"{"agent_type":"human","groups":[],"name":"Alice "}"#,
        r#"{"agent_type":"human","groups":{},"name":"Alice"}"#,
    ] {
        let answer = Answer {
            signature: Answer::honest(&member, &challenge, signed).signature,
            ..Answer::honest(&member, &challenge, claims)
        };
        assert_eq!(kind(world.answer(&answer.request()).await), K::InvalidClaimsSignature, "{claims}");
    }
    world.answer(&Answer::honest(&member, &challenge, signed).request()).await.expect("untouched");
}

#[tokio::test]
async fn transplanted_claims() {
    let world = World::new().await;
    let ((alice, _), (bob, _)) = (world.member().await, world.member().await);
    let earlier = world.challenge(alice.fingerprint()).await;
    let challenge = world.challenge(alice.fingerprint()).await;
    let claims = r#"{"name":"Alice"}"#;
    let answer = || Answer::honest(&alice, &challenge, claims);
    let (own, bobs) = (alice.fingerprint().to_string(), bob.fingerprint().to_string());
    let nonce = challenge.nonce.as_str();
    let attacks = [
        answer().signing(&alice.pair(), &earlier.nonce, &own, claims),
        answer().signing(&bob.pair(), nonce, &own, claims),
        answer().signing(&bob.pair(), nonce, &bobs, claims),
        answer().signing(&alice.pair(), nonce, &bobs, claims),
        answer().signing(&alice.pair(), &nonce.to_uppercase(), &own, claims),
        answer().signing(&alice.pair(), nonce, "", claims),
    ];
    for attack in attacks {
        assert_eq!(kind(world.answer(&attack.request()).await), K::InvalidClaimsSignature);
    }
    world.answer(&answer().request()).await.expect("her own, for this login");
}

#[tokio::test]
async fn claims_signed_too_long_ago_or_by_a_key_that_may_not_sign() {
    let world = World::new().await;
    let subkey = new_subkey();
    let authentication = |b: sequoia_openpgp::packet::signature::SignatureBuilder| {
        b.set_key_flags(sequoia_openpgp::types::KeyFlags::empty().set_authentication()).unwrap()
    };
    let member = Draft::honest().subkey(&subkey, authentication, Back::Good);
    world.enrol(&member, &member.pair()).await.unwrap();
    let challenge = world.challenge(member.fingerprint()).await;
    let claims = r#"{"name":"Alice"}"#;
    let own = member.fingerprint().to_string();
    let text = ClaimsPayload { fingerprint: &own, nonce: &challenge.nonce, claims_json: claims }.to_text();
    let old = signer::detached_with(&member.pair(), &text, |b| {
        b.set_signature_creation_time(at(-6 * MINUTE)).unwrap()
    });
    let answer = Answer { signature: Some(old), ..Answer::honest(&member, &challenge, claims) };
    assert_eq!(kind(world.answer(&answer.request()).await), K::InvalidClaimsSignature);
    let answer = Answer::honest(&member, &challenge, claims).signing(
        &pair_of(&subkey),
        &challenge.nonce,
        &own,
        claims,
    );
    assert_eq!(kind(world.answer(&answer.request()).await), K::InvalidClaimsSignature);
    world
        .answer(&Answer::honest(&member, &challenge, claims).request())
        .await
        .expect("now, by the right key");
}

#[tokio::test]
async fn every_form_of_signature_and_every_spelling_of_the_fingerprint() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let claims = r#"{"name":"Zoë","note":"- dash"}"#;
    let forms: [fn(&KeyPair, &str) -> String; 5] = [
        signer::detached,
        signer::detached_text,
        signer::inline,
        signer::inline_compressed,
        signer::cleartext,
    ];
    let upper = member.fingerprint().to_string();
    let (first, second) = upper.split_at(20);
    let spaced = format!("0x{first} {second}");
    for form in forms {
        for fingerprint in [upper.clone(), upper.to_lowercase(), spaced.clone()] {
            let challenge = world.challenge(member.fingerprint()).await;
            let text =
                ClaimsPayload { fingerprint: &fingerprint, nonce: &challenge.nonce, claims_json: claims }
                    .to_text();
            let signature = Some(form(&member.pair(), &text));
            let answer = Answer { fingerprint, signature, ..Answer::honest(&member, &challenge, claims) };
            let login = world.answer(&answer.request()).await.expect("signed as it was spelled");
            assert_eq!(login.who.display_name(), "Zoë");
        }
    }
}

#[tokio::test]
async fn top_level_sorted_form_and_number_spelling() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    // Sent in one order, signed in another: sorted at every depth, or at the top alone.
    let sent = r#"{"z":{"b":1.0,"a":1e3},"capauth_n":-0,"name":"Alice"}"#;
    for signed in [
        r#"{"capauth_n":-0,"name":"Alice","z":{"a":1e3,"b":1.0}}"#,
        r#"{"capauth_n":-0,"name":"Alice","z":{"b":1.0,"a":1e3}}"#,
    ] {
        let challenge = world.challenge(member.fingerprint()).await;
        let own = member.fingerprint().to_string();
        let answer =
            Answer::honest(&member, &challenge, sent).signing(&member.pair(), &challenge.nonce, &own, signed);
        let login = world.answer(&answer.request()).await.expect("both are in use");
        assert_eq!(login.who.display_name(), "Alice");
    }
    for signed in [
        r#"{"z":{"b":1.0,"a":1e3},"capauth_n":-0,"name":"Alice"}"#,
        r#"{"capauth_n":0,"name":"Alice","z":{"a":1e3,"b":1.0}}"#,
        r#"{"capauth_n":-0,"name":"Alice","z":{"a":1000,"b":1.0}}"#,
        r#"{"capauth_n":-0,"name":"Alice","z":{"a":1000.0,"b":1.0}}"#,
        r#"{"capauth_n":-0,"name":"Alice","z":{"a":1e3,"b":1}}"#,
        r#"{"capauth_n": -0, "name": "Alice", "z": {"a": 1e3, "b": 1.0}}"#,
    ] {
        let challenge = world.challenge(member.fingerprint()).await;
        let own = member.fingerprint().to_string();
        let answer =
            Answer::honest(&member, &challenge, sent).signing(&member.pair(), &challenge.nonce, &own, signed);
        assert_eq!(kind(world.answer(&answer.request()).await), K::InvalidClaimsSignature, "{signed}");
    }
}

#[tokio::test]
async fn claims_that_name_what_only_the_server_says() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let plain = mapped(&world, &member, r#"{"zzz":1}"#).await;
    for (name, value) in [
        ("sub", r#""0000""#),
        ("iss", r#""https://evil.example""#),
        ("aud", r#""other.example.com""#),
        ("exp", "99999999999"),
        ("iat", "0"),
        ("nbf", "0"),
        ("jti", r#""x""#),
        ("auth_time", "0"),
        ("amr", r#"["hwk"]"#),
        ("acr", r#""high""#),
        ("azp", r#""x""#),
        ("act", r#"{"sub":"x"}"#),
        ("scope", r#""admin""#),
        ("roles", r#"["admin"]"#),
        ("email_verified", "true"),
        ("preferred_username", r#""admin""#),
        ("nickname", r#""admin""#),
        ("username", r#""admin""#),
        ("picture", r#""https://example.org/x.png""#),
        ("soul_blueprint_category", r#""x""#),
        ("client_id", r#""x""#),
        ("extra", r#"{"capauth_admin":true}"#),
    ] {
        let claims = mapped(&world, &member, &format!(r#"{{"{name}":{value}}}"#)).await;
        assert_eq!(claims, plain, "{name}");
    }
    let claims = mapped(&world, &member, r#"{"email":"a@example.org","email_verified":true}"#).await;
    assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("a@example.org"), Some(false)));
    let granted_none = mapped(&world, &member, r#"{"groups":["admins"]}"#).await;
    assert!(granted_none.groups.is_empty());
}

/// What stands in the token itself: the claims of an attacker never double a member of its payload.
#[tokio::test]
async fn members_of_the_token_are_not_doubled() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let claims = r#"{"capauth_epoch":9,"capauth_generation":9,"capauth_origin":"https://evil.example","capauth_service":"x","capauth_shared_groups":["admins"],"exp":1}"#;
    let challenge = world.challenge(member.fingerprint()).await;
    let login: Login = world.answer(&Answer::honest(&member, &challenge, claims).request()).await.unwrap();
    let part = login.response.access_token.split('.').nth(1).unwrap().to_owned();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, part).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    json(&text); // No name stands twice in it.
    assert!(!text.contains("evil.example") && !text.contains("admins"), "{text}");
}

#[tokio::test]
async fn reserved_capauth_names_too_many_and_too_long() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let plain = mapped(&world, &member, r#"{"zzz":1}"#).await;
    for name in [
        "fingerprint",
        "service",
        "version",
        "sub",
        "primary",
        "groups",
        "roles",
        "admin",
        "approved",
        "verified",
        "generation",
        "epoch",
    ] {
        for claims in [format!(r#"{{"capauth_{name}":"x"}}"#), format!(r#"{{"capauth_{name}":true}}"#)] {
            assert_eq!(mapped(&world, &member, &claims).await, plain, "{name}");
        }
    }
    let extra = |claims: OidcClaims| claims.extra;
    let kept = extra(mapped(&world, &member, r#"{"capauth_b":true,"capauth_i":-3,"capauth_s":"x"}"#).await);
    assert_eq!(kept.len(), 3);
    assert_eq!(kept["capauth_i"], Scalar::from(-3));
    for value in ["null", "[1]", r#"{"a":1}"#] {
        assert_eq!(mapped(&world, &member, &format!(r#"{{"capauth_x":{value}}}"#)).await, plain, "{value}");
    }
    let long = |bytes: usize| format!(r#"{{"capauth_x":"{}"}}"#, "x".repeat(bytes));
    assert_eq!(extra(mapped(&world, &member, &long(256)).await).len(), 1);
    assert_eq!(mapped(&world, &member, &long(257)).await, plain);
    let many: Vec<String> = (10..40).map(|n| format!(r#""capauth_{n}":{n}"#)).collect();
    assert_eq!(extra(mapped(&world, &member, &format!("{{{}}}", many.join(","))).await).len(), 16);
}

#[tokio::test]
async fn mapped_claims_above_2_kib() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let outcome = async |claims: &str| {
        let challenge = world.challenge(member.fingerprint()).await;
        world.answer(&Answer::honest(&member, &challenge, claims).request()).await
    };
    let name = |bytes: usize| format!(r#"{{"name":"{}"}}"#, "x".repeat(bytes));
    outcome(&name(800)).await.expect("a long name, which also becomes the user name");
    assert_eq!(kind(outcome(&name(2048)).await), K::InvalidRequest);
    assert_eq!(kind(outcome(&name(1024)).await), K::InvalidRequest, "counted as often as it is carried");
    let groups: Vec<String> = (0..200).map(|n| format!(r#""group-{n:04}""#)).collect();
    assert_eq!(kind(outcome(&format!(r#"{{"groups":[{}]}}"#, groups.join(","))).await), K::InvalidRequest);
    let dropped = format!(r#"{{"zzz":"{}"}}"#, "x".repeat(4000));
    outcome(&dropped).await.expect("what is dropped does not count");
}

/// A login that is refused for its claims is refused before anything is done.
#[tokio::test]
async fn claims_that_are_too_long_neither_enrol_nor_burn_the_challenge() {
    let world = World::new().await;
    let draft = Draft::honest();
    let challenge = world.challenge(draft.fingerprint()).await;
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(2048));
    let mut request = Answer::honest(&draft, &challenge, &long).request();
    request.public_key = Some(draft.armored());
    assert_eq!(kind(world.answer(&request).await), K::InvalidRequest);
    assert_eq!(world.count().await, 0);
    let mut request = Answer::honest(&draft, &challenge, r#"{"name":"x"}"#).request();
    request.public_key = Some(draft.armored());
    world.answer(&request).await.expect("the same challenge");
}

/// Refused as the body is read, before there is a request at all.
#[tokio::test]
async fn duplicate_names_control_characters_and_what_is_no_json() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let challenge = world.challenge(member.fingerprint()).await;
    let read = |claims: &str| {
        let text = Answer::honest(&member, &challenge, claims).text();
        VerifyRequest::parse(text.as_bytes()).map_err(|refusal| refusal.code)
    };
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    for claims in [
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":"a","\u006eame":"b"}"#,
        r#"{"x":{"y":1,"y":2}}"#,
        r#"{"x":[{"y":1,"y":2}]}"#,
        r#"{"name":"a\u0000"}"#,
        r#"{"name":"a\u001b[31m"}"#,
        r#"{"name":"a\u007f"}"#,
        r#"{"name":"a\u0085"}"#,
        r#"{"name":"a\r\nSet-Cookie: x"}"#,
        r#"{"na\u0007me":"a"}"#,
        r#"{"x":{"y":["a\u0001"]}}"#,
        r#"{"x":NaN}"#,
        r#"{"x":Infinity}"#,
        r#"{"x":01}"#,
        r#"{"x":"\ud800"}"#,
        r#"["name"]"#,
        r#""name""#,
        "1",
        "{",
        deep.as_str(),
    ] {
        assert_eq!(read(claims).unwrap_err(), ErrorCode::InvalidRequest, "{claims}");
    }
    let lines = r#"{"name":"two\nlines\tand a tab"}"#;
    let login = world.answer(&read(lines).unwrap()).await.expect("LF and TAB are text");
    assert_eq!(login.who.display_name(), "two\nlines\tand a tab");
}

#[tokio::test]
async fn picture_that_is_a_script() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let picture =
        async |url: &str| mapped(&world, &member, &format!(r#"{{"avatar_url":"{url}"}}"#)).await.picture;
    for url in [
        "javascript:alert(1)",
        "JavaScript://x/%0aalert(1)",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "vbscript:x",
        "//evil.example/x.png",
        "/x.png",
        "file:///etc/passwd",
        "https:x",
        " https://example.org/x.png",
        "https://example.org/x.png\\nx",
    ] {
        assert_eq!(picture(url).await, None, "{url}");
    }
    for url in ["https://example.org/x.png", "http://example.org/x.png?s=1#a"] {
        assert_eq!(picture(url).await.as_deref(), Some(url));
    }
}

#[tokio::test]
async fn claims_of_wrong_types_are_dropped() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let plain = mapped(&world, &member, r#"{"zzz":1}"#).await;
    for name in ["name", "email", "avatar_url", "locale", "zoneinfo", "agent_type", "soul_blueprint"] {
        for value in ["1", "true", "null", "[]", r#"["x"]"#, "{}"] {
            let claims = mapped(&world, &member, &format!(r#"{{"{name}":{value}}}"#)).await;
            assert_eq!(claims, plain, "{name} {value}");
        }
    }
    let claims = mapped(
        &world,
        &member,
        r#"{"agent_type":"ai","email":"a@example.org","locale":"de","name":"Alice","soul_blueprint":{"category":"sage"},"zoneinfo":"Europe/Berlin"}"#,
    )
    .await;
    assert_eq!(claims.name.as_deref(), Some("Alice"));
    assert_eq!(claims.preferred_username.as_deref(), Some("Alice"));
    assert_eq!(claims.locale.as_deref(), Some("de"));
    assert_eq!(claims.zoneinfo.as_deref(), Some("Europe/Berlin"));
    assert_eq!(claims.soul_blueprint_category.as_deref(), Some("sage"));
    assert_eq!(claims.agent_type.as_deref(), Some("ai"));
    assert_eq!(plain.preferred_username, Some(format!("capauth-{}", member.fingerprint().prefix(8))));
    assert_eq!(plain.amr, ["pgp"]);
}

#[tokio::test]
async fn agent_type_is_a_courtesy() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    for (claims, ai) in [
        (r#"{"agent_type":"ai"}"#, true),
        (r#"{"agent_type":"human"}"#, false),
        (r#"{"agent_type":"AI"}"#, false),
        (r#"{"agent_type":["ai"]}"#, false),
        (r#"{"name":"x"}"#, false),
    ] {
        let challenge = world.challenge(member.fingerprint()).await;
        let login = world.answer(&Answer::honest(&member, &challenge, claims).request()).await.unwrap();
        assert_eq!(login.who.is_ai(), ai, "{claims}");
    }
}
