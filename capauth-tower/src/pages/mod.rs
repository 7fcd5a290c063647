//! Pages for people: how each of them is put together, and what it may do.

mod admin;
pub(crate) mod assets;
mod commands;
mod hindered;
mod login;
pub(crate) mod logout;
mod me;
mod phone;
mod plain;
mod refused;
mod words;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capauth_verifier::AuthErrorKind;
use http::{HeaderValue, Response, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use serde::Serialize;

pub(crate) use admin::admin;
pub(crate) use hindered::{Hindered, hindered};
pub(crate) use login::login;
pub(crate) use me::me;
pub(crate) use phone::phone;
pub(crate) use plain::{Asked, Form, Trouble, Typed, sign, who};
pub(crate) use refused::refused;

use crate::answer;
use crate::body::Body;
use crate::refuse::Failure;
use words::{say, say_with};

/// What a page of ours may use of a browser: writing to the clipboard, and nothing that looks, listens or locates.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), clipboard-read=(), clipboard-write=(self), display-capture=(), geolocation=(), \
     gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), \
     screen-wake-lock=(), serial=(), usb=()",
);

/// Everything that differs between pages.
struct Page<'a, S> {
    status: StatusCode,
    title: &'a str,
    /// Which folder of assets, seen from this page: `assets`, or `../auth/capauth/assets`.
    assets: &'static str,
    /// Style sheets beside the one that every page has.
    styles: &'static [&'static str],
    /// The module that the page runs, and those that it loads at once: all of them are fetched side by side. Empty: none.
    script: &'static str,
    loads: &'static [&'static str],
    /// What the script is told. It stands in an attribute, escaped.
    settings: &'a S,
    body: Markup,
}

impl<S: Serialize> Page<'_, S> {
    /// The page as it is sent. Each has a nonce of its own, by which its scripts are told from anything that somebody
    /// should manage to put into it (Content Security Policy, level 3).
    fn respond(self) -> Result<Response<Body>, Failure> {
        let nonce = nonce()?;
        let settings = serde_json::to_string(self.settings).map_err(|_| AuthErrorKind::Internal)?;
        let asset = |name: &str| format!("{}/{}/{name}", self.assets, assets::VERSION);
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) }
                    link rel="icon" type="image/svg+xml" href=(asset("icon.svg"));
                    link rel="stylesheet" href=(asset("style.css")) nonce=(nonce);
                    @for name in self.styles {
                        link rel="stylesheet" href=(asset(name)) nonce=(nonce);
                    }
                    @for name in self.loads {
                        link rel="modulepreload" href=(asset(name)) nonce=(nonce);
                    }
                    @if !self.script.is_empty() {
                        script type="module" src=(asset(self.script)) nonce=(nonce) {}
                    }
                }
                body data-settings=(settings) {
                    (self.body)
                }
            }
        };
        let mut response = answer::page(markup.into_string());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let policy = HeaderValue::try_from(policy(&nonce)).map_err(|_| AuthErrorKind::Internal)?;
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert("permissions-policy", PERMISSIONS);
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        Ok(response)
    }
}

fn nonce() -> Result<String, Failure> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| AuthErrorKind::Internal)?;
    Ok(STANDARD.encode(nonce))
}

/// Scripts and styles with this response's nonce, and what those load; requests and workers of this site; a picture that
/// stands in the page. Text never becomes script, for which `trusted-types` has the one exception that `trusted.js`
/// makes: the address of the worker.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; \
         connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types capauth"
    )
}
