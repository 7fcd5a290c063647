//! What a browser is shown about signing out: the question, and that it is done. Neither needs a script.

use http::{Response, StatusCode};
use maud::{Markup, html};

use super::{Page, say};
use crate::body::Body;
use crate::refuse::Failure;

/// Asks first: another site can make a browser follow a link. `assets` is the folder of them seen from here. The form goes
/// to the page's own path, wherever that is mounted.
pub(crate) fn ask(assets: &'static str) -> Result<Response<Body>, Failure> {
    let title = say("logout.ask");
    page(
        title,
        assets,
        &html! {
            h1 { (title) }
            p { (say("logout.ask.what")) }
            form method="post" action="logout" {
                button.lead.wide { (say("logout.button")) }
            }
        },
    )
}

/// Says that it is done. `login` is the way to sign in again.
pub(crate) fn done(assets: &'static str, login: &str) -> Result<Response<Body>, Failure> {
    let title = say("logout.done");
    page(
        title,
        assets,
        &html! {
            h1 { (title) }
            p { (say("logout.done.what")) }
            a.button.wide href=(login) { (say("logout.again")) }
        },
    )
}

fn page(title: &str, assets: &'static str, sheet: &Markup) -> Result<Response<Body>, Failure> {
    Page {
        status: StatusCode::OK,
        title,
        assets,
        styles: &[],
        script: "",
        loads: &[],
        settings: &(),
        body: html! { main { div.sheet { (sheet) } } },
    }
    .respond()
}
