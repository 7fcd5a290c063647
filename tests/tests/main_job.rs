//! People sign in: every kind of key and signature against the real service, and what they can do afterwards.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use capauth_tests::gpg::Gpg;
use capauth_tests::http::{Client, Sign, SignIn};
use capauth_tests::sequoia::Key;
use capauth_tests::service::Service;
use sequoia_openpgp::Profile;
use sequoia_openpgp::cert::CipherSuite;
use serde_json::{Value, json};

/// Signs in twice: the first time with the certificate, which enrols it, the second without.
async fn enrol_and_return(client: &Client, login: SignIn<'_>, certificate: &str) {
    let known = client.sign_in(login).await;
    known.refused("401 unknown_fingerprint");
    let first = client.sign_in(login.enrolling(certificate)).await.ok();
    assert_eq!(first["authenticated"], true);
    assert_eq!(first["is_new_enrollment"], true);
    let second = client.sign_in(login).await.ok();
    assert_eq!(second["is_new_enrollment"], false);
    for answer in [&first, &second] {
        assert_eq!(answer["fingerprint"], login.fingerprint);
        assert_eq!(answer["token_type"], "capauth");
        assert_eq!(answer["expires_in"], 3600);
        assert_eq!(answer["oidc_claims"]["sub"], login.fingerprint);
        assert_eq!(answer["oidc_claims"]["capauth_fingerprint"], login.fingerprint);
        assert_eq!(answer["oidc_claims"]["amr"], json!(["pgp"]));
    }
    assert_ne!(first["access_token"], second["access_token"]);
}

async fn gpg_key_signs_in(algorithm: &str) {
    let (service, gpg) = (Service::start(&[]), Gpg::new());
    let fingerprint = gpg.generate("Alice <alice@example.org>", algorithm);
    let sign = |data: &[u8]| gpg.detach_sign(&fingerprint, data);
    let login = SignIn::new(&fingerprint, &sign);
    enrol_and_return(&Client::new(service.url()), login, &gpg.export(&fingerprint)).await;
}

#[tokio::test]
async fn gpg_ed25519() {
    gpg_key_signs_in("ed25519").await;
}

#[tokio::test]
async fn gpg_rsa_3072() {
    gpg_key_signs_in("rsa3072").await;
}

#[tokio::test]
async fn gpg_nist_p256() {
    gpg_key_signs_in("nistp256").await;
}

#[tokio::test]
async fn gpg_signing_subkey() {
    let (service, gpg) = (Service::start(&[]), Gpg::new());
    let fingerprint = gpg.generate_with_signing_subkey("Alice <alice@example.org>");
    let sign = |data: &[u8]| gpg.detach_sign(&fingerprint, data);
    let login = SignIn::new(&fingerprint, &sign);
    enrol_and_return(&Client::new(service.url()), login, &gpg.export(&fingerprint)).await;
}

#[tokio::test]
async fn gpg_key_behind_a_passphrase() {
    let (service, gpg) = (Service::start(&[]), Gpg::with_passphrase("correct horse battery staple"));
    let fingerprint = gpg.generate("Alice <alice@example.org>", "ed25519");
    let sign = |data: &[u8]| gpg.detach_sign(&fingerprint, data);
    let login = SignIn::new(&fingerprint, &sign);
    enrol_and_return(&Client::new(service.url()), login, &gpg.export(&fingerprint)).await;
}

async fn sequoia_key_signs_in(suite: CipherSuite, profile: Profile, digits: usize) {
    let service = Service::start(&[]);
    let key = Key::generate("Alice <alice@example.org>", suite, profile);
    assert_eq!(key.fingerprint.len(), digits);
    let sign = |data: &[u8]| key.detach_sign(data);
    let login = SignIn::new(&key.fingerprint, &sign);
    enrol_and_return(&Client::new(service.url()), login, &key.certificate).await;
}

#[tokio::test]
async fn openpgp_v6_ed25519() {
    sequoia_key_signs_in(CipherSuite::Cv25519, Profile::RFC9580, 64).await;
}

#[tokio::test]
async fn openpgp_v6_ed448() {
    sequoia_key_signs_in(CipherSuite::Cv448, Profile::RFC9580, 64).await;
}

#[tokio::test]
async fn post_quantum_mldsa65() {
    sequoia_key_signs_in(CipherSuite::MLDSA65_Ed25519, Profile::RFC9580, 64).await;
}

#[tokio::test]
async fn post_quantum_mldsa87() {
    sequoia_key_signs_in(CipherSuite::MLDSA87_Ed448, Profile::RFC9580, 64).await;
}

/// A person with a gpg key at a service of their own.
struct Alice {
    _service: Service,
    client: Client,
    gpg: Gpg,
    fingerprint: String,
    certificate: String,
}

impl Alice {
    fn arrive(settings: &[(&str, &str)]) -> Self {
        let (service, gpg) = (Service::start(settings), Gpg::new());
        let fingerprint = gpg.generate_days_ago("Alice <alice@example.org>", 30);
        let client = Client::new(service.url());
        let certificate = gpg.export(&fingerprint);
        Self { _service: service, client, gpg, fingerprint, certificate }
    }

    async fn enrol(&self) -> Value {
        let sign = |data: &[u8]| self.gpg.detach_sign(&self.fingerprint, data);
        self.client.sign_in(SignIn::new(&self.fingerprint, &sign).enrolling(&self.certificate)).await.ok()
    }

    async fn returns(&self, sign: &(dyn Fn(&[u8]) -> String + Sync)) -> capauth_tests::http::Answer {
        self.client.sign_in(SignIn::new(&self.fingerprint, sign)).await
    }
}

#[tokio::test]
async fn signatures_in_every_form_that_clients_send() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let (gpg, key) = (&alice.gpg, alice.fingerprint.as_str());
    let forms: &[(&str, Sign<'_>)] = &[
        ("detached", &|data| gpg.detach_sign(key, data)),
        ("detached, text", &|data| gpg.detach_sign_text(key, data)),
        ("inline, compressed", &|data| gpg.inline_sign(key, data)),
        ("cleartext", &|data| gpg.clear_sign(key, data)),
        ("cleartext, CRLF", &|data| gpg.clear_sign(key, data).replace('\n', "\r\n")),
        ("detached, CRLF in the armour", &|data| gpg.detach_sign(key, data).replace('\n', "\r\n")),
    ];
    for (form, sign) in forms {
        let answer = alice.returns(sign).await;
        assert_eq!(answer.status, 200, "{form}: {}", answer.text());
    }
}

#[tokio::test]
async fn attack_signature_over_something_else_in_every_form() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let (gpg, key) = (&alice.gpg, alice.fingerprint.as_str());
    let other = |data: &[u8]| [data, b" "].concat();
    let forms: &[(&str, Sign<'_>)] = &[
        ("detached", &|data| gpg.detach_sign(key, &other(data))),
        ("detached, text", &|data| gpg.detach_sign_text(key, &[data, b"x"].concat())),
        ("inline", &|data| gpg.inline_sign(key, &other(data))),
        ("cleartext", &|data| gpg.clear_sign(key, &[data, b"\nexpires=never"].concat())),
        ("nothing", &|_| "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n".to_owned()),
        ("no armour", &|_| "signed, Alice".to_owned()),
    ];
    for (form, sign) in forms {
        let answer = alice.returns(sign).await;
        assert_eq!(answer.refusal(), "401 invalid_nonce_signature", "{form}: {}", answer.text());
    }
}

#[tokio::test]
async fn attack_key_of_somebody_else() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let mallory = alice.gpg.generate("Mallory <mallory@example.org>", "ed25519");
    let by_mallory = |data: &[u8]| alice.gpg.detach_sign(&mallory, data);
    alice.returns(&by_mallory).await.refused("401 invalid_nonce_signature");
    let her_name_my_key = SignIn::new(&alice.fingerprint, &by_mallory);
    let certificate = alice.gpg.export(&mallory);
    alice.client.sign_in(her_name_my_key.enrolling(&certificate)).await.refused("401 fingerprint_mismatch");
    let mine = SignIn::new(&mallory, &by_mallory).enrolling(&certificate);
    alice.client.sign_in(mine).await.ok();
}

#[tokio::test]
async fn attack_replay_of_a_login() {
    let alice = Alice::arrive(&[]);
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let challenge = alice.client.challenge(&alice.fingerprint).await;
    let body = SignIn::new(&alice.fingerprint, &sign).enrolling(&alice.certificate).answer_to(&challenge);
    alice.client.post("/capauth/v1/verify", &body).await.ok();
    alice.client.post("/capauth/v1/verify", &body).await.refused("400 invalid_nonce");
}

#[tokio::test]
async fn attack_one_challenge_answered_many_times_at_once() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let challenge = alice.client.challenge(&alice.fingerprint).await;
    let body = SignIn::new(&alice.fingerprint, &sign).answer_to(&challenge);
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let (client, body) = (alice.client.clone(), body.clone());
            tokio::spawn(async move { client.post("/capauth/v1/verify", &body).await })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        let answer = racer.await.unwrap();
        match answer.status {
            200 => won += 1,
            _ => answer.refused("400 invalid_nonce"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_stranger_does_not_burn_a_challenge() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let challenge = alice.client.challenge(&alice.fingerprint).await;
    let junk = |_: &[u8]| "-----BEGIN PGP SIGNATURE-----\n\nwg==\n-----END PGP SIGNATURE-----\n".to_owned();
    let by_stranger = SignIn::new(&alice.fingerprint, &junk).answer_to(&challenge);
    alice.client.post("/capauth/v1/verify", &by_stranger).await.refused("401 invalid_nonce_signature");
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let by_alice = SignIn::new(&alice.fingerprint, &sign).answer_to(&challenge);
    alice.client.post("/capauth/v1/verify", &by_alice).await.ok();
}

#[tokio::test]
async fn an_expired_key_is_refused_and_told_so() {
    for enrolled in [false, true] {
        let alice = Alice::arrive(&[]);
        if enrolled {
            alice.enrol().await;
        }
        let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
        // gpg would not sign with an expired key: the signature is made first.
        let challenge = alice.client.challenge(&alice.fingerprint).await;
        let login = SignIn::new(&alice.fingerprint, &sign);
        let mut body = login.answer_to(&challenge);
        alice.gpg.expire(&alice.fingerprint);
        body["public_key"] = alice.gpg.export(&alice.fingerprint).into();
        alice.client.post("/capauth/v1/verify", &body).await.refused("401 key_expired");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_told_so() {
    let alice = Alice::arrive(&[]);
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let challenge = alice.client.challenge(&alice.fingerprint).await;
    let mut body = SignIn::new(&alice.fingerprint, &sign).answer_to(&challenge);
    alice.gpg.revoke(&alice.fingerprint);
    body["public_key"] = alice.gpg.export(&alice.fingerprint).into();
    alice.client.post("/capauth/v1/verify", &body).await.refused("401 key_revoked");
}

#[tokio::test]
async fn attack_old_certificate_after_the_revocation_was_seen() {
    let alice = Alice::arrive(&[]);
    let token = alice.enrol().await["access_token"].as_str().unwrap().to_owned();
    alice.client.get_as(&token, "/capauth/v1/userinfo").await.ok();
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    // The thief signs while the key still can, and keeps the certificate of the time before.
    let mut prepared = Vec::new();
    for _ in 0..3 {
        let challenge = alice.client.challenge(&alice.fingerprint).await;
        prepared
            .push(SignIn::new(&alice.fingerprint, &sign).enrolling(&alice.certificate).answer_to(&challenge));
    }
    alice.gpg.revoke(&alice.fingerprint);
    prepared[0]["public_key"] = alice.gpg.export(&alice.fingerprint).into();
    prepared[2].as_object_mut().unwrap().remove("public_key");
    for body in &prepared {
        alice.client.post("/capauth/v1/verify", body).await.refused("401 key_revoked");
    }
    alice.client.get_as(&token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
}

#[tokio::test]
async fn secret_key_material_is_refused() {
    let alice = Alice::arrive(&[]);
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let secret = alice.gpg.export_secret(&alice.fingerprint);
    let answer = alice.client.sign_in(SignIn::new(&alice.fingerprint, &sign).enrolling(&secret)).await;
    answer.refused("400 invalid_public_key");
    assert!(answer.text().to_lowercase().contains("secret key"), "{}", answer.text());
    alice.enrol().await;
}

#[tokio::test]
async fn fingerprints_in_the_spellings_that_people_use() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let upper = &alice.fingerprint;
    let spaced =
        upper.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four)).collect::<Vec<_>>().join(" ");
    for spelling in [upper.to_lowercase(), spaced, format!("0x{upper}")] {
        let claims = json!({"name": "Alice"});
        let answer = alice.client.sign_in(SignIn::new(&spelling, &sign).claiming(&claims)).await.ok();
        assert_eq!(answer["fingerprint"], *upper);
        assert_eq!(answer["oidc_claims"]["name"], "Alice");
    }
}

#[tokio::test]
async fn signed_claims_become_what_applications_read() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let claims = json!({
        "name": "Ālice Ünïcode",
        "email": "alice@example.org",
        "avatar_url": "https://example.org/a.png",
        "locale": "de",
        "zoneinfo": "Europe/Berlin",
        "agent_type": "ai",
        "soul_blueprint": {"category": "sage"},
        "capauth_team": "blue",
        "groups": ["admins"],
        "sub": "somebody else",
        "email_verified": true,
        "capauth_fingerprint": "0000000000000000000000000000000000000000",
        "amr": ["hwk"],
        "capauth_admin": true,
        "shoe_size": 43,
    });
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let answer = alice.client.sign_in(SignIn::new(&alice.fingerprint, &sign).claiming(&claims)).await.ok();
    let expected = json!({
        "sub": alice.fingerprint,
        "capauth_fingerprint": alice.fingerprint,
        "amr": ["pgp"],
        "name": "Ālice Ünïcode",
        "preferred_username": "Ālice Ünïcode",
        "email": "alice@example.org",
        "email_verified": false,
        "picture": "https://example.org/a.png",
        "locale": "de",
        "zoneinfo": "Europe/Berlin",
        "agent_type": "ai",
        "soul_blueprint_category": "sage",
        "capauth_team": "blue",
    });
    assert_eq!(answer["oidc_claims"], expected);
    // Without a name there is a name all the same; groups that nobody granted are none.
    let anonymous = alice.returns(&sign).await.ok();
    let eight = &alice.fingerprint[..8];
    assert_eq!(anonymous["oidc_claims"]["preferred_username"], format!("capauth-{eight}"));
}

#[tokio::test]
async fn attack_claims_that_are_not_signed_for_this_login() {
    let alice = Alice::arrive(&[]);
    alice.enrol().await;
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let claims = json!({"name": "Alice"});
    let login = SignIn::new(&alice.fingerprint, &sign).claiming(&claims);
    let earlier = login.answer_to(&alice.client.challenge(&alice.fingerprint).await);
    for change in ["changed", "missing", "empty", "another login's"] {
        let mut body = login.answer_to(&alice.client.challenge(&alice.fingerprint).await);
        match change {
            "changed" => body["claims"]["name"] = "Mallory".into(),
            "missing" => drop(body.as_object_mut().unwrap().remove("claims_signature")),
            "empty" => body["claims_signature"] = "".into(),
            _ => body["claims_signature"] = earlier["claims_signature"].clone(),
        }
        let answer = alice.client.post("/capauth/v1/verify", &body).await;
        assert_eq!(answer.refusal(), "401 invalid_claims_signature", "{change}: {}", answer.text());
    }
    assert_eq!(alice.client.sign_in(login).await.ok()["oidc_claims"]["name"], "Alice");
}

#[tokio::test]
async fn a_second_service_gets_tokens_of_its_own() {
    let alice = Alice::arrive(&[("CAPAUTH_SERVICES", "wiki.example.com")]);
    let own = alice.enrol().await["access_token"].as_str().unwrap().to_owned();
    let ask = json!({
        "fingerprint": alice.fingerprint, "client_nonce": "AAAA", "requested_service": "wiki.example.com",
    });
    let challenge =
        capauth_tests::http::Challenge::read(&alice.client.post("/capauth/v1/challenge", &ask).await);
    assert_eq!(challenge.get("service"), "wiki.example.com");
    let sign = |data: &[u8]| alice.gpg.detach_sign(&alice.fingerprint, data);
    let body = SignIn::new(&alice.fingerprint, &sign).answer_to(&challenge);
    let wiki = alice.client.post("/capauth/v1/verify", &body).await.ok();
    let wiki = wiki["access_token"].as_str().unwrap();
    assert_eq!(alice.client.get_as(wiki, "/capauth/v1/userinfo").await.ok()["aud"], "wiki.example.com");
    assert_eq!(alice.client.get_as(&own, "/capauth/v1/userinfo").await.ok()["aud"], "capauth.local");
    // Signed in for the wiki is not signed in here.
    alice.client.get_as(wiki, "/auth/capauth/me").await.refused("401 invalid_token");
    alice.client.get_as(&own, "/auth/capauth/me").await.ok();
    let mut unknown = ask.clone();
    unknown["requested_service"] = "bank.example.com".into();
    alice.client.post("/capauth/v1/challenge", &unknown).await.refused("400 service_mismatch");
}

#[tokio::test]
async fn the_server_signs_its_challenges() {
    let server = Key::ed25519("CapAuth");
    let alice = Alice::arrive(&[("CAPAUTH_SERVER_KEY_ARMOR", &server.secret_armor())]);
    let challenge = alice.client.challenge(&alice.fingerprint).await;
    alice.gpg.run(&["--import"], challenge.get("server_public_key").as_bytes());
    let signature = alice.gpg.home().join("challenge.asc");
    std::fs::write(&signature, challenge.get("server_signature")).unwrap();
    alice.gpg.run(&["--verify", signature.to_str().unwrap(), "-"], challenge.payload().as_bytes());
    alice.enrol().await;
    let known = alice.client.get("/capauth/v1/well-known").await.ok();
    assert_eq!(known["server_fingerprint"], server.fingerprint);
    assert!(!known.to_string().contains("PRIVATE"), "{known}");

    // Attack: the server's own signature, handed back to it as a login.
    for fingerprint in [&server.fingerprint, &alice.fingerprint] {
        let ask = json!({"fingerprint": fingerprint, "client_nonce": "AAAA"});
        let answer = alice.client.post("/capauth/v1/challenge", &ask).await;
        if *fingerprint == server.fingerprint {
            answer.refused("403 forbidden");
            continue;
        }
        let challenge = capauth_tests::http::Challenge::read(&answer);
        let reflected = json!({
            "fingerprint": server.fingerprint,
            "nonce": challenge.get("nonce"),
            "nonce_signature": challenge.get("server_signature"),
            "public_key": challenge.get("server_public_key"),
        });
        alice.client.post("/capauth/v1/verify", &reflected).await.refused("403 forbidden");
    }
}
