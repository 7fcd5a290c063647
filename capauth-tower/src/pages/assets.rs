//! What pages load: scripts, a style sheet, an icon, OpenPGP.js. All of it is in the program.

use bytes::Bytes;
use capauth_protocol::{ErrorCode, Refusal};
use http::request::Parts;
use http::{HeaderValue, Response, header};

use crate::answer;
use crate::body::Body;
use crate::refuse::Failure;

/// One file, as the build put it here.
struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Where they are, seen from `/auth/capauth/`. The version changes with any of them.
pub(crate) const FOLDER: &str = "assets";

/// A name with its version means the same bytes for ever.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The script that holds secret keys, away from every page and without any way to the network.
const KEEPER: &str = "keeper.js";

/// It loads OpenPGP.js, whose Argon2 is WebAssembly: to compile that is what it may, and a page may not.
const KEEPERS_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; base-uri 'none'");
/// Should a browser show one of the files as a page, it does nothing.
const OTHERS_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// `GET /auth/capauth/assets/{version}/{name}`.
pub(crate) fn serve(parts: &Parts) -> Result<Response<Body>, Failure> {
    let path = parts.uri.path();
    let mut steps = path.rsplit('/');
    let (name, version) = (steps.next().unwrap_or_default(), steps.next().unwrap_or_default());
    let found = ASSETS.iter().find(|asset| asset.name == name && version == VERSION);
    let Some(asset) = found else {
        return Err(Refusal::new(ErrorCode::NotFound, "There is nothing at this path.").into());
    };
    let compressed = takes_gzip(parts);
    let bytes = if compressed { asset.gzip } else { asset.plain };
    let mut response = answer::file(asset.kind, Bytes::from_static(bytes));
    let headers = response.headers_mut();
    if compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(header::CACHE_CONTROL, FOR_EVER);
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    let policy = if asset.name == KEEPER { KEEPERS_POLICY } else { OTHERS_POLICY };
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Whether `Accept-Encoding` names gzip, and not with a weight of nothing (RFC 9110, 12.5.3).
fn takes_gzip(parts: &Parts) -> bool {
    let lines = parts.headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|coding| {
        let mut words = coding.split(';').map(str::trim);
        let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        named && !words.any(|word| word.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str, accepts: &str) -> Result<Response<Body>, Failure> {
        let request = http::Request::get(path).header("accept-encoding", accepts);
        serve(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn files_are_kept_for_ever_and_compressed_for_whoever_takes_that() {
        let path = format!("/auth/capauth/assets/{VERSION}/style.css");
        let plain = get(&path, "gzip;q=0, br").unwrap_or_else(|_| panic!());
        assert!(!plain.headers().contains_key("content-encoding"));
        let small = get(&path, "br, gzip").unwrap_or_else(|_| panic!());
        assert_eq!(small.headers()["content-encoding"], "gzip");
        assert!(small.body().bytes().len() < plain.body().bytes().len());
        for response in [plain, small] {
            assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
            assert_eq!(response.headers()["vary"], "Accept-Encoding");
            assert_eq!(response.headers()["content-type"], "text/css; charset=utf-8");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
    }

    #[test]
    fn other_versions_and_names_are_not_there() {
        for path in ["0000000000000000/style.css", &format!("{VERSION}/none.css"), &format!("{VERSION}/")] {
            assert!(get(&format!("/auth/capauth/assets/{path}"), "").is_err(), "{path}");
        }
    }

    #[test]
    fn attack_secret_keys_beside_a_way_out() {
        let keeper = get(&format!("/x/{VERSION}/{KEEPER}"), "").unwrap_or_else(|_| panic!());
        let policy = keeper.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("connect-src"));
        let other = get(&format!("/x/{VERSION}/login.js"), "").unwrap_or_else(|_| panic!());
        let policy = other.headers()["content-security-policy"].to_str().unwrap();
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'");
    }

    #[test]
    fn the_licence_of_what_others_wrote_is_there() {
        let licence = ASSETS.iter().find(|asset| asset.name == "openpgp.LICENSE.txt").unwrap();
        assert!(licence.plain.starts_with(b"                   GNU LESSER GENERAL PUBLIC LICENSE"));
    }
}
