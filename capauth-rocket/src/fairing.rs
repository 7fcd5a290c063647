//! The fairing that brings CapAuth aboard, and the catchers that answer for its guards.

use capauth_tower::{AuthError, AuthErrorKind, CapAuth, Refused};
use rocket::catcher::{self, Catcher, Handler};
use rocket::fairing::{Fairing, Info, Kind, Result};
use rocket::http::Status;
use rocket::{Build, Orbit, Request, Rocket, async_trait};

use crate::guards::Rejection;
use crate::routes::{LOGIN_ROUTES, SERVICE_ROUTES};
use crate::translate::{self, LOGIN_BASE};

/// Brings CapAuth into a Rocket: the handle, for guards and routes and as `&State<CapAuth>`; catchers at `/` that
/// answer what the guards refuse; and [`CapAuth::close`] at shutdown.
///
/// The catchers are for 401, 403, 500 and 503. One of the application's own for such a status at `/` stays; then
/// [`Rejection::of`] tells it what a guard refused. What no guard of ours refused is answered by the application's
/// default catcher at `/`; without one, 401 and 403 by CapAuth's JSON, and 500 and 503 as Rocket does.
///
/// Ignition fails if [`routes`](crate::routes()) are mounted where their paths would be wrong, or if the application
/// manages a [`CapAuth`] already. Authentication is no business of this fairing: see the guards.
pub fn fairing(capauth: CapAuth) -> impl Fairing {
    CapAuthFairing { capauth }
}

struct CapAuthFairing {
    capauth: CapAuth,
}

#[async_trait]
impl Fairing for CapAuthFairing {
    fn info(&self) -> Info {
        Info { name: "CapAuth", kind: Kind::Ignite | Kind::Liftoff | Kind::Shutdown | Kind::Singleton }
    }

    async fn on_ignite(&self, rocket: Rocket<Build>) -> Result {
        let mut complaints = misplaced(&rocket, self.capauth.mount());
        if rocket.state::<CapAuth>().is_some() {
            complaints.push("a CapAuth is managed already: leave .manage(capauth) to the fairing".to_owned());
        }
        for complaint in &complaints {
            tracing::error!("{complaint}");
        }
        if !complaints.is_empty() {
            return Err(rocket);
        }
        let catchers = catchers(&rocket);
        Ok(rocket.manage(self.capauth.clone()).register("/", catchers))
    }

    async fn on_liftoff(&self, _: &Rocket<Orbit>) {
        for notice in self.capauth.notices() {
            tracing::warn!("CapAuth: {notice}");
        }
    }

    async fn on_shutdown(&self, _: &Rocket<Orbit>) {
        if let Err(error) = self.capauth.close().await {
            tracing::error!(?error, "CapAuth: what was to be written at shutdown is lost");
        }
    }
}

/// Words about bases at which the login endpoints would not find their paths, or browsers not the login page.
fn misplaced(rocket: &Rocket<Build>, mount: &str) -> Vec<String> {
    let named = |name| rocket.routes().filter(move |route| route.name.as_deref() == Some(name));
    let mount_of = |base: &'_ str| base.trim_end_matches('/').strip_suffix(LOGIN_BASE).map(str::to_owned);
    let mut bases: Vec<&str> = named(LOGIN_ROUTES).map(|route| route.uri.base()).collect();
    bases.dedup();
    let page = format!("{mount}{LOGIN_BASE}");
    let reached = named(SERVICE_ROUTES).next().is_some()
        || bases.iter().any(|base| mount_of(base).as_deref() == Some(mount));
    if let Some(mount) = bases.first().filter(|_| !reached).and_then(|base| mount_of(base)) {
        return vec![format!(
            "capauth_rocket::routes() are mounted below \"{mount}\", and browsers would be sent to \"{page}/login\" to \
             sign in: say `.mounted_at(\"{mount}\")` when CapAuth is configured"
        )];
    }
    bases.retain(|base| mount_of(base).is_none());
    let words = |base| {
        format!(
            "capauth_rocket::routes() are mounted at \"{base}\": mount them at \"{LOGIN_BASE}\", or at a base that \
             ends so, such as \"/app{LOGIN_BASE}\""
        )
    };
    bases.into_iter().map(words).collect()
}

/// The catchers that the application has not registered itself.
fn catchers(rocket: &Rocket<Build>) -> Vec<Catcher> {
    let at_root = |code| {
        rocket.catchers().find(move |catcher| catcher.code == code && catcher.base.path().as_str() == "/")
    };
    let default = at_root(None);
    let row = [
        (401, Otherwise::Told(AuthErrorKind::Unauthenticated)),
        (403, Otherwise::Told(AuthErrorKind::Forbidden)),
        (500, Otherwise::Caught(Catcher::default())),
        (503, Otherwise::Caught(Catcher::default())),
    ];
    row.into_iter()
        .filter(|(code, _)| at_root(Some(*code)).is_none())
        .map(|(code, otherwise)| {
            let otherwise = default.map_or(otherwise, |default| Otherwise::Caught(default.clone()));
            let mut catcher = Catcher::new(code, Answering { otherwise });
            catcher.name = Some("capauth_rocket::fairing".into());
            catcher
        })
        .collect()
}

/// Answers with what a guard refused.
#[derive(Clone)]
struct Answering {
    otherwise: Otherwise,
}

/// What is answered when no guard of ours refused anything.
#[derive(Clone)]
enum Otherwise {
    /// CapAuth's JSON.
    Told(AuthErrorKind),
    /// Somebody else's words.
    Caught(Catcher),
}

#[async_trait]
impl Handler for Answering {
    async fn handle<'r>(&self, status: Status, request: &'r Request<'_>) -> catcher::Result<'r> {
        let refused = match (Rejection::of(request), &self.otherwise) {
            (Some(rejection), _) if rejection.status() == status => Refused::from(rejection),
            (_, Otherwise::Told(kind)) => AuthError::new(*kind).into(),
            (_, Otherwise::Caught(catcher)) => return catcher.handler.handle(status, request).await,
        };
        Ok(translate::response(refused.into_response()))
    }
}
