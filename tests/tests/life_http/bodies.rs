//! What is sent to each endpoint, member by member.

use capauth_tests::http::{Answer, send};
use capauth_tests::sites::raw;
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::{ADMIN_TOKEN, World, text, token_claims};

/// What a member holds.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    Fingerprint,
    Nonce,
    /// A line of at most so many bytes.
    Line(usize),
    /// Armour of at most so many bytes.
    Armor(usize),
}
use Is::{Armor, Fingerprint, Line, Nonce};

const SIGNATURE: Is = Armor(64 * 1024);
const CERTIFICATE: Is = Armor(96 * 1024);
const TIME: Is = Line(40);

struct Endpoint {
    method: &'static str,
    path: String,
    /// One that is accepted, once.
    body: Value,
    members: &'static [(&'static str, Is)],
    token: Option<String>,
}

impl Endpoint {
    async fn send(&self, world: &World, kind: &str, body: String) -> Answer {
        let mut request = world.client.request(self.method, &format!("/capauth/v1{}", self.path));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        send(request.header("content-type", kind).body(body)).await
    }

    /// Announces a body that is one byte too long; sends it only if it is asked for.
    async fn send_too_much(&self, world: &World) -> String {
        let request = raw::Request::new(format!("{} /capauth/v1{}", self.method, self.path));
        let token = self.token.iter().map(|token| format!("Bearer {token}"));
        let request = token.fold(request, |request, token| request.header("authorization", token));
        let request = request.header("content-type", "application/json").body(vec![b' '; 256 * 1024 + 1]);
        request.waiting().send(world.address.parse().unwrap()).await.brief()
    }

    async fn post(&self, world: &World, body: &Value) -> Answer {
        self.send(world, "application/json", body.to_string()).await
    }
}

/// Every endpoint that reads a body since keys have a life here.
async fn endpoints(world: &World) -> Vec<Endpoint> {
    let [rotating, linking, linked, unlinking, unlinked, about] = [
        world.member().await,
        world.member().await,
        world.member().await,
        world.member().await,
        world.member().await,
        world.member().await,
    ];
    world.link(&unlinking, &unlinked).await.ok();
    let (waiting, by_subkey, _) = Key::with_subkey();
    let token = world.token(&waiting).await;
    let body = world.login_of(&waiting, json!({"refresh": true})).await;
    let refresh = text(&world.post("/verify", &body).await.ok(), "refresh_token");
    assert_eq!(world.rotate(&by_subkey, &Key::new()).await.status, 202);
    let open = |path: &str, body: Value, members| Endpoint {
        method: "POST",
        path: path.to_owned(),
        body,
        members,
        token: None,
    };
    let admin = |method, path: &str, body: Value, members| Endpoint {
        method,
        token: Some(ADMIN_TOKEN.to_owned()),
        ..open(&path.replace("{key}", &about.fingerprint), body, members)
    };
    vec![
        open(
            "/rotate",
            world.rotation(&rotating, &Key::new()).await,
            &[
                ("nonce", Nonce),
                ("old_fingerprint", Fingerprint),
                ("new_fingerprint", Fingerprint),
                ("new_public_key", CERTIFICATE),
                ("timestamp", TIME),
                ("rotation_signature", SIGNATURE),
                ("new_signature", SIGNATURE),
            ],
        ),
        open(
            "/rotate/cancel",
            world.cancel_with(&waiting, |_| {}).await,
            &[
                ("nonce", Nonce),
                ("old_fingerprint", Fingerprint),
                ("timestamp", TIME),
                ("signature", SIGNATURE),
            ],
        ),
        open(
            "/link",
            world.link_body(&linking, &linked).await,
            &[
                ("nonce", Nonce),
                ("primary_fingerprint", Fingerprint),
                ("secondary_fingerprint", Fingerprint),
                ("timestamp", TIME),
                ("primary_signature", SIGNATURE),
                ("secondary_signature", SIGNATURE),
            ],
        ),
        open(
            "/unlink",
            world.unlink_body(&unlinking, &unlinked).await,
            &[
                ("nonce", Nonce),
                ("primary_fingerprint", Fingerprint),
                ("secondary_fingerprint", Fingerprint),
                ("timestamp", TIME),
            ],
        ),
        open(
            "/token",
            json!({"grant_type": "refresh_token", "refresh_token": refresh}),
            &[("grant_type", Line(40)), ("refresh_token", Line(8 * 1024))],
        ),
        Endpoint {
            token: Some(token.clone()),
            ..open("/revoke", json!({"jti": token_claims(&token)["jti"]}), &[("jti", Line(128))])
        },
        admin(
            "POST",
            "/keys/enroll",
            json!({"public_key": Key::new().certificate}),
            &[("public_key", CERTIFICATE)],
        ),
        admin("POST", "/enrollment-codes", json!({"groups": ["a"], "expires_in": 60}), &[]),
        admin("PUT", "/keys/{key}/groups", json!({"groups": ["a"]}), &[]),
        admin("PUT", "/keys/{key}/name", json!({"user_name": "alice"}), &[]),
        admin("PUT", "/keys/{key}/email", json!({"email": "a@example.org"}), &[("email", Line(254))]),
        admin("DELETE", "/keys/{key}/email", json!({"email": "a@example.org"}), &[("email", Line(254))]),
    ]
}

/// Values that a member may not have, and what is then said.
fn spoiled(is: Is, good: &str) -> Vec<(Value, &'static str)> {
    let invalid = "400 invalid_request";
    let mut bad: Vec<(Value, &str)> =
        [json!(null), json!(""), json!(7), json!(true), json!([good]), json!({})]
            .into_iter()
            .map(|value| (value, invalid))
            .collect();
    let long = match is {
        Fingerprint => 128,
        Nonce => 64,
        Line(most) | Armor(most) => most,
    };
    bad.push(("a".repeat(long + 1).into(), invalid));
    for control in ["\u{0}", "\u{7}", "\u{7f}", "\u{85}"] {
        bad.push((format!("{good}{control}").into(), invalid));
    }
    if !matches!(is, Armor(_)) {
        bad.extend(["\n", "\r", "\t"].map(|control| (format!("{good}{control}x").into(), invalid)));
    }
    match is {
        Fingerprint => {
            let odd =
                [&good[1..], "xyz", &format!("{good}0")].map(|text| (text.into(), "400 invalid_fingerprint"));
            bad.extend(odd);
        }
        Nonce => bad.extend([&good[1..], "xyz"].map(|text| (text.into(), "400 invalid_nonce"))),
        Line(_) | Armor(_) => {}
    }
    bad
}

pub(crate) async fn every_member_is_held_against_its_form(framework: Framework) {
    let world = World::new(framework).await;
    for endpoint in endpoints(&world).await {
        for (member, is) in endpoint.members {
            let good = endpoint.body[*member].as_str().unwrap();
            let mut absent = endpoint.body.clone();
            absent.as_object_mut().unwrap().remove(*member);
            let answer = endpoint.post(&world, &absent).await;
            assert_eq!(answer.refusal(), "400 invalid_request", "{} without {member}", endpoint.path);
            for (value, refusal) in spoiled(*is, good) {
                let mut body = endpoint.body.clone();
                body[*member] = value.clone();
                let answer = endpoint.post(&world, &body).await;
                let what = value.to_string();
                let what = &what[..what.len().min(80)];
                assert_eq!(answer.refusal(), refusal, "{} {member}: {what}", endpoint.path);
                answer.refused(refusal);
                let said = answer.json()["error_description"].as_str().unwrap().to_owned();
                assert!(!said.contains(good), "what was sent is not repeated: {said}");
            }
        }
        // Unknown members, and a version that differs in what is after the point, are no reason.
        let mut body = endpoint.body.clone();
        body["more"] = json!({"of": ["it"]});
        body["capauth_version"] = "1.7".into();
        let answer = endpoint.post(&world, &body).await;
        assert_eq!(answer.status, 200, "{} {}: {}", endpoint.method, endpoint.path, answer.text());
    }
}

pub(crate) async fn every_body_is_json_of_a_version_that_is_spoken_here(framework: Framework) {
    let world = World::new(framework).await;
    for endpoint in endpoints(&world).await {
        let good = endpoint.body.to_string();
        let twice = format!("{{\"capauth_version\":\"1.0\",\"capauth_version\":\"1.0\",{}", &good[1..]);
        let deep = format!("{{\"more\":{}{},{}", "[".repeat(40), "]".repeat(40), &good[1..]);
        let odd = format!("{{\"more\":NaN,{}", &good[1..]);
        let tail = format!("{good} {{}}");
        for bad in ["", "no JSON", "[]", "7", "null", "\"text\"", "{", &*twice, &deep, &odd, &tail] {
            let answer = endpoint.send(&world, "application/json", bad.to_owned()).await;
            assert_eq!(answer.refusal(), "400 invalid_request", "{} {bad:.60}", endpoint.path);
        }
        for version in ["2.0", "0.9", "1.x", "one"] {
            let mut body = endpoint.body.clone();
            body["capauth_version"] = version.into();
            endpoint.post(&world, &body).await.refused("400 unsupported_version");
        }
        let answer = endpoint.send(&world, "text/plain", good.clone()).await;
        answer.refused("415 unsupported_media_type");
        assert_eq!(endpoint.send_too_much(&world).await, "413 payload_too_large", "{}", endpoint.path);
        let answer = endpoint.send(&world, "application/json; charset=utf-8", good).await;
        assert_eq!(answer.status, 200, "{} {}: {}", endpoint.method, endpoint.path, answer.text());
    }
}

pub(crate) async fn every_endpoint_has_its_methods(framework: Framework) {
    let world = World::new(framework).await;
    let key = &world.member().await.fingerprint;
    let of_key = |what: &str| format!("/keys/{key}/{what}");
    for (path, allowed) in [
        ("/qr-challenge".to_owned(), "POST"),
        ("/qr-verify/0123".to_owned(), "POST"),
        ("/qr-status/0123".to_owned(), "GET, POST, HEAD"),
        ("/rotate".to_owned(), "POST"),
        ("/rotate/cancel".to_owned(), "POST"),
        ("/link".to_owned(), "POST"),
        ("/unlink".to_owned(), "POST"),
        ("/token".to_owned(), "POST"),
        ("/revoke".to_owned(), "POST"),
        ("/enrollment-codes".to_owned(), "POST"),
        ("/keys/enroll".to_owned(), "POST"),
        ("/audit".to_owned(), "GET, HEAD"),
        ("/identity".to_owned(), "GET, HEAD"),
        ("/sessions".to_owned(), "GET, DELETE, HEAD"),
        ("/sessions/0123".to_owned(), "DELETE"),
        (of_key("name"), "PUT"),
        (of_key("email"), "PUT, DELETE"),
        (of_key("rotation"), "DELETE"),
        (of_key("sessions"), "DELETE"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
            let answer = world.admin(method, &path, Value::Null).await;
            let is_allowed = allowed.split(", ").any(|one| one == method);
            assert_eq!(answer.status != 405, is_allowed, "{method} {path}: {}", answer.status);
            if !is_allowed {
                assert_eq!(answer.header("allow"), allowed, "{method} {path}");
            }
        }
        let trailing = world.admin("POST", &format!("{path}/"), Value::Null).await;
        assert_eq!(trailing.status, 404, "{path}/");
    }
}
