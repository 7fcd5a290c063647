//! What is signed or sealed here: access tokens, session cookies, refresh tokens.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::OidcClaims;
use capauth_verifier::fuzzing::{read_shared_token, read_token};
use capauth_verifier::{Audience, Caller, LocalVerifier, Session, Verifier as _, memory};
use ed25519_dalek::{Signer as _, SigningKey};
use http::{HeaderMap, HeaderValue, header};
use tokio::runtime::Runtime;

use super::{choice, text};
use crate::fixed::{self, ISSUER, SERVICE};
use crate::{Outcome, mutate};

const SHARED: &[u8] = b"a secret of more than thirty-two bytes";
const HEADER: &str = r#"{"typ":"at+jwt","alg":"EdDSA","kid":"one"}"#;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_bytes(&[9; 32]));

/// The text of a token's two parts, signed by the key.
fn signed(header: &[u8], payload: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = KEY.sign(message.as_bytes()).to_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The claims of the one token that there is.
fn payload() -> serde_json::Value {
    serde_json::json!({
        "iss": ISSUER, "aud": SERVICE, "iat": fixed::NOW, "exp": fixed::NOW + 900, "auth_time": fixed::NOW,
        "jti": "j", "capauth_generation": 1, "capauth_epoch": 1, "sub": fixed::fingerprint(),
        "capauth_fingerprint": fixed::fingerprint(), "amr": ["pgp"], "groups": ["readers"],
    })
}

static GENUINE: LazyLock<String> =
    LazyLock::new(|| signed(HEADER.as_bytes(), payload().to_string().as_bytes()));

fn read(token: &str) -> Option<Session> {
    read_token(token, KEY.verifying_key().as_bytes(), ISSUER, fixed::timestamp())
}

/// An access token. The first byte says how the rest becomes one: `0` it is one, `1` header and payload that are signed
/// by the true key, everything else edits of the one genuine token.
pub fn access(data: &[u8]) -> Outcome {
    let Some((kind, rest)) = choice(data) else { return Outcome::Refused };
    let token = match kind {
        b'0' => match text(rest) {
            Some(text) => text.to_owned(),
            None => return Outcome::Refused,
        },
        b'1' => return signed_by_the_key(rest),
        _ => match String::from_utf8(edited(GENUINE.as_bytes(), rest)) {
            Ok(token) => token,
            Err(_) => return Outcome::Refused,
        },
    };
    // Nobody but the key signs, and no other algorithm is one of this key's.
    assert!(read_shared_token(&token, KEY.verifying_key().as_bytes(), ISSUER, fixed::timestamp()).is_none());
    assert!(read_shared_token(&token, SHARED, ISSUER, fixed::timestamp()).is_none());
    let session = read(&token);
    assert_eq!(session.is_some(), token == *GENUINE, "{token}");
    Outcome::accepted_if(session.is_some())
}

/// Whatever the key signed: what is read of it is for this issuer, alive, and holds no authority.
fn signed_by_the_key(parts: &[u8]) -> Outcome {
    let at = parts.iter().position(|byte| *byte == b'\n').unwrap_or(parts.len());
    let (header, payload) = parts.split_at(at);
    let Some(session) = read(&signed(header, payload)) else { return Outcome::Refused };
    let header: serde_json::Value = serde_json::from_slice(header).expect("a header that was read is JSON");
    assert_eq!((&header["alg"], &header["typ"]), (&"EdDSA".into(), &"at+jwt".into()));
    assert!(session.expires > fixed::timestamp(), "it ended already");
    assert!(session.claims.groups.is_empty(), "groups are read from the store");
    for name in ["capauth_admin", "capauth_groups", "capauth_generation", "capauth_epoch", "capauth_service"]
    {
        assert!(!session.claims.extra.contains_key(name), "{name}");
    }
    assert!(session.claims.sub.parse() == Ok(session.sub));
    Outcome::Accepted
}

/// A copy with bytes exchanged: each three bytes are a place and what it is changed by.
fn edited(genuine: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut changed = genuine.to_vec();
    for edit in edits.chunks_exact(3).take(4) {
        let place = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % changed.len();
        changed[place] ^= edit[2];
    }
    changed
}

static COOKIES: LazyLock<capauth_tower::fuzzing::Cookies> = LazyLock::new(|| {
    let sealer = fixed::master_key().sealer("session");
    capauth_tower::fuzzing::Cookies::new(sealer, ISSUER, SERVICE)
});

/// The session in [`SEALED`].
fn session() -> Session {
    let fingerprint = fixed::fingerprint();
    Session {
        jti: "j".to_owned(),
        service: SERVICE.to_owned(),
        sub: fingerprint,
        fingerprint,
        generation: 1,
        epoch: 1,
        authenticated_at: fixed::timestamp(),
        expires: fixed::timestamp().plus(900),
        origin: None,
        qr: false,
        shared_groups: None,
        token: None,
        claims: OidcClaims::new(fingerprint.to_string(), fingerprint),
    }
}

/// The one session that was sealed in this run.
static SEALED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let cookie = COOKIES.begin(&session(), fixed::timestamp()).expect("a session fits");
    let value = cookie.to_str().expect("text").split(['=', ';']).nth(1).expect("a value").to_owned();
    URL_SAFE_NO_PAD.decode(value).expect("base64")
});

fn with_cookie(value: &[u8]) -> Option<Session> {
    let mut headers = HeaderMap::new();
    let line = [b"__Host-capauth=", value].concat();
    headers.insert(header::COOKIE, HeaderValue::from_bytes(&line).ok()?);
    COOKIES.read(&headers)
}

/// A session cookie. The first byte says how the rest becomes one: `0` it is the value, `1` it is what was sealed by the
/// true key, everything else edits of a genuine one.
pub fn cookie(data: &[u8]) -> Outcome {
    let Some((kind, rest)) = choice(data) else { return Outcome::Refused };
    let found = match kind {
        b'0' => {
            let found = with_cookie(rest);
            assert!(found.is_none(), "a session that nobody sealed");
            None
        }
        b'1' => {
            let sealer = fixed::master_key().sealer("session");
            let sealed = sealer.seal(&[ISSUER, SERVICE], rest).expect("there is randomness");
            let value = URL_SAFE_NO_PAD.encode(&sealed);
            let found = with_cookie(value.as_bytes());
            // Sealed for another service, or for another purpose, it is nothing.
            for (label, context) in [("session", [ISSUER, "evil.example.com"]), ("device", [ISSUER, SERVICE])]
            {
                let other = fixed::master_key().sealer(label).seal(&context, rest).expect("randomness");
                assert!(with_cookie(URL_SAFE_NO_PAD.encode(other).as_bytes()).is_none(), "{label}");
            }
            found
        }
        _ => {
            let changed = edited(&SEALED, rest);
            let found = with_cookie(URL_SAFE_NO_PAD.encode(&changed).as_bytes());
            let genuine = changed == *SEALED;
            assert_eq!(found, genuine.then(session), "a changed session");
            found
        }
    };
    if let Some(session) = &found {
        written_again(session);
    }
    Outcome::accepted_if(found.is_some())
}

/// A session that was read can be set anew, or is said to be too long or another service's; and then reads the same.
fn written_again(session: &Session) {
    let Some(cookie) = COOKIES.begin(session, fixed::timestamp()) else { return };
    assert!(cookie.len() <= 4096 && cookie.is_sensitive());
    let cookie = cookie.to_str().expect("text");
    let value = cookie.split(['=', ';']).nth(1).expect("a value");
    let again = with_cookie(value.as_bytes()).expect("our own cookie is read");
    assert_eq!(again.claims.sub, session.claims.sub);
    assert_eq!((again.sub, again.generation, again.epoch), (session.sub, session.generation, session.epoch));
}

struct Local {
    verifier: LocalVerifier,
    runtime: Runtime,
}

static LOCAL: LazyLock<Local> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let builder = LocalVerifier::builder(SERVICE).stores(memory::stores().expect("randomness"));
    let verifier = runtime.block_on(builder.build()).expect("a verifier");
    Local { verifier, runtime }
});

/// Nothing is a refresh token, a bearer token or a session's name that the server did not make: it made none.
pub fn refresh(data: &[u8]) -> Outcome {
    let Some(text) = text(data) else { return Outcome::Refused };
    let Local { verifier, runtime } = &*LOCAL;
    runtime.block_on(async {
        assert!(verifier.refresh_token(text, &Caller::default()).await.is_err());
        assert!(verifier.authenticate(text, Audience::Own).await.is_err());
        assert!(verifier.authenticate(text, Audience::AnyOfIssuer).await.is_err());
        // Nor is anything that is sealed for something else with the right key.
        let sealed = verifier.sealer("session").seal(&[ISSUER], text.as_bytes()).expect("randomness");
        assert!(verifier.refresh_token(&URL_SAFE_NO_PAD.encode(sealed), &Caller::default()).await.is_err());
    });
    Outcome::accepted_if(!text.is_empty())
}

/// Inputs of [`access`] and [`cookie`] that are accepted, for the corpora.
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let token = |kind: &str, rest: &str| [kind.as_bytes(), rest.as_bytes()].concat();
    let changed = |name: &str, value: serde_json::Value| {
        let mut payload = payload();
        payload[name] = value;
        payload.to_string()
    };
    let payload = payload().to_string();
    let plain = serde_json::to_string(&session()).expect("a session");
    let mut chance = mutate::Chance::of("seeds");
    let shuffled = mutate::mutate(&mut chance, GENUINE.as_bytes(), b"", 2048);
    vec![
        ("token", "genuine", token("0", &GENUINE)),
        ("token", "shuffled", [b"0".as_slice(), &shuffled].concat()),
        ("token", "unchanged", token("2", "")),
        ("token", "one_bit", b"2\0\x0a\x01".to_vec()),
        ("token", "last_byte", b"2\x01\xff\x01".to_vec()),
        ("token", "signed", token("1", &format!("{HEADER}\n{payload}"))),
        ("token", "expired", token("1", &format!("{HEADER}\n{}", changed("exp", (fixed::NOW - 1).into())))),
        (
            "token",
            "other_issuer",
            token("1", &format!("{HEADER}\n{}", changed("iss", "https://evil".into()))),
        ),
        ("token", "authority", token("1", &format!("{HEADER}\n{}", changed("capauth_admin", true.into())))),
        ("token", "none", token("1", &format!("{{\"typ\":\"at+jwt\",\"alg\":\"none\"}}\n{payload}"))),
        ("token", "hs256", token("1", &format!("{{\"typ\":\"at+jwt\",\"alg\":\"HS256\"}}\n{payload}"))),
        ("token", "id_token", token("1", &format!("{{\"typ\":\"JWT\",\"alg\":\"EdDSA\"}}\n{payload}"))),
        ("token", "parts", token("0", "a.b.c")),
        ("session_cookie", "sealed", token("1", &plain)),
        ("session_cookie", "unchanged", token("2", "")),
        ("session_cookie", "one_bit", b"2\0\x20\x01".to_vec()),
        ("session_cookie", "value", token("0", &URL_SAFE_NO_PAD.encode([7; 80]))),
        ("session_cookie", "no_json", token("1", "{}")),
        ("refresh_token", "sealed", URL_SAFE_NO_PAD.encode([7; 80]).into_bytes()),
        ("refresh_token", "token", GENUINE.clone().into_bytes()),
        ("refresh_token", "word", b"refresh".to_vec()),
    ]
}
