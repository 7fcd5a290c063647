//! The page where people sign in.

use capauth_protocol::Fingerprint;
use capauth_protocol::limits::NONCE_TTL_SECONDS;
use capauth_protocol::response::Enrollment;
use http::{Response, StatusCode};
use maud::html;
use serde::Serialize;

use super::{Form, Page, plain, say_with};
use crate::body::Body;
use crate::handle::CapAuth;
use crate::refuse::Failure;

/// What the page's script is told: all of it is public.
#[derive(Serialize)]
struct Settings<'a> {
    /// The service that is signed in to; a challenge for another is refused.
    service: &'a str,
    /// The certificate that signs challenges here; a challenge with another's signature, or none, is refused. `None`: this
    /// application does not know.
    server: Option<Fingerprint>,
    /// Who may enrol; `None` where a central service decides.
    enrollment: Option<Enrollment>,
    /// Whether another device may sign.
    qr: bool,
    /// Where to go then: a path of this site.
    redirect: &'a str,
    /// Seconds for which a challenge may be answered.
    lifetime: u64,
    /// The claims that the server makes something of; `None` where a central service decides.
    claims: Option<Vec<String>>,
}

/// Every module that the script needs at once, as it will find out by itself one by one: so they come side by side.
const LOADS: &[&str] = &[
    "api.js",
    "challenge.js",
    "claims.js",
    "dom.js",
    "extension.js",
    "gives.js",
    "payload.js",
    "shell.js",
    "store.js",
    "trouble.js",
    "ways.js",
    "who.js",
    "words.en.js",
    "words.js",
];

/// The page, with the form for browsers without JavaScript, which the script takes away.
pub(crate) fn login(capauth: &CapAuth, form: &Form<'_>) -> Result<Response<Body>, Failure> {
    let service = capauth.verifier().service();
    let local = capauth.local_verifier();
    let settings = Settings {
        service,
        server: local.and_then(|local| local.server_key()),
        enrollment: local.map(|local| local.well_known().enrollment),
        qr: capauth.front().qr,
        redirect: form.redirect,
        lifetime: NONCE_TTL_SECONDS,
        claims: local.map(|local| local.well_known().supported_claims),
    };
    let title = say_with("login.title", service);
    let body = html! {
        main {
            div id="app" hidden {}
            div id="plain" {
                (plain::header(&title, None))
                (plain::first(form))
            }
        }
    };
    Page {
        status: StatusCode::OK,
        title: &title,
        assets: super::assets::FOLDER,
        styles: &[],
        script: "login.js",
        loads: LOADS,
        settings: &settings,
        body,
    }
    .respond()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// What a module imports, as far as it says so before it runs. The words are made by the build.
    fn imports(name: &str) -> BTreeSet<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages/assets").join(name);
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with("import ") || line.starts_with("} from "));
        lines.filter_map(|line| line.split("\"./").nth(1)?.split('"').next()).map(str::to_owned).collect()
    }

    /// All that a script and those that it imports import, in the order of their names.
    pub(in crate::pages) fn imported_by(script: &str) -> Vec<String> {
        let (mut found, mut next) = (BTreeSet::new(), imports(script));
        while let Some(name) = next.pop_first() {
            if found.insert(name.clone()) {
                next.extend(imports(&name));
            }
        }
        found.into_iter().collect()
    }

    #[test]
    fn the_page_loads_at_once_what_its_script_will_import() {
        assert_eq!(LOADS, imported_by("login.js"));
    }
}
