//! A refusal, for a person who followed a link or sent a form.

use capauth_protocol::ErrorCode;
use http::Response;
use maud::{Markup, html};

use super::words::say_refusal;
use super::{Page, say, say_with};
use crate::body::Body;
use crate::refuse::{Failure, Said};

/// The refusal as a page. `way` leads from this page to the folder of the login page: empty, or `../auth/capauth/`.
pub(crate) fn refused(way: &'static str, failure: Failure) -> Response<Body> {
    let said = failure.say();
    match page(way, &said) {
        Ok(mut response) => {
            said.mark(&mut response);
            response
        }
        // Without randomness there is no page.
        Err(_) => said.in_json(None),
    }
}

fn page(way: &'static str, said: &Said) -> Result<Response<Body>, Failure> {
    Page {
        status: said.status(),
        title: say("form.refused"),
        assets: if way.is_empty() { super::assets::FOLDER } else { "../auth/capauth/assets" },
        styles: &[],
        script: "",
        loads: &[],
        settings: &(),
        body: html! {
            main {
                header.asks { h1 { (say("form.refused")) } }
                div.sheet {
                    (for_a_page(said))
                    div.row { a.button href=(format!("{way}login")) { (say("form.refused_login")) } }
                }
            }
        },
    }
    .respond()
}

/// What is said where nobody typed anything: the refusal's own words say what there is not, and why.
fn for_a_page(said: &Said) -> Markup {
    match said.refusal.code {
        ErrorCode::NotFound | ErrorCode::Forbidden => html! { p { (said.refusal.description) } },
        _ => words(said),
    }
}

/// What is said of a refusal: what to do next, when, and the id under which the log says more.
pub(super) fn words(said: &Said) -> Markup {
    let known = say_refusal(&said.refusal);
    html! {
        p { (known) }
        // Which id the log has it under, or what of a key cannot be used.
        @if (said.is_fault() || said.refusal.code == ErrorCode::InvalidPublicKey) && known != said.refusal.description {
            p { (said.refusal.description) }
        }
        @if let Some(seconds) = said.seconds_to_wait() {
            p { (say_with("form.refused_wait", &seconds.to_string())) }
        }
    }
}
