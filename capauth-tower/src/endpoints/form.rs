//! The login page's form, for browsers without JavaScript: who are you, sign this, and in.

use capauth_protocol::request::{ChallengeRequest, VerifyRequest};
use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{ErrorCode, Fingerprint, Refusal};
use capauth_verifier::{AuthError, AuthErrorKind};
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::Exchange;
use super::login;
use super::query::Query;
use crate::answer;
use crate::body::Body;
use crate::form::{Forms, Visitor};
use crate::handle::CapAuth;
use crate::pages::{self, Asked, Form, Trouble, Typed};
use crate::redirect::safe_redirect;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

/// `GET` and `POST /auth/capauth/login`, for everybody.
pub(super) async fn page(exchange: &Exchange<'_>) -> Answer {
    let visit = Visit::of(exchange)?;
    if exchange.method == Method::GET {
        let page = pages::login(visit.capauth, &visit.form(&Typed::default(), None))?;
        return visit.with_cookie(page);
    }
    match Sent::read(exchange.body) {
        Ok(sent) => visit.answer(exchange, sent).await,
        Err(failure) => visit.first(&Typed::default(), Some(Trouble::Refused(failure.say()))),
    }
}

/// What is kept between the two pages.
#[derive(Serialize, Deserialize)]
struct State {
    /// As it was typed.
    fingerprint: String,
    challenge: ChallengeResponse,
}

/// A form that was sent.
struct Sent {
    token: String,
    state: String,
    /// Whether the person wants to change who they are.
    back: bool,
    typed: Typed,
}

impl Sent {
    fn read(body: &[u8]) -> Result<Self, Failure> {
        let form = Query::of_page_form(body)?;
        // Browsers send every line end of a text area as CRLF.
        let text = |name| Ok::<_, Failure>(form.get(name)?.unwrap_or_default().replace("\r\n", "\n"));
        let trimmed = |name| Ok::<_, Failure>(text(name)?.trim().to_owned());
        let armored = |name| Ok::<_, Failure>(tidied(&text(name)?));
        Ok(Self {
            token: text("token")?,
            state: text("state")?,
            back: form.get("step")? == Some("back"),
            typed: Typed {
                fingerprint: trimmed("fingerprint")?,
                public_key: armored("public_key")?,
                enrollment_code: trimmed("enrollment_code")?,
                signature: armored("signature")?,
            },
        })
    }
}

/// Armour without what terminals and mails put around it and before its lines. In a message that is signed as it can be
/// read, every line is the signer's.
fn tidied(text: &str) -> String {
    let text = text.trim();
    match text.contains("BEGIN PGP SIGNED MESSAGE") {
        true => text.to_owned(),
        false => text.lines().map(str::trim).collect::<Vec<_>>().join("\n"),
    }
}

/// Whether somebody pasted their secret key.
fn is_secret(text: &str) -> bool {
    text.contains("BEGIN PGP PRIVATE KEY BLOCK")
}

/// A browser at the form.
struct Visit<'a> {
    capauth: &'a CapAuth,
    visitor: Visitor,
    /// Whether it was there before.
    is_known: bool,
    token: String,
    redirect: String,
}

/// Where the person goes on after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// With the same challenge and signature, which may yet be good.
    Same,
    /// With another challenge.
    Fresh,
    /// From the beginning: another signature changes nothing.
    First,
}

impl<'a> Visit<'a> {
    fn of(exchange: &Exchange<'a>) -> Result<Self, Failure> {
        let capauth = exchange.capauth;
        let forms = &capauth.front().forms;
        let known = forms.known(&exchange.parts.headers);
        let is_known = known.is_some();
        let visitor = known.map_or_else(|| forms.stranger(), Ok)?;
        let token = forms.token(&visitor)?;
        let query = Query::of(exchange.parts).ok();
        let wanted = query.as_ref().and_then(|query| query.get("redirect").ok().flatten());
        let redirect = safe_redirect(wanted.unwrap_or("/")).to_owned();
        Ok(Self { capauth, visitor, is_known, token, redirect })
    }

    fn forms(&self) -> &'a Forms {
        &self.capauth.front().forms
    }

    fn form<'b>(&'b self, typed: &'b Typed, trouble: Option<Trouble>) -> Form<'b> {
        Form { token: &self.token, redirect: &self.redirect, typed, trouble }
    }

    fn with_cookie(&self, mut page: Response<Body>) -> Answer {
        if let Some(cookie) = self.forms().cookie(&self.visitor)? {
            page.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(page)
    }

    fn first(&self, typed: &Typed, trouble: Option<Trouble>) -> Answer {
        self.with_cookie(pages::who(self.capauth, &self.form(typed, trouble))?)
    }

    fn second(&self, typed: &Typed, state: &State, trouble: Option<Trouble>) -> Answer {
        let sealed = self.forms().keep(&self.visitor, state)?;
        let asked = Asked { state: &sealed, challenge: &state.challenge, key: key(state)? };
        self.with_cookie(pages::sign(self.capauth, &self.form(typed, trouble), &asked)?)
    }

    async fn answer(&self, exchange: &Exchange<'_>, sent: Sent) -> Answer {
        let Sent { token, state, back, mut typed } = sent;
        // Before anything else: whatever is wrong with the form, its answer shows again what was typed.
        if typed.fields().into_iter().any(is_secret) {
            return self.secret(typed);
        }
        let is_own = self.is_known && self.forms().is_token_of(&self.visitor, &token);
        let kept = match (is_own, state.as_str()) {
            (false, _) => return self.stale(&typed),
            (true, "") => None,
            (true, state) => Some(self.forms().kept::<State>(&self.visitor, state)),
        };
        match kept {
            Some(None) => self.stale(&typed),
            Some(Some(kept)) => {
                typed.fingerprint.clone_from(&kept.fingerprint);
                match back {
                    true => self.first(&typed, None),
                    false => self.verify(exchange, typed, kept).await,
                }
            }
            None => match challenge(exchange, &typed.fingerprint).await {
                Ok(state) => self.second(&typed, &state, None),
                Err(failure) => self.first(&typed, Some(Trouble::Refused(failure.say()))),
            },
        }
    }

    /// Not this browser's form, or not any longer. What was typed came from a page of this site.
    fn stale(&self, typed: &Typed) -> Answer {
        self.first(typed, Some(Trouble::Stale(Failure::from(AuthErrorKind::Forbidden).say())))
    }

    /// It goes back to nobody, and no further here.
    fn secret(&self, typed: Typed) -> Answer {
        let said = Failure::from(AuthErrorKind::InvalidPublicKey).say();
        let fingerprint = Some(typed.fingerprint).filter(|text| !is_secret(text)).unwrap_or_default();
        let typed = Typed { fingerprint, ..Typed::default() };
        self.first(&typed, Some(Trouble::SecretKey(said)))
    }

    async fn verify(&self, exchange: &Exchange<'_>, mut typed: Typed, state: State) -> Answer {
        let (trouble, next) = if typed.signature.is_empty() {
            let missing = Failure::invalid("There is no signature.").say();
            (Trouble::NoSignature(missing), self.unless_late(Next::Same, &state))
        } else {
            match begin(exchange, &typed, &state).await {
                Ok(cookies) => return self.sign_in(cookies),
                Err(failure) => {
                    let next = self.unless_late(after(&failure, &typed), &state);
                    (Trouble::Refused(failure.say()), next)
                }
            }
        };
        if next == Next::Same {
            return self.second(&typed, &state, Some(trouble));
        }
        typed.signature.clear();
        if next == Next::First {
            return self.first(&typed, Some(trouble));
        }
        match challenge(exchange, &state.fingerprint).await {
            Ok(fresh) => self.second(&typed, &fresh, Some(trouble)),
            // That no other challenge is to be had comes second: the person hears what went wrong first.
            Err(failure) => {
                failure.say();
                self.first(&typed, Some(trouble))
            }
        }
    }

    /// A challenge whose time is over is no use to anybody.
    fn unless_late(&self, next: Next, state: &State) -> Next {
        let now = self.capauth.now().to_string();
        // Both are RFC 3339 in UTC, to the second: they sort as the times do.
        let is_late = state.challenge.expires.as_str() <= now.as_str();
        if next == Next::Same && is_late { Next::Fresh } else { next }
    }

    fn sign_in(&self, cookies: Vec<HeaderValue>) -> Answer {
        let mut response = answer::empty(StatusCode::SEE_OTHER);
        let location = HeaderValue::try_from(&self.redirect).map_err(|_| AuthErrorKind::Internal)?;
        response.headers_mut().insert(header::LOCATION, location);
        for cookie in cookies.into_iter().chain(self.forms().clear()) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

fn key(state: &State) -> Result<Fingerprint, Failure> {
    let words = "a fingerprint has 40 or 64 hexadecimal digits";
    state.fingerprint.parse().map_err(|_| Refusal::new(ErrorCode::InvalidFingerprint, words).into())
}

/// A challenge of the second version for this key and the page's own origin.
async fn challenge(exchange: &Exchange<'_>, typed: &str) -> Result<State, Failure> {
    #[derive(Serialize)]
    struct Ask<'a> {
        fingerprint: &'a str,
        origin: Option<&'a str>,
    }
    if typed.is_empty() {
        let words = "Say which key is yours: its fingerprint has 40 or 64 hexadecimal digits.";
        return Err(Refusal::new(ErrorCode::InvalidFingerprint, words).into());
    }
    let origin = exchange.capauth.front().origins.of_page(&exchange.parts.headers);
    let ask = serde_json::to_vec(&Ask { fingerprint: typed, origin }).map_err(|_| AuthErrorKind::Internal)?;
    let challenge = login::ask(exchange, ChallengeRequest::parse(&ask)?).await?;
    if Some(challenge.origin.as_str()) != origin {
        return Err(AuthError::with_words(
            AuthErrorKind::NotConfigured,
            "The central service makes no challenges that name a page. It is too old for this one.",
        )
        .into());
    }
    if !is_plain(&challenge) {
        return Err(
            AuthError::because(AuthErrorKind::Internal, "a challenge that no shell should see").into()
        );
    }
    // The page shows what is to be signed, and no more of it.
    let (server_signature, server_public_key, qr_payload) = (String::new(), String::new(), String::new());
    let challenge = ChallengeResponse { server_signature, server_public_key, qr_payload, ..challenge };
    Ok(State { fingerprint: typed.to_owned(), challenge })
}

/// Whether every value can stand in a command that somebody copies: nothing that any shell gives a meaning to.
fn is_plain(challenge: &ChallengeResponse) -> bool {
    let payload = challenge.payload();
    let values = [payload.nonce, payload.client_nonce, payload.timestamp, payload.service, payload.expires];
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"=+/:._[]-".contains(&byte);
    values.into_iter().chain(payload.origin).all(|value| value.bytes().all(plain))
}

/// Judges what was pasted: the cookies of whoever is signed in by it.
async fn begin(exchange: &Exchange<'_>, typed: &Typed, state: &State) -> Result<Vec<HeaderValue>, Failure> {
    let nonce = state.challenge.nonce.parse().map_err(|_| AuthErrorKind::InvalidNonce)?;
    let mut request = VerifyRequest::new(key(state)?, nonce, &typed.signature);
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    request.public_key = filled(&typed.public_key);
    request.enrollment_code = filled(&typed.enrollment_code);
    // Held against the forms of the protocol, as if it came over the wire.
    let body = serde_json::to_vec(&request).map_err(|_| AuthErrorKind::Internal)?;
    login::begin(exchange, VerifyRequest::parse(&body)?).await
}

/// What a person can do about a refusal.
fn after(failure: &Failure, typed: &Typed) -> Next {
    let kind = match failure {
        Failure::Auth(error) => error.kind(),
        Failure::Request(_) => return Next::Same,
    };
    match kind {
        AuthErrorKind::UnknownFingerprint
        | AuthErrorKind::KeyExpired
        | AuthErrorKind::InvalidPublicKey
        | AuthErrorKind::FingerprintMismatch
        | AuthErrorKind::TooManyRequests
        | AuthErrorKind::Unavailable
        | AuthErrorKind::Internal => Next::Same,
        AuthErrorKind::EnrollmentClosed if typed.enrollment_code.is_empty() => Next::Same,
        AuthErrorKind::InvalidNonce | AuthErrorKind::ExpiredNonce | AuthErrorKind::InvalidNonceSignature => {
            Next::Fresh
        }
        _ => Next::First,
    }
}
