//! The login without JavaScript: two pages with a form each. The first asks who the person is, the second shows what to
//! sign and takes the signature.

use capauth_protocol::response::ChallengeResponse;
use capauth_protocol::{ErrorCode, Fingerprint};
use http::Response;
use maud::{Markup, html};

use super::{Page, assets, commands, refused, say, say_with};
use crate::body::Body;
use crate::handle::CapAuth;
use crate::redirect::percent_encode;
use crate::refuse::{Failure, Said};

/// What the person typed, which is never lost.
#[derive(Default)]
pub(crate) struct Typed {
    pub(crate) fingerprint: String,
    pub(crate) public_key: String,
    pub(crate) enrollment_code: String,
    pub(crate) signature: String,
}

impl Typed {
    /// All of it.
    pub(crate) fn fields(&self) -> [&str; 4] {
        let Self { fingerprint, public_key, enrollment_code, signature } = self;
        [fingerprint, public_key, enrollment_code, signature]
    }
}

/// What a form is made of, whichever page it is on.
pub(crate) struct Form<'a> {
    /// Shows that this browser was given the form.
    pub(crate) token: &'a str,
    /// Where to go then: a path of this site.
    pub(crate) redirect: &'a str,
    pub(crate) typed: &'a Typed,
    /// What went wrong before.
    pub(crate) trouble: Option<Trouble>,
}

/// What went wrong.
pub(crate) enum Trouble {
    /// The form was not this browser's, or is too old.
    Stale(Said),
    /// Nothing was pasted.
    NoSignature(Said),
    /// A secret key was pasted.
    SecretKey(Said),
    /// The protocol's refusal.
    Refused(Said),
}

/// What is to be signed.
pub(crate) struct Asked<'a> {
    /// The challenge, sealed.
    pub(crate) state: &'a str,
    pub(crate) challenge: &'a ChallengeResponse,
    pub(crate) key: Fingerprint,
}

impl Trouble {
    fn said(&self) -> &Said {
        match self {
            Self::Stale(said) | Self::NoSignature(said) | Self::SecretKey(said) | Self::Refused(said) => said,
        }
    }

    fn words(&self) -> Markup {
        let own = match self {
            Self::Stale(_) => say("form.stale"),
            Self::NoSignature(_) => say("form.no_signature"),
            Self::SecretKey(_) => say("form.secret_key"),
            // The script's words for it ask to load the page anew: here that would lose what was typed.
            Self::Refused(said) if said.refusal.code == ErrorCode::InvalidRequest => say("form.malformed"),
            Self::Refused(said) => return refused::words(said),
        };
        html! { p { (own) } }
    }

    /// Whether a public key, or a code, may be what is missing.
    fn asks_for_more(&self) -> bool {
        let codes = [
            ErrorCode::UnknownFingerprint,
            ErrorCode::KeyExpired,
            ErrorCode::InvalidPublicKey,
            ErrorCode::FingerprintMismatch,
            ErrorCode::EnrollmentClosed,
        ];
        codes.contains(&self.said().refusal.code)
    }
}

/// The first page, as it is answered to a form.
pub(crate) fn who(capauth: &CapAuth, form: &Form<'_>) -> Result<Response<Body>, Failure> {
    page(capauth, form, &first(form), None)
}

/// The second page.
pub(crate) fn sign(capauth: &CapAuth, form: &Form<'_>, asked: &Asked<'_>) -> Result<Response<Body>, Failure> {
    page(capauth, form, &second(form, asked), Some(&asked.challenge.origin))
}

/// Pages that answer a form run no script: it would take the form away in the midst of it.
fn page(
    capauth: &CapAuth,
    form: &Form<'_>,
    inside: &Markup,
    origin: Option<&str>,
) -> Result<Response<Body>, Failure> {
    let heading = say_with("login.title", capauth.verifier().service());
    // Whoever hears pages read out hears the title first.
    let title = match form.trouble {
        Some(_) => say_with("form.trouble", &heading),
        None => heading.clone(),
    };
    let mut response = Page {
        status: http::StatusCode::OK,
        title: &title,
        assets: assets::FOLDER,
        styles: &[],
        script: "",
        loads: &[],
        settings: &(),
        body: html! {
            main {
                (header(&heading, origin))
                (inside)
            }
        },
    }
    .respond()?;
    if let Some(trouble) = &form.trouble {
        trouble.said().mark(&mut response);
    }
    Ok(response)
}

/// Who asks, as the script shows it. The origin is known once somebody sent a form.
pub(super) fn header(heading: &str, origin: Option<&str>) -> Markup {
    let icon = format!("{}/{}/icon.svg", assets::FOLDER, assets::VERSION);
    html! {
        header.asks {
            img src=(icon) alt="" width="44" height="44";
            h1 { (heading) }
            @if let Some(origin) = origin {
                p.quiet { (say("login.asks")) " " strong.origin translate="no" { (origin) } }
            }
        }
    }
}

/// The first form, which stands in the login page too.
pub(super) fn first(form: &Form<'_>) -> Markup {
    let typed = form.typed;
    html! {
        form.sheet.plain method="post" action=(action(form)) {
            (begin(form))
            label for="plain-fingerprint" { (say("login.fingerprint")) }
            input.mono #plain-fingerprint name="fingerprint" value=(typed.fingerprint) required autocomplete="username"
                autocapitalize="characters" spellcheck="false" aria-describedby="plain-fingerprint-hint";
            p.hint #plain-fingerprint-hint {
                (say("login.fingerprint_hint")) " " code.whole { "gpg --list-secret-keys" }
            }
            (more(form, None))
            div.row { button.lead { (say("login.continue")) } }
        }
    }
}

fn second(form: &Form<'_>, asked: &Asked<'_>) -> Markup {
    let payload = asked.challenge.payload().to_text();
    html! {
        form.sheet.plain method="post" action=(action(form)) {
            (begin(form))
            input type="hidden" name="state" value=(asked.state);
            input type="hidden" name="fingerprint" value=(form.typed.fingerprint);
            ol {
                li {
                    h2 { (say("gpg.run")) }
                    p { (say_with("form.until", &until(&asked.challenge.expires))) }
                    h3.label { (say("gpg.posix")) }
                    pre { code translate="no" { (commands::posix(&payload, &asked.key)) } }
                    h3.label { (say("gpg.powershell")) }
                    pre { code translate="no" { (commands::powershell(&payload, &asked.key)) } }
                }
                li {
                    h2 { (say("gpg.paste")) }
                    label for="plain-signature" { (say("gpg.signature")) }
                    textarea.mono #plain-signature name="signature" required rows="7" autocomplete="off"
                        spellcheck="false" { "\n" (form.typed.signature) }
                }
            }
            (more(form, Some(&asked.key)))
            div.row {
                // The first button is the one that the enter key presses.
                button.lead { (say("gpg.send")) }
                button name="step" value="back" formnovalidate { (say("form.back")) }
            }
        }
    }
}

/// What every form begins with.
fn begin(form: &Form<'_>) -> Markup {
    html! {
        @if let Some(trouble) = &form.trouble {
            div.trouble role="alert" { (trouble.words()) }
        }
        input type="hidden" name="token" value=(form.token);
    }
}

/// For a key that is not known here yet, or was renewed.
fn more(form: &Form<'_>, key: Option<&Fingerprint>) -> Markup {
    let typed = form.typed;
    let is_asked_for = form.trouble.as_ref().is_some_and(Trouble::asks_for_more);
    let is_expired = form.trouble.as_ref().is_some_and(|it| it.said().refusal.code == ErrorCode::KeyExpired);
    let is_filled = !typed.public_key.is_empty() || !typed.enrollment_code.is_empty();
    html! {
        details open[is_asked_for || is_filled] {
            summary { (say("form.new")) }
            p { (say("form.new_hint")) @if key.is_none() { " " code.whole { "gpg --armor --export" } } }
            @if let Some(key) = key {
                @if is_expired {
                    p { (say("login.extend")) }
                    pre { code translate="no" { "gpg --quick-set-expire " (key) " 1y" } }
                }
                pre { code translate="no" { "gpg --armor --export " (key) } }
            }
            label for="plain-key" { (say("login.public_key")) }
            // A text area loses one line end at its beginning.
            textarea.mono #plain-key name="public_key" rows="6" autocomplete="off" spellcheck="false" {
                "\n" (typed.public_key)
            }
            label for="plain-code" { (say("login.code")) }
            input.mono #plain-code name="enrollment_code" value=(typed.enrollment_code) autocomplete="off"
                spellcheck="false" aria-describedby="plain-code-hint";
            p.hint #plain-code-hint { (say("form.code_hint")) }
        }
    }
}

/// The page's own path, seen from itself, with the way back.
fn action(form: &Form<'_>) -> String {
    match form.redirect {
        "/" => "login".to_owned(),
        redirect => format!("login?redirect={}", percent_encode(redirect)),
    }
}

/// The time of day in a time as challenges write it.
fn until(expires: &str) -> String {
    let time = expires.split_once('T').and_then(|(_, time)| time.get(..8));
    time.map_or_else(|| expires.to_owned(), |time| format!("{time} UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_markup_in_what_was_typed() {
        let marker = "</textarea><script>\"'&";
        let typed = Typed {
            fingerprint: marker.to_owned(),
            public_key: marker.to_owned(),
            enrollment_code: marker.to_owned(),
            signature: marker.to_owned(),
        };
        let form = Form { token: marker, redirect: "/a?b=c&d", typed: &typed, trouble: None };
        let text = first(&form).into_string();
        assert!(!text.contains("<script") && text.matches("&lt;script&gt;&quot;").count() == 4, "{text}");
        assert!(text.contains("action=\"login?redirect=/a%3Fb%3Dc%26d\""), "{text}");
    }

    #[test]
    fn times_are_told_by_the_clock() {
        assert_eq!(until("2026-02-24T12:00:07Z"), "12:00:07 UTC");
        assert_eq!(until("2026-02-24T12:00:07+00:00"), "12:00:07 UTC");
        assert_eq!(until("soon"), "soon");
    }
}
