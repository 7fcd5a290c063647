//! What a person reads who would administer and may not: why, and what to do.

use http::{Response, StatusCode};
use maud::html;

use super::{Page, say};
use crate::body::Body;
use crate::endpoints::admin::Hindrance;
use crate::refuse::Failure;

/// Why somebody does not get the page that they asked for.
pub(crate) enum Hindered<'a> {
    /// The administrators' page, signed in, but not so that this administers. `login` leads to the login page and back.
    Administration { why: Hindrance, login: &'a str },
    /// The administrators' page where no key administers.
    NobodyAdministers,
}

impl Hindered<'_> {
    fn status(&self) -> StatusCode {
        match self {
            Self::Administration { .. } => StatusCode::FORBIDDEN,
            Self::NobodyAdministers => StatusCode::NOT_IMPLEMENTED,
        }
    }

    /// A heading, what it means, and what to do.
    fn words(&self) -> [&'static str; 3] {
        match self {
            Self::Administration { why: Hindrance::NotListed, .. } => {
                [say("admin.refused.key.title"), say("admin.refused.key.why"), say("admin.refused.key.what")]
            }
            Self::Administration { why: Hindrance::OtherPage, .. } => [
                say("admin.refused.page.title"),
                say("admin.refused.page.why"),
                say("admin.refused.page.what"),
            ],
            Self::Administration { why: Hindrance::OtherDevice, .. } => [
                say("admin.refused.device.title"),
                say("admin.refused.device.why"),
                say("admin.refused.device.what"),
            ],
            Self::Administration { why: Hindrance::TooOld, .. } => {
                [say("admin.refused.old.title"), say("admin.refused.old.why"), say("admin.refused.old.what")]
            }
            Self::NobodyAdministers => [
                say("admin.refused.nobody.title"),
                say("admin.refused.nobody.why"),
                say("admin.refused.nobody.what"),
            ],
        }
    }
}

/// The page. It needs no script.
pub(crate) fn hindered(who: &Hindered<'_>) -> Result<Response<Body>, Failure> {
    let [title, why, what] = who.words();
    Page {
        status: who.status(),
        title,
        assets: "../auth/capauth/assets",
        styles: &[],
        script: "",
        loads: &[],
        settings: &(),
        body: html! {
            main {
                div.sheet {
                    h1 { (title) }
                    p { (why) }
                    p { (what) }
                    @if let Hindered::Administration { login, .. } = who {
                        div.row {
                            a.button.lead href=(login) { (say("admin.refused.again")) }
                            form method="post" action="v1/logout" {
                                button { (say("admin.sign_out")) }
                            }
                        }
                    }
                }
            }
        },
    }
    .respond()
}
