//! A person's own page: their keys, their sessions, and how to end each.

use capauth_protocol::Fingerprint;
use capauth_protocol::limits::NONCE_TTL_SECONDS;
use http::{Response, StatusCode};
use maud::html;
use serde::Serialize;

use super::{Page, say};
use crate::body::Body;
use crate::handle::CapAuth;
use crate::refuse::Failure;

#[derive(Serialize)]
struct Settings<'a> {
    /// The service's own name: what is signed for another is refused.
    service: &'a str,
    /// The certificate that signs challenges here; a challenge with another's signature, or none, is refused.
    server: Option<Fingerprint>,
    /// Seconds for which a challenge may be answered.
    lifetime: u64,
}

/// Every module that the script needs at once, as it will find out by itself one by one: so they come side by side.
const LOADS: &[&str] = &[
    "api.js",
    "dom.js",
    "gives.js",
    "me_keys.js",
    "me_parts.js",
    "me_sessions.js",
    "payload.js",
    "shell.js",
    "words.en.js",
    "words.js",
    "words.me.en.js",
    "words_me.js",
];

/// The page, for whoever is signed in. `administers`: theirs is an administrator's key.
pub(crate) fn me(capauth: &CapAuth, administers: bool) -> Result<Response<Body>, Failure> {
    let service = capauth.verifier().service();
    let server = capauth.local_verifier().and_then(|local| local.server_key());
    Page {
        status: StatusCode::OK,
        title: say("me.title"),
        assets: "../auth/capauth/assets",
        styles: &["me.css"],
        script: "me.js",
        loads: LOADS,
        settings: &Settings { service, server, lifetime: NONCE_TTL_SECONDS },
        body: html! {
            main.own {
                header.bar {
                    p.quiet { (service) }
                    div.row {
                        @if administers {
                            a.button href="admin" { (say("me.admin")) }
                        }
                        form method="post" action="v1/logout" {
                            button { (say("me.sign_out")) }
                        }
                    }
                }
                h1 { (say("me.title")) }
                noscript { p { (say("me.noscript")) } }
                div id="own" {}
            }
        },
    }
    .respond()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::login::tests::imported_by;

    #[test]
    fn the_page_loads_at_once_what_its_script_will_import() {
        assert_eq!(LOADS, imported_by("me.js"));
    }
}
