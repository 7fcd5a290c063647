//! The administrators' page.

use capauth_protocol::Fingerprint;
use capauth_protocol::response::Enrollment;
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde::Serialize;

use super::{Page, say};
use crate::body::Body;
use crate::handle::CapAuth;
use crate::refuse::Failure;

/// What the page's script is told. Administrators alone get to see it.
#[derive(Serialize)]
struct Settings<'a> {
    /// The service's own name.
    service: &'a str,
    /// By which key the person administers; `None` for a program with the administrator's token.
    key: Option<Fingerprint>,
    /// Who may enrol.
    enrollment: Option<Enrollment>,
    /// What the configuration leaves open.
    notices: &'a [String],
}

/// Every module that the script needs at once, as it will find out by itself one by one: so they come side by side.
const LOADS: &[&str] = &[
    "admin_again.js",
    "admin_api.js",
    "admin_audit.js",
    "admin_change.js",
    "admin_end.js",
    "admin_enrol.js",
    "admin_groups.js",
    "admin_key.js",
    "admin_keys.js",
    "admin_news.js",
    "admin_overview.js",
    "admin_parts.js",
    "admin_table.js",
    "api.js",
    "dom.js",
    "words.admin.en.js",
    "words.en.js",
    "words.js",
    "words_admin.js",
];

/// The page, for whoever administers by this key.
pub(crate) fn admin(capauth: &CapAuth, key: Option<Fingerprint>) -> Result<Response<Body>, Failure> {
    let service = capauth.verifier().service();
    let enrollment = capauth.local_verifier().map(|local| local.well_known().enrollment);
    Page {
        status: StatusCode::OK,
        title: say("admin.title"),
        assets: "../auth/capauth/assets",
        styles: &["tables.css"],
        script: "admin.js",
        loads: LOADS,
        settings: &Settings { service, key, enrollment, notices: &capauth.notices() },
        body: shell(service),
    }
    .respond()
}

/// What stands around each part of the page. Scripts fill `#view`.
fn shell(service: &str) -> Markup {
    html! {
        a.skip href="#main" { (say("admin.skip")) }
        header.top {
            p.whose { strong { (say("admin.title")) } " " span.quiet { (service) } }
            nav aria-label=(say("admin.parts")) {
                a href="#/" { (say("admin.overview")) }
                a href="#/keys" { (say("admin.keys")) }
                a href="#/enrol" { (say("admin.enrolment")) }
                a href="#/audit" { (say("admin.audit")) }
            }
            form method="post" action="v1/logout" {
                button { (say("admin.sign_out")) }
            }
        }
        main.administration id="main" tabindex="-1" {
            noscript { p.warning { (say("admin.noscript")) } }
            div id="again" {}
            div id="view" {}
            p.news id="news" role="status" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::login::tests::imported_by;

    #[test]
    fn the_page_loads_at_once_what_its_script_will_import() {
        assert_eq!(LOADS, imported_by("admin.js"));
    }
}
