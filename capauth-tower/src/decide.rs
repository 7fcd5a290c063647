//! Who asks: decided in one place for layers, guards, extractors and endpoints.

use capauth_verifier::{Audience, AuthError, AuthErrorKind, Authenticated, Session};
use http::request::Parts;
use http::{HeaderName, Method, header};

use crate::accept::wants_html;
use crate::context::OriginalUri;
use crate::credentials;
use crate::endpoints::{self, LOGIN_PAGE};
use crate::group::Rule;
use crate::handle::CapAuth;
use crate::redirect::{percent_encode, safe_redirect};
use crate::refuse::Refused;
use crate::session::Presented;

/// What was found out about a request that was not refused.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decision {
    pub(crate) who: Option<Authenticated>,
    /// There was a session cookie, and it counts no longer.
    pub(crate) stale_cookie: bool,
}

/// A decision in a request's extensions, with the handle that made it: another service's does not count.
#[derive(Debug, Clone)]
struct Decided {
    by: CapAuth,
    decision: Decision,
}

/// Every header that [`CapAuth::admit`], [`CapAuth::identify`] and [`CapAuth::require`] read: an adapter that has to
/// copy headers needs no others. Each may be there several times; all of them count.
pub const DECIDING_HEADERS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::ORIGIN,
    HeaderName::from_static("sec-fetch-site"),
    header::ACCEPT,
    header::ACCESS_CONTROL_REQUEST_METHOD,
];

fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

impl CapAuth {
    /// Who sends this request; `None` for nobody in particular.
    ///
    /// The answer is kept in the request's extensions, where a second question finds it, and where handlers find
    /// [`Authenticated`].
    ///
    /// # Errors
    /// The request carries credentials that are refused, comes from another site, or a store is gone.
    pub async fn identify(&self, parts: &mut Parts) -> Result<Option<Authenticated>, Refused> {
        Ok(self.decided(parts).await?.who)
    }

    /// Who sends this request, if the rule lets them through.
    ///
    /// # Errors
    /// As [`identify`](Self::identify); nobody is signed in (a stale cookie is then cleared), or not somebody whom
    /// the rule lets through.
    pub async fn require(&self, parts: &mut Parts, rule: &Rule) -> Result<Authenticated, Refused> {
        let Decision { who, stale_cookie } = self.decided(parts).await?;
        let Some(who) = who else {
            let clear = stale_cookie.then(|| self.front().sessions.clear()).flatten();
            return Err(self.ask_to_sign_in(parts).clearing(clear));
        };
        rule.check(&who)?;
        Ok(who)
    }

    /// What [`AuthLayer`](crate::AuthLayer) does with a request, for adapters of frameworks without tower's layers: as
    /// [`identify`](Self::identify), but preflights, which carry no credentials, and CapAuth's own endpoints, which
    /// look at origin and credentials on their own, pass.
    ///
    /// # Errors
    /// As [`identify`](Self::identify).
    pub async fn admit(&self, parts: &mut Parts) -> Result<(), Refused> {
        // Where the whole path is seen, the endpoints are below the mount.
        let path = parts.uri.path();
        if endpoints::authenticates_itself(path.strip_prefix(&*self.front().mount).unwrap_or(path)) {
            return Ok(());
        }
        if is_preflight(parts) {
            return Ok(());
        }
        self.identify(parts).await.map(drop)
    }

    /// A browser is sent to the login page, with the way back; a program hears 401.
    pub(crate) fn ask_to_sign_in(&self, parts: &Parts) -> Refused {
        if !wants_html(&parts.headers) {
            return Refused::new(&AuthErrorKind::Unauthenticated.into());
        }
        Refused::see_login(&self.way_to_sign_in(parts))
    }

    /// The login page, and from there the way back to what was asked for.
    pub(crate) fn way_to_sign_in(&self, parts: &Parts) -> String {
        // What a form would have sent is not sent again: back to the front page then.
        let returns = [Method::GET, Method::HEAD].contains(&parts.method);
        let path = OriginalUri::of(parts).path_and_query().map_or("/", |path| path.as_str());
        let back = if returns { safe_redirect(path) } else { "/" };
        format!("{}{LOGIN_PAGE}?redirect={}", self.front().mount, percent_encode(back))
    }

    async fn decided(&self, parts: &mut Parts) -> Result<Decision, Refused> {
        if let Some(decided) = parts.extensions.get::<Decided>().filter(|decided| decided.by.is(self)) {
            return Ok(decided.decision.clone());
        }
        self.check_origin(parts)?;
        let decision = self.decide(parts).await?;
        match &decision.who {
            Some(who) => parts.extensions.insert(who.clone()),
            // Should somebody else have said who this is: for this service it is nobody.
            None => parts.extensions.remove::<Authenticated>(),
        };
        parts.extensions.insert(Decided { by: self.clone(), decision: decision.clone() });
        Ok(decision)
    }

    /// Refuses what another site made a browser send.
    pub(crate) fn check_origin(&self, parts: &Parts) -> Result<(), AuthError> {
        let front = self.front();
        let has_cookie = || front.sessions.has_cookie(&parts.headers);
        front.origins.check(&parts.method, parts.uri.path(), &parts.headers, has_cookie)
    }

    /// The decision itself: a bearer's token first, then the cookie.
    pub(crate) async fn decide(&self, parts: &Parts) -> Result<Decision, AuthError> {
        if let Some(token) = credentials::bearer(&parts.headers)? {
            let who = self.verifier().authenticate(token, Audience::Own).await?;
            return Ok(Decision { who: Some(who), stale_cookie: false });
        }
        match self.front().sessions.read(&parts.headers) {
            Presented::Nothing => Ok(Decision::default()),
            Presented::Stale => Ok(Decision { who: None, stale_cookie: true }),
            Presented::Session(session) => {
                let who = self.resume(&session).await?;
                Ok(Decision { stale_cookie: who.is_none(), who })
            }
        }
    }

    /// Whose session it is; `None` if it counts no longer. That a store is gone is neither.
    pub(crate) async fn resume(&self, session: &Session) -> Result<Option<Authenticated>, AuthError> {
        match self.verifier().resume(session).await {
            Ok(who) => Ok(Some(who)),
            Err(error) if error.kind().code().status() < 500 => Ok(None),
            Err(error) => Err(error),
        }
    }
}
