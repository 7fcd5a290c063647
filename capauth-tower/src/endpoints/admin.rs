//! Who administers.

use capauth_protocol::Fingerprint;
use capauth_verifier::{Actor, Administration, Audience, AuthError, AuthErrorKind, LocalVerifier, Session};

use super::Exchange;
use crate::accept::wants_html;
use crate::credentials;
use crate::handle::CapAuth;
use crate::refuse::Failure;
use crate::session::Presented;

/// Seconds after a login for which it lets an administrator work.
const FRESH: u64 = 15 * 60;

/// Lets administrators through: the administrator's token, or a fresh login of a listed key to the service itself.
/// Never a person's token, which applications get to see.
pub(super) async fn require<'a>(exchange: &Exchange<'a>) -> Result<Administration<'a>, Failure> {
    let who = administrator(exchange).await?;
    Ok(exchange.local()?.administration(who, exchange.caller().address))
}

/// Whether somebody shows an administrator's credentials, good or bad: then they decide, and nothing else does.
pub(super) fn is_claimed(exchange: &Exchange<'_>) -> Result<bool, Failure> {
    Ok(credentials::bearer(&exchange.parts.headers)?.is_some())
}

async fn administrator(exchange: &Exchange<'_>) -> Result<Actor, Failure> {
    let (capauth, local) = (exchange.capauth, exchange.local()?);
    if capauth.inner().admin_token.is_none() && !local.has_admin_keys() {
        return Err(AuthErrorKind::NotConfigured.into());
    }
    match credentials::bearer(&exchange.parts.headers)? {
        Some(token) => by_token(exchange, token).await,
        None => session(exchange, local).await,
    }
}

/// Whether this is the administrator's token. Nobody may try as many as they like, so it is asked before the token is
/// looked at: one that is right is refused too where too many wrong ones came from.
async fn by_token(exchange: &Exchange<'_>, token: &str) -> Result<Actor, Failure> {
    within_limits(exchange, async {
        match is_admin_token(exchange.capauth, token) {
            true => Ok(Actor::Administrator),
            false => Err(refuse_person(exchange.capauth, token).await),
        }
    })
    .await
}

/// Looks at a bearer's token, unless too many were refused of late.
async fn within_limits<T>(
    exchange: &Exchange<'_>,
    look: impl Future<Output = Result<T, AuthError>>,
) -> Result<T, Failure> {
    let attempt = exchange.local()?.limits().attempt(&exchange.caller(), None).await?;
    let outcome = look.await;
    attempt.conclude(&outcome);
    Ok(outcome?)
}

/// Lets through the verifiers that follow the feed, by their service's credential, and administrators.
pub(super) async fn require_feed(exchange: &Exchange<'_>) -> Result<(), Failure> {
    let (capauth, local) = (exchange.capauth, exchange.local()?);
    let unconfigured = capauth.inner().admin_token.is_none() && !local.has_admin_keys();
    if !local.has_feed_credentials() {
        return require(exchange).await.map(drop);
    }
    match credentials::bearer(&exchange.parts.headers)? {
        // At least 32 characters, whatever the place: nobody guesses one, and a follower must not be kept from the feed.
        Some(token) if local.feed_credential_matches(token) => Ok(()),
        None if unconfigured => Err(AuthErrorKind::Unauthenticated.into()),
        Some(token) if unconfigured => {
            within_limits(exchange, async { Err(refuse_person(capauth, token).await) }).await
        }
        Some(_) | None => require(exchange).await.map(drop),
    }
}

/// Who may end a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndedBy {
    /// An application.
    Program,
    /// An administrator.
    Administrator(Actor),
    /// Whoever holds it.
    Holder,
}

/// Lets through applications and administrators, and whoever's own token or session has this `jti`.
pub(super) async fn require_owner_of(exchange: &Exchange<'_>, jti: &str) -> Result<EndedBy, Failure> {
    let (capauth, local) = (exchange.capauth, exchange.local()?);
    let bearer = credentials::bearer(&exchange.parts.headers)?;
    if bearer.is_some_and(|token| local.feed_credential_matches(token)) {
        return Ok(EndedBy::Program);
    }
    if let Some(token) = bearer {
        return within_limits(exchange, async {
            if is_admin_token(capauth, token) {
                return Ok(EndedBy::Administrator(Actor::Administrator));
            }
            // For whichever application it was made: who holds it may throw it away.
            let who = capauth.verifier().authenticate(token, Audience::AnyOfIssuer).await?;
            if who.session().jti == jti { Ok(EndedBy::Holder) } else { Err(AuthErrorKind::Forbidden.into()) }
        })
        .await;
    }
    match capauth.decide(exchange.parts).await?.who {
        Some(who) if who.session().jti == jti => Ok(EndedBy::Holder),
        Some(_) if local.has_admin_keys() => Ok(EndedBy::Administrator(session(exchange, local).await?)),
        Some(_) => Err(AuthErrorKind::Forbidden.into()),
        None => Err(AuthErrorKind::Unauthenticated.into()),
    }
}

fn is_admin_token(capauth: &CapAuth, token: &str) -> bool {
    capauth.inner().admin_token.as_ref().is_some_and(|own| own.matches(token))
}

/// A person's token is understood and not enough; anything else is no token.
async fn refuse_person(capauth: &CapAuth, token: &str) -> AuthError {
    match capauth.verifier().authenticate(token, Audience::AnyOfIssuer).await {
        Ok(_) => AuthErrorKind::Forbidden.into(),
        Err(error) if error.kind().code().status() >= 500 => error,
        Err(_) => AuthErrorKind::InvalidToken.into(),
    }
}

async fn session(exchange: &Exchange<'_>, local: &LocalVerifier) -> Result<Actor, Failure> {
    match standing(exchange, local).await? {
        Standing::Administrator(key) => Ok(Actor::Key(key)),
        Standing::Nobody => Err(AuthErrorKind::Unauthenticated.into()),
        Standing::Hindered(why) => Err(AuthError::from(why).into()),
    }
}

/// Where a browser stands that asks for the administrators' page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its session administers, by this key.
    Administrator(Fingerprint),
    /// It has no session.
    Nobody,
    /// Its session does not administer.
    Hindered(Hindrance),
}

/// Why a session does not administer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// Its key is not on the list.
    NotListed,
    /// It was signed on another page than one of the base URL, or on none.
    OtherPage,
    /// Another device signed. A code keeps bystanders out, and not a page that shows somebody else's QR code.
    OtherDevice,
    /// It is more than a quarter of an hour old.
    TooOld,
}

impl From<Hindrance> for AuthError {
    fn from(why: Hindrance) -> Self {
        let words = match why {
            Hindrance::NotListed | Hindrance::OtherPage => return AuthErrorKind::Forbidden.into(),
            Hindrance::OtherDevice => "A login from another device does not administer. Sign in on this one.",
            Hindrance::TooOld => "Sign in again: this login is too old to administer.",
        };
        Self::with_words(AuthErrorKind::Forbidden, words)
    }
}

/// Whether a person asks with their browser, and not a program, nor somebody who shows a token.
pub(super) fn is_for_a_person(exchange: &Exchange<'_>) -> Result<bool, Failure> {
    Ok(wants_html(&exchange.parts.headers) && !is_claimed(exchange)?)
}

/// Where the session of the request's cookie stands.
pub(super) async fn standing(exchange: &Exchange<'_>, local: &LocalVerifier) -> Result<Standing, Failure> {
    let capauth = exchange.capauth;
    let Presented::Session(session) = capauth.front().sessions.read(&exchange.parts.headers) else {
        return Ok(Standing::Nobody);
    };
    let Some(who) = capauth.resume(&session).await? else { return Ok(Standing::Nobody) };
    Ok(match hindrance(local, capauth, who.session()) {
        Some(why) => Standing::Hindered(why),
        None => Standing::Administrator(who.fingerprint()),
    })
}

fn hindrance(local: &LocalVerifier, capauth: &CapAuth, session: &Session) -> Option<Hindrance> {
    if !local.is_admin_key(&session.fingerprint) {
        return Some(Hindrance::NotListed);
    }
    if session.origin.as_deref() != Some(local.base_url()) {
        return Some(Hindrance::OtherPage);
    }
    if session.qr {
        return Some(Hindrance::OtherDevice);
    }
    let is_old = capauth.now().since(session.authenticated_at) > FRESH;
    is_old.then_some(Hindrance::TooOld)
}
