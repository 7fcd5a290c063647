//! What kind of service it is: read from its own description, held against what is configured.

use std::sync::Arc;

use capauth_protocol::{Fingerprint, limits};
use serde::Deserialize;

use super::fault::{Fault, FaultKind, shown};
use super::link::{Answer, Call, Link};

const WELL_KNOWN: &str = "/capauth/v1/well-known";
const STATUS: &str = "/capauth/v1/status";
/// The longest issuer, in bytes.
const MAX_ISSUER: usize = 2048;

/// How tokens are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Here: by the published keys and the feed of revocations.
    Keys,
    /// By asking the service about each.
    Ask,
    /// The same, of a service that predates `well-known`: its answers name no audience, no issuer and no expiry.
    AskOlder,
}

/// What is known of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its own service id.
    pub(super) service: Arc<str>,
    /// The issuer of its tokens; `None` where tokens do not say.
    pub(super) issuer: Option<Arc<str>>,
    pub(super) way: Way,
    /// What it costs, in words.
    pub(super) notices: Vec<String>,
}

/// What the description is held against.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) issuer: Option<String>,
    pub(super) server_key: Option<Fingerprint>,
    pub(super) always_ask: bool,
    /// `None`: the service's own is taken.
    pub(super) service: Option<Arc<str>>,
}

/// As much of the description as is used; see `capauth_protocol::response::WellKnown`.
#[derive(Deserialize)]
struct Description {
    capauth_version: String,
    service: String,
    #[serde(default)]
    server_fingerprint: String,
    #[serde(default)]
    access_token_alg: String,
    #[serde(default)]
    revocations: bool,
    #[serde(default)]
    issuer: String,
}

#[derive(Deserialize)]
struct OlderStatus {
    service: String,
}

/// Asks the service what it is.
///
/// # Errors
/// It does not answer, or it is not what is expected.
pub(super) async fn discover(link: &Link, expected: &Expected) -> Result<Found, Fault> {
    let answer = link.send(&Call::get(WELL_KNOWN).in_background()).await?;
    if answer.status == 404 {
        return discover_older(link, expected).await;
    }
    let description: Description = read(link, &answer)?;
    if !description.capauth_version.starts_with("1.") || !is_name(&description.service) {
        return Err(not_capauth(link));
    }
    check_server_key(link, expected, &description.server_fingerprint)?;
    let issuer = issuer(link, expected, &description.issuer)?;
    let can_check = description.access_token_alg == "EdDSA" && description.revocations;
    let way = if can_check && link.has_credential() && !expected.always_ask { Way::Keys } else { Way::Ask };
    let mut notices = Vec::new();
    if issuer != link.url() {
        notices.push(format!(
            "The central service at {} issues its tokens as {}, and only those count.",
            link.url(),
            shown(&issuer)
        ));
    }
    if way == Way::Ask {
        notices.push(cost_of_asking(can_check, link.has_credential()));
    }
    Ok(Found { service: description.service.into(), issuer: Some(issuer.into()), way, notices })
}

/// The Python service: it has no description, and its status says its name.
async fn discover_older(link: &Link, expected: &Expected) -> Result<Found, Fault> {
    let answer = link.send(&Call::get(STATUS).in_background()).await?;
    let status: OlderStatus = read(link, &answer)?;
    if !is_name(&status.service) {
        return Err(not_capauth(link));
    }
    // Its answers do not say whom a token was made for: only its own tokens can be meant for us.
    if let Some(own) = expected.service.as_deref().filter(|own| *own != status.service) {
        let (own, service) = (shown(own), shown(&status.service));
        return Err(link.fault(
            FaultKind::Audience,
            format!(
                "the central service is an older one that makes tokens for itself alone, {service:?}, and not for \
                 {own:?}: call `.service({service:?})`, or bring the service up to date"
            ),
        ));
    }
    let notices = vec![String::from(
        "The central service is an older one: its tokens hold no names and no groups; each signed-in person costs a \
         question a second; a revoked key keeps its tokens until they expire, within an hour; and no token says for \
         which application it was made.",
    )];
    Ok(Found { service: status.service.into(), issuer: None, way: Way::AskOlder, notices })
}

fn read<T: serde::de::DeserializeOwned>(link: &Link, answer: &Answer) -> Result<T, Fault> {
    if !answer.is_success() {
        return Err(not_capauth(link));
    }
    link.parse(answer).map_err(|fault| Fault { words: no_service(link).into(), ..fault })
}

fn no_service(link: &Link) -> String {
    format!(
        "{} is not a CapAuth service: give the URL under which it serves /capauth/v1/well-known",
        link.url()
    )
}

fn not_capauth(link: &Link) -> Fault {
    link.fault(FaultKind::Malformed, no_service(link))
}

/// Whether a text can be a service's name. It stands in what people sign.
fn is_name(text: &str) -> bool {
    (1..=limits::MAX_SERVICE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check_server_key(link: &Link, expected: &Expected, said: &str) -> Result<(), Fault> {
    let Some(pinned) = expected.server_key else { return Ok(()) };
    if said.parse() == Ok(pinned) {
        return Ok(());
    }
    let has = if said.is_empty() { String::from("none") } else { shown(said) };
    Err(link.fault(
        FaultKind::ServerKey,
        format!("`.pin_server_key` names {pinned}; the central service signs its challenges with another key: {has}"),
    ))
}

fn issuer(link: &Link, expected: &Expected, said: &str) -> Result<String, Fault> {
    if said.len() > MAX_ISSUER || said.chars().any(char::is_control) {
        return Err(not_capauth(link));
    }
    match expected.issuer.as_deref() {
        Some(configured) if !said.is_empty() && said != configured => Err(link.fault(
            FaultKind::Issuer,
            format!("`.issuer` is {:?}; the central service says {:?}", shown(configured), shown(said)),
        )),
        Some(configured) => Ok(configured.to_owned()),
        None if said.is_empty() => Ok(link.url().to_owned()),
        None => Ok(said.to_owned()),
    }
}

fn cost_of_asking(can_check: bool, has_credential: bool) -> String {
    let mut words = String::from(
        "The central service is asked about each access token: every signed-in person costs a question a second, and \
         sessions end with the token, after an hour.",
    );
    if can_check && !has_credential {
        words.push_str(
            " To check tokens here instead, call `.credential(…)` with this application's `credential` in the central \
             service's CAPAUTH_SERVICES.",
        );
    }
    words
}
