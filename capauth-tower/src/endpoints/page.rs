//! The login page: asks for a challenge, shows what to sign, sends the answer.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use sha2::{Digest as _, Sha256};

use super::Exchange;
use crate::answer;
use crate::body::Body;
use crate::refuse::Failure;

const BODY: &str = include_str!("page/login.html");
const STYLE: &str = include_str!("page/login.css");
const SCRIPT: &str = include_str!("page/login.js");

/// The page as it is sent, and what it may do: run this script, look like this, talk to this site.
struct Page {
    html: Bytes,
    policy: Option<HeaderValue>,
}

static LOGIN: LazyLock<Page> = LazyLock::new(|| {
    let html = BODY.replace("/* style */", STYLE).replace("/* script */", SCRIPT);
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; form-action 'none'; \
         base-uri 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    Page { html: html.into(), policy: HeaderValue::try_from(policy).ok() }
});

/// `GET /auth/capauth/login`. Nothing of the request stands in it: the script reads `?redirect=` and hands it to
/// `verify`, which answers with a path of this site.
pub(super) fn login(_: &Exchange<'_>) -> Result<Response<Body>, Failure> {
    let mut response = answer::page(LOGIN.html.clone());
    if let Some(policy) = &LOGIN.policy {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_markup_that_runs_by_itself() {
        let html = std::str::from_utf8(&LOGIN.html).unwrap();
        assert!(html.contains(SCRIPT) && html.contains(STYLE));
        for never in [
            "innerHTML",
            "outerHTML",
            "document.write",
            "insertAdjacentHTML",
            "eval(",
            " onclick=",
            " style=",
        ] {
            assert!(!html.contains(never), "{never}");
        }
        let policy = LOGIN.policy.as_ref().unwrap().to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
        assert!(!html.contains("http://") && !html.contains("https://"), "nothing from other sites");
    }
}
