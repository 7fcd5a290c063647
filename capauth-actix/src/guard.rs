//! Routing by who asks.
//!
//! A guard chooses: a route whose guard does not match is not there, and the next one is tried, down to a 404. Use
//! guards where two kinds of people get different pages at one address. To keep people out use
//! [`require_login`](crate::require_login) and its siblings or an extractor, which say 401 or 403.
//!
//! actix-web's guards cannot wait, so these decide nothing: they read what [`auth`](crate::auth) found out. Without it
//! they never match, and the log says so once.
//!
//! ```
//! use actix_web::{App, web};
//! use capauth_actix::guard::capauth_group;
//! # use capauth_actix::CapAuth;
//!
//! # fn application(capauth: CapAuth) {
//! App::new()
//!     .configure(capauth_actix::routes(capauth.clone()))
//!     .route("/", web::get().guard(capauth_group("admins")).to(async || "The control room"))
//!     .route("/", web::get().to(async || "The front page"))
//!     .wrap(capauth_actix::auth(capauth)) // outside of the routes: it runs before their guards
//! # ;
//! # }
//! ```

use std::sync::Once;

use actix_web::guard::{Guard, GuardContext};
use capauth_tower::Authenticated;

use crate::asking::Known;

static WARNED: Once = Once::new();

/// Matches requests of whom an administrator put into this group, behind [`auth`](crate::auth).
pub fn capauth_group(group: impl Into<String>) -> impl Guard {
    let group = group.into();
    Decided(move |who: &Authenticated| who.in_group(&group))
}

/// Matches requests of whoever is signed in, behind [`auth`](crate::auth).
pub fn capauth_login() -> impl Guard {
    Decided(|_: &Authenticated| true)
}

/// Matches by what was decided before.
struct Decided<F>(F);

impl<F: Fn(&Authenticated) -> bool> Guard for Decided<F> {
    fn check(&self, context: &GuardContext<'_>) -> bool {
        let data = context.req_data();
        let Some(known) = data.get::<Known>() else {
            WARNED.call_once(|| {
                tracing::warn!(
                    target: "capauth::guard",
                    "a guard of capauth_actix never matches here, since nothing has said who asks: \
                     add .wrap(capauth_actix::auth(capauth.clone())) as the last of the App",
                );
            });
            return false;
        };
        known.has(&self.0)
    }
}
