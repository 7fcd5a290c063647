//! The page that a phone's camera opens: it signs for another device. What it signs stands behind the `#` of its address,
//! which no server sees.

use http::{Response, StatusCode};
use maud::html;
use serde::Serialize;

use super::{Page, say};
use crate::body::Body;
use crate::handle::CapAuth;
use crate::refuse::Failure;

/// What the page's script is told. It knows the server by its origin and TLS: the picture has no room for a signature.
#[derive(Serialize)]
struct Settings<'a> {
    /// The service that is signed in to; a login to another is refused.
    service: &'a str,
}

/// What the script needs at once, as it would find out by itself one by one.
const LOADS: &[&str] = &[
    "api.js",
    "claims.js",
    "dom.js",
    "extension.js",
    "figures.js",
    "gives.js",
    "payload.js",
    "phone_view.js",
    "scanned.js",
    "shell.js",
    "store.js",
    "trouble.js",
    "ways.js",
    "who.js",
    "words.en.js",
    "words.js",
];

/// The page. All that it shows is what its script reads behind the `#`.
pub(crate) fn phone(capauth: &CapAuth) -> Result<Response<Body>, Failure> {
    Page {
        status: StatusCode::OK,
        title: say("phone.title"),
        assets: super::assets::FOLDER,
        styles: &[],
        script: "phone.js",
        loads: LOADS,
        settings: &Settings { service: capauth.verifier().service() },
        body: html! {
            main {
                div id="app" hidden {}
                div id="plain" {
                    h1 { (say("phone.title")) }
                    noscript { p { (say("phone.noscript")) } }
                }
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
        assert_eq!(LOADS, imported_by("phone.js"));
    }
}
