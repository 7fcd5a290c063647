//! Who asks: decided in one place for layers, guards, extractors and endpoints.

use capauth_verifier::{Audience, AuthError, AuthErrorKind, Authenticated, Session};
use http::request::Parts;

use crate::credentials;
use crate::group::Rule;
use crate::handle::CapAuth;
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
            let clear = stale_cookie.then(|| self.inner().sessions.clear()).flatten();
            return Err(Refused::new(&AuthErrorKind::Unauthenticated.into()).clearing(clear));
        };
        rule.check(&who)?;
        Ok(who)
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
        let inner = self.inner();
        let has_cookie = || inner.sessions.has_cookie(&parts.headers);
        inner.origins.check(&parts.method, parts.uri.path(), &parts.headers, has_cookie)
    }

    /// The decision itself: a bearer's token first, then the cookie.
    pub(crate) async fn decide(&self, parts: &Parts) -> Result<Decision, AuthError> {
        if let Some(token) = credentials::bearer(&parts.headers)? {
            let who = self.verifier().authenticate(token, Audience::Own).await?;
            return Ok(Decision { who: Some(who), stale_cookie: false });
        }
        match self.inner().sessions.read(&parts.headers) {
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
