//! What stands in a request beside its body: headers, queries, the path to return to.

use std::net::IpAddr;

use capauth_tower::{fuzzing, safe_redirect};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

use super::text;
use crate::Outcome;

const COOKIE: &str = "__Host-capauth";
const OWN_ORIGIN: &str = "https://app.example.com";

/// Header lines: the first byte of each says which header it is.
pub fn headers(data: &[u8]) -> Outcome {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((kind, value)) = line.split_first() else { continue };
        let name = match kind {
            b'c' => header::COOKIE,
            b'a' => header::AUTHORIZATION,
            b'o' => header::ORIGIN,
            b's' => HeaderName::from_static("sec-fetch-site"),
            _ => HeaderName::from_static("x-forwarded-for"),
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let cookie = one_cookie(&mut headers.clone());
    let bearer = one_bearer(&mut headers.clone());
    let origin = own_origin(&headers);
    let address = address(&headers);
    Outcome::accepted_if(cookie || bearer || origin || address)
}

/// A value that is believed is in our alphabet, and stands there once.
fn one_cookie(headers: &mut HeaderMap) -> bool {
    let Some(Some(value)) = fuzzing::cookie(headers, COOKIE) else { return false };
    assert!((1..=4096).contains(&value.len()));
    assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    let second = HeaderValue::from_static("__Host-capauth=second");
    headers.append(header::COOKIE, second);
    assert_eq!(fuzzing::cookie(headers, COOKIE), Some(None), "one of two cookies is believed");
    true
}

/// A token is one word, and its header stands there once.
fn one_bearer(headers: &mut HeaderMap) -> bool {
    let Some(Some(token)) = fuzzing::bearer(headers) else { return false };
    assert!((1..=8192).contains(&token.len()));
    assert!(token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','));
    headers.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer second"));
    assert_eq!(fuzzing::bearer(headers), None, "one of two tokens is believed");
    true
}

/// A request with a cookie that changes something names our own origin, once, or says it comes from there.
fn own_origin(headers: &HeaderMap) -> bool {
    let own = [OWN_ORIGIN.to_owned(), "null".to_owned()];
    let passes = |headers: &HeaderMap, cookie| {
        fuzzing::passes_origin_rule(&own, &Method::POST, "/anything", headers, cookie)
    };
    assert!(passes(headers, false), "without a cookie, elsewhere, there is nothing to misuse");
    if !passes(headers, true) {
        return false;
    }
    let values = |name: HeaderName| -> Vec<_> {
        headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
    };
    let (origins, sites) = (values(header::ORIGIN), values(HeaderName::from_static("sec-fetch-site")));
    let named = origins == [OWN_ORIGIN.as_bytes()];
    let said = origins.is_empty() && sites == [b"same-origin"];
    assert!(named || said, "{origins:?} {sites:?}");
    true
}

/// Only what trusted proxies wrote counts: nothing that a client puts before it changes the answer.
fn address(headers: &HeaderMap) -> bool {
    let trusted = || ["10.0.0.0/8", "fd00::/8"].map(|range| range.parse().expect("a range")).to_vec();
    let client = |peer: &str, headers: &HeaderMap| {
        let peer: IpAddr = peer.parse().expect("an address");
        fuzzing::client(trusted(), peer, headers.clone()).expect("there is a peer")
    };
    assert_eq!(client("192.0.2.1", headers).to_string(), "192.0.2.1", "a stranger's word was taken");
    let found = client("10.0.0.1", headers);
    if trusted().iter().any(|range| range.contains(found)) {
        return false;
    }
    let name = HeaderName::from_static("x-forwarded-for");
    let mut forged = HeaderMap::new();
    forged.append(&name, HeaderValue::from_static("203.0.113.99, 10.0.0.9"));
    for value in headers.get_all(&name) {
        forged.append(&name, value.clone());
    }
    assert_eq!(client("10.0.0.1", &forged), found, "what a client wrote was believed");
    true
}

/// Wherever a browser is sent after a login, it is on this site: by the rules of browsers, and after a proxy decoded the
/// path once or twice more.
pub fn redirect(data: &[u8]) -> Outcome {
    let Some(wanted) = text(data) else { return Outcome::Refused };
    let path = safe_redirect(wanted);
    if path != wanted {
        assert_eq!(path, "/");
        return Outcome::Refused;
    }
    HeaderValue::from_str(path).expect("it fits into a header");
    let here = Url::parse("https://app.example.com/auth/capauth/login").expect("an address");
    let (mut tail, mut seen) = (path.as_bytes().to_vec(), 0);
    while seen < 4 {
        let Ok(tail_text) = std::str::from_utf8(&tail) else { break };
        let there = here.join(tail_text).expect("it can be followed");
        assert_eq!(there.origin(), here.origin(), "{path} leaves the site as {tail_text}");
        assert!(!there.path().starts_with("//"), "{path} becomes {}", there.path());
        let only_path = tail.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default().to_vec();
        let decoded = fuzzing::percent_decode(&only_path);
        if decoded == only_path {
            break;
        }
        tail = decoded;
        seen += 1;
    }
    Outcome::Accepted
}

/// What a query says is said again by the same pairs, encoded by us.
pub fn query(data: &[u8]) -> Outcome {
    let decoded = fuzzing::percent_decode(data);
    assert!(decoded.len() <= data.len());
    if let Some(text) = text(data) {
        let encoded = fuzzing::percent_encode(text);
        assert_eq!(fuzzing::percent_decode(encoded.as_bytes()), text.as_bytes());
        assert!(!encoded.contains(['&', '=', '?', '#', '+', ' ', '"', '<']), "{encoded}");
    }
    let Some(pairs) = fuzzing::query_pairs(data) else { return Outcome::Refused };
    let written: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", fuzzing::percent_encode(name), fuzzing::percent_encode(value)))
        .collect();
    let written = written.join("&");
    if written.len() <= 16 * 1024 {
        assert_eq!(fuzzing::query_pairs(written.as_bytes()), Some(pairs));
    }
    Outcome::Accepted
}
