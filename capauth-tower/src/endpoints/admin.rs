//! Who administers.

use capauth_verifier::{Actor, Administration, Audience, AuthError, AuthErrorKind, LocalVerifier, Session};

use super::Exchange;
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
    let capauth = exchange.capauth;
    let Presented::Session(session) = capauth.front().sessions.read(&exchange.parts.headers) else {
        return Err(AuthErrorKind::Unauthenticated.into());
    };
    let who = capauth.resume(&session).await?.ok_or(AuthErrorKind::Unauthenticated)?;
    may_administer(local, capauth, who.session())?;
    Ok(Actor::Key(who.fingerprint()))
}

fn may_administer(local: &LocalVerifier, capauth: &CapAuth, session: &Session) -> Result<(), AuthError> {
    let on_our_page = session.origin.as_deref() == Some(local.base_url());
    if !local.is_admin_key(&session.fingerprint) || !on_our_page {
        return Err(AuthErrorKind::Forbidden.into());
    }
    if session.qr {
        // A code keeps bystanders out, and not a page that shows somebody else's QR code.
        return Err(AuthError::with_words(
            AuthErrorKind::Forbidden,
            "A login from another device does not administer. Sign in on this one.",
        ));
    }
    if capauth.now().since(session.authenticated_at) > FRESH {
        return Err(AuthError::with_words(
            AuthErrorKind::Forbidden,
            "Sign in again: this login is too old to administer.",
        ));
    }
    Ok(())
}
