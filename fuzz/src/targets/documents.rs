//! JSON: claims, the bodies of requests, answers of a central service; and the texts that are signed.

use capauth_protocol::limits::{MAX_BODY, MAX_CLAIMS_JSON, MAX_CODE_SECONDS, MAX_GROUPS};
use capauth_protocol::payload::{
    ClaimsPayload, LinkPayload, NoncePayload, RotationCancelPayload, RotationPayload,
};
use capauth_protocol::request::{
    ChallengeRequest, CodeRequest, EmailRequest, EnrollRequest, FingerprintRequest, GroupsRequest,
    LinkRequest, RefreshRequest, RevokeRequest, RotateRequest, RotationCancelRequest, UnlinkRequest,
    UserNameRequest, VerifyRequest,
};
use capauth_protocol::response::{ChallengeResponse, Revocations, VerifyResponse, WellKnown};
use capauth_protocol::{Json, OidcClaims, Refusal};
use capauth_verifier::fuzzing::map_claims;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Outcome, fixed};

/// A document has one canonical text, which both ends compute alike; what is mapped of it is bounded and no authority.
pub fn claims(data: &[u8]) -> Outcome {
    let Ok(json) = Json::parse(data) else { return Outcome::Refused };
    let canonical = json.to_canonical();
    let again = Json::parse(canonical.as_bytes()).expect("the canonical text is read");
    assert_eq!(again.to_canonical(), canonical);
    assert!(canonical.bytes().all(|byte| byte >= b' '), "a line end in what is signed");
    is_sorted(&again);
    let top = json.to_canonical_top_level();
    let from_top = Json::parse(top.as_bytes()).expect("the other form is read");
    assert_eq!((from_top.to_canonical(), from_top.to_canonical_top_level()), (canonical.clone(), top));
    let sent = serde_json::to_vec(&json).expect("what was read can be written");
    assert_eq!(Json::parse(&sent).as_ref(), Ok(&json), "a client sends something else than it has");
    agrees_with_another_reader(data, &canonical);
    mapped(&json);
    Outcome::Accepted
}

fn is_sorted(json: &Json) {
    if let Some(object) = json.as_object() {
        let names: Vec<&str> = object.iter().map(|(name, _)| name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "not sorted, or twice: {names:?}");
        object.iter().for_each(|(_, value)| is_sorted(value));
    }
    json.as_array().into_iter().flatten().for_each(is_sorted);
}

/// What was signed means the same to another reader of JSON: no two readings of one signature.
fn agrees_with_another_reader(data: &[u8], canonical: &str) {
    let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text);
    match (read(data), read(canonical.as_bytes())) {
        (Ok(data), Ok(canonical)) => assert_eq!(data, canonical),
        (Err(error), _) | (_, Err(error)) => {
            // A number keeps its spelling here; others turn it into 64 bits.
            assert!(error.to_string().contains("number out of range"), "{error}");
        }
    }
}

fn mapped(json: &Json) {
    let who = fixed::fingerprint();
    let Some((claims, shared)) = map_claims(json, who, who) else { return };
    assert_eq!((claims.sub.as_str(), claims.capauth_fingerprint), (who.to_string().as_str(), who));
    assert_eq!(claims.amr, ["pgp"]);
    assert_ne!(claims.email_verified, Some(true));
    assert!(claims.groups.is_empty(), "groups are granted");
    assert!(claims.picture.as_deref().is_none_or(|url| url.to_ascii_lowercase().starts_with("http")));
    let shared: usize = shared.iter().flatten().map(String::len).sum();
    let written = serde_json::to_vec(&claims).expect("claims are written");
    assert!(written.len() + shared <= 2048, "{} bytes", written.len() + shared);
    assert!(claims.extra.len() <= 16);
    for name in claims.extra.keys() {
        assert!(name.starts_with("capauth_") && name.len() <= 256, "{name}");
        let authority =
            ["admin", "groups", "roles", "fingerprint", "sub", "approved", "verified", "generation"];
        assert!(
            !authority.iter().any(|word| name.eq_ignore_ascii_case(&format!("capauth_{word}"))),
            "{name}"
        );
    }
}

/// Every body that a request may have. What was read is written and read again.
pub fn requests(body: &[u8]) -> Outcome {
    let mut read = 0;
    let mut note = |accepted: bool| read += usize::from(accepted);
    note(again(body, ChallengeRequest::parse));
    note(again(body, FingerprintRequest::parse));
    note(again(body, RevokeRequest::parse));
    note(again(body, GroupsRequest::parse));
    note(again(body, UserNameRequest::parse));
    note(again(body, EmailRequest::parse));
    note(again(body, CodeRequest::parse));
    note(again(body, EnrollRequest::parse));
    if again(body, VerifyRequest::parse) {
        note(true);
        verify(&VerifyRequest::parse(body).expect("it was read"));
    }
    note(lines(
        RotateRequest::parse(body).ok().map(|r| vec![r.nonce.text, r.old.text, r.new.text, r.timestamp]),
    ));
    note(lines(RotationCancelRequest::parse(body).ok().map(|r| vec![r.nonce.text, r.old.text, r.timestamp])));
    note(lines(LinkRequest::parse(body).ok().map(|r| vec![r.primary.text, r.secondary.text, r.timestamp])));
    note(lines(UnlinkRequest::parse(body).ok().map(|r| {
        let proof = r.proof.map(|proof| [proof.nonce.text, proof.timestamp]);
        proof.into_iter().flatten().chain([r.primary.text, r.secondary.text]).collect()
    })));
    if let Ok(request) = RefreshRequest::parse(body) {
        assert!(request.refresh_token.bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(
            RefreshRequest::of(RefreshRequest::GRANT, request.refresh_token.clone()).as_ref(),
            Ok(&request)
        );
        note(true);
    }
    if let Ok(request) = GroupsRequest::parse(body) {
        assert!(request.groups.len() <= MAX_GROUPS);
    }
    if let Ok(request) = CodeRequest::parse(body) {
        assert!(request.expires_in.is_none_or(|seconds| (1..=MAX_CODE_SECONDS).contains(&seconds)));
    }
    Outcome::accepted_if(read > 0)
}

fn again<T>(body: &[u8], parse: fn(&[u8]) -> Result<T, Refusal>) -> bool
where
    T: Serialize + PartialEq + std::fmt::Debug,
{
    let Ok(request) = parse(body) else { return false };
    assert!(body.len() <= MAX_BODY);
    let written = serde_json::to_vec(&request).expect("it is written");
    assert_eq!(parse(&written).as_ref(), Ok(&request));
    true
}

/// What becomes a line of a signed text holds no line end, nor any other control character.
fn lines(texts: Option<Vec<String>>) -> bool {
    let Some(texts) = texts else { return false };
    assert!(texts.iter().all(|text| !text.is_empty() && !text.chars().any(char::is_control)), "{texts:?}");
    true
}

fn verify(request: &VerifyRequest) {
    lines(Some(vec![request.fingerprint_as_sent.clone(), request.nonce_as_sent.clone()]));
    let Some(claims) = &request.claims else { return };
    let claims_json = claims.to_canonical();
    assert!(claims_json.len() <= MAX_CLAIMS_JSON && claims_json.starts_with('{'));
    let payload = ClaimsPayload {
        fingerprint: &request.fingerprint_as_sent,
        nonce: &request.nonce_as_sent,
        claims_json: &claims_json,
    };
    assert!(!payload.has_control_characters());
    assert_eq!(payload.to_text().split('\n').count(), 4);
}

/// A signed text says what was put into it and nothing else, and no text is of two purposes. The fields stand one a line.
pub fn payload(data: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(data) else { return Outcome::Refused };
    let mut fields = text.split('\u{1}');
    let mut field = || fields.next().unwrap_or_default();
    let nonce = NoncePayload {
        nonce: field(),
        client_nonce: field(),
        timestamp: field(),
        service: field(),
        expires: field(),
        origin: Some(field()).filter(|origin| !origin.is_empty()),
    };
    let claims =
        ClaimsPayload { fingerprint: nonce.nonce, nonce: nonce.client_nonce, claims_json: nonce.service };
    if nonce.has_control_characters() || claims.has_control_characters() {
        return Outcome::Refused;
    }
    let origin = nonce.origin.map(|origin| ("origin", origin));
    let before = [("nonce", nonce.nonce), ("client_nonce", nonce.client_nonce)];
    let after = [("timestamp", nonce.timestamp), ("service", nonce.service), ("expires", nonce.expires)];
    let fields: Vec<_> = before.into_iter().chain(origin).chain(after).collect();
    let mut first_lines = vec![says(&nonce.to_text(), &fields)];
    first_lines.push(says(
        &claims.to_text(),
        &[("fingerprint", claims.fingerprint), ("nonce", claims.nonce), ("claims", claims.claims_json)],
    ));
    first_lines.extend(of_keys(&nonce));
    first_lines.sort_unstable();
    first_lines.dedup();
    assert_eq!(first_lines.len(), 5, "two purposes look alike");
    Outcome::Accepted
}

/// The texts that change keys, of the same fields.
fn of_keys(from: &NoncePayload<'_>) -> [String; 3] {
    let (nonce, service, old, new, timestamp) =
        (from.nonce, from.service, from.client_nonce, from.expires, from.timestamp);
    let rotation = RotationPayload {
        nonce,
        service,
        old_fingerprint: old,
        new_fingerprint: new,
        new_public_key_sha256: new,
        timestamp,
    };
    let cancel = RotationCancelPayload { nonce, service, old_fingerprint: old, timestamp };
    let link = LinkPayload { nonce, service, primary: old, secondary: new, timestamp };
    [
        says(
            &rotation.to_text(),
            &[
                ("nonce", nonce),
                ("service", service),
                ("old_fingerprint", old),
                ("new_fingerprint", new),
                ("new_public_key_sha256", new),
                ("timestamp", timestamp),
            ],
        ),
        says(
            &cancel.to_text(),
            &[("nonce", nonce), ("service", service), ("old_fingerprint", old), ("timestamp", timestamp)],
        ),
        says(
            &link.to_text(),
            &[
                ("nonce", nonce),
                ("service", service),
                ("primary", old),
                ("secondary", new),
                ("timestamp", timestamp),
            ],
        ),
    ]
}

/// Reads a text back line by line. Answers its first line.
fn says(text: &str, fields: &[(&str, &str)]) -> String {
    let mut lines = text.split('\n');
    let first = lines.next().expect("a first line").to_owned();
    let read: Vec<_> = lines.map(|line| line.split_once('=').expect("a field")).collect();
    assert_eq!(read, fields, "a field passes for several");
    first
}

/// What a central service answers: what was read is written and read again.
pub fn responses(data: &[u8]) -> Outcome {
    let read = [
        answer::<ChallengeResponse>(data).is_some(),
        answer::<VerifyResponse>(data).is_some(),
        answer::<WellKnown>(data).is_some(),
        answer::<Revocations>(data).is_some(),
        answer::<OidcClaims>(data).is_some_and(|claims| {
            assert!(claims.extra.keys().all(|name| name.starts_with("capauth_")));
            true
        }),
    ];
    Outcome::accepted_if(read.contains(&true))
}

fn answer<T: Serialize + DeserializeOwned>(data: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(data).ok()?;
    let written = serde_json::to_string(&read).expect("it is written");
    let again: T = serde_json::from_str(&written).expect("what was written is read");
    // Fractions lose their last bit on the way, and count for nothing.
    if !written.contains(['.', 'e']) {
        assert_eq!(serde_json::to_string(&again).expect("it is written"), written);
    }
    Some(read)
}
