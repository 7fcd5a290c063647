//! The one place that speaks HTTP to the central service: what is sent, how much is read, how failures are named.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capauth_protocol::{CLIENT_ADDRESS, CLIENT_DEVICE};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::circuit::{Circuit, Pass};
use super::fault::{Fault, FaultKind, Reports, shown};
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::verifier::Caller;

/// The most exchanges at once that belong to logins, which anybody can begin.
const LOGIN_PLACES: usize = 16;
/// The most at once that ask where a login stands, which whoever began one does as often as they like.
const WATCH_PLACES: usize = 4;
/// The most at once about tokens.
const TOKEN_PLACES: usize = 48;
/// The longest body of an answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
const IDLE_CONNECTIONS: usize = 8;
/// The longest `ETag` that is kept, in bytes.
const MAX_ETAG: usize = 128;
/// The longest time to wait that is passed on, in seconds.
const MAX_WAIT: u64 = 24 * 3600;

pub(super) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// What stands in `Authorization`.
#[derive(Clone, Copy)]
pub(super) enum Proof<'a> {
    Nothing,
    /// The application's own credential.
    Credential,
    /// A person's access token.
    Token(&'a str),
}

/// A question.
pub(super) struct Call<'a> {
    method: Method,
    path: &'static str,
    after: Option<u64>,
    /// What follows on the path: never told in the log.
    rest: String,
    body: Vec<u8>,
    proof: Proof<'a>,
    etag: Option<&'a HeaderValue>,
    limit: usize,
    /// Whether it may be sent anew when a connection broke that was already made.
    repeatable: bool,
    lane: Lane,
    caller: Option<&'a Caller>,
}

/// Who waits, and for whose sake: what strangers do in one lane leaves the others alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Somebody who signs in.
    Login,
    /// Somebody who waits for another device to sign.
    Watch,
    /// Somebody who shows a token.
    Token,
    /// Nobody: it passes an open circuit, and takes nobody's place.
    Background,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'static str) -> Self {
        Self {
            method: Method::GET,
            path,
            after: None,
            rest: String::new(),
            body: Vec::new(),
            proof: Proof::Nothing,
            etag: None,
            limit: MAX_ANSWER,
            repeatable: true,
            lane: Lane::Token,
            caller: None,
        }
    }

    /// Sent once, unless no connection could be made at all.
    pub(super) fn post(path: &'static str, body: &impl Serialize) -> Self {
        // Our requests always serialise; should one not, the empty body is refused.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { method: Method::POST, body, repeatable: false, ..Self::get(path) }
    }

    /// What follows on the path.
    pub(super) fn rest(self, rest: String) -> Self {
        Self { rest, ..self }
    }

    /// Bytes of the body.
    pub(super) fn length(&self) -> usize {
        self.body.len()
    }

    /// Sending it twice does no harm.
    pub(super) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    pub(super) fn proof(self, proof: Proof<'a>) -> Self {
        Self { proof, ..self }
    }

    /// A place in the feed, and what we have of it.
    pub(super) fn after(self, after: u64, etag: Option<&'a HeaderValue>, limit: usize) -> Self {
        Self { after: Some(after), etag, limit, ..self }
    }

    /// Nobody waits for it.
    pub(super) fn in_background(self) -> Self {
        Self { lane: Lane::Background, ..self }
    }

    /// Sending it twice would use something up.
    pub(super) fn once(self) -> Self {
        Self { repeatable: false, ..self }
    }

    /// It only asks where a login stands.
    pub(super) fn of_a_watcher(self) -> Self {
        Self { lane: Lane::Watch, ..self }
    }

    /// It belongs to a login, whoever signs in.
    pub(super) fn of_a_login(self) -> Self {
        Self { lane: Lane::Login, ..self }
    }

    /// It belongs to a login, by this person. The service counts people by their address and browser, and believes the
    /// application's credential about it.
    pub(super) fn of_login(self, caller: &'a Caller) -> Self {
        Self { caller: Some(caller), ..self.of_a_login() }
    }
}

/// An answer in JSON, by its own word: 2xx, 4xx, or 304 where that was offered.
pub(super) struct Answer {
    path: &'static str,
    pub(super) status: u16,
    pub(super) etag: Option<HeaderValue>,
    /// Seconds after which the service may be asked again.
    pub(super) retry_after: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why an exchange failed, before it is counted.
struct Failed {
    kind: FaultKind,
    status: Option<u16>,
    words: Cow<'static, str>,
}

fn failed(kind: FaultKind, words: impl Into<Cow<'static, str>>) -> Failed {
    Failed { kind, status: None, words: words.into() }
}

/// The connection to one central service.
pub(super) struct Link {
    client: Client,
    url: String,
    credential: Option<HeaderValue>,
    timeout: Duration,
    logins: Gate,
    watchers: Gate,
    tokens: Gate,
    reports: Reports,
    clock: Arc<dyn Clock>,
}

/// How many pass at once, and whether any.
struct Gate {
    places: Semaphore,
    circuit: Circuit,
}

impl Gate {
    fn new(places: usize) -> Self {
        Self { places: Semaphore::new(places), circuit: Circuit::default() }
    }
}

impl Link {
    /// # Errors
    /// The certificate is none, or TLS cannot be set up.
    pub(super) fn new(
        url: String,
        credential: Option<HeaderValue>,
        timeout: Duration,
        authority: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .connect_timeout(CONNECT.min(timeout))
            .timeout(timeout)
            .user_agent(concat!("capauth/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = authority {
            let wrong = |e| {
                ConfigError::because(
                    ".ca_certificate: this is no certificate in PEM, as `openssl x509` prints it",
                    e,
                )
            };
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(wrong)?;
            if certificates.is_empty() {
                return Err(ConfigError::new(".ca_certificate: there is no certificate in this PEM"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|e| {
            let words = format!("the HTTP client cannot be set up: {}", chain(&e));
            ConfigError::because(words, e)
        })?;
        Ok(Self {
            client,
            url,
            credential,
            timeout,
            logins: Gate::new(LOGIN_PLACES),
            watchers: Gate::new(WATCH_PLACES),
            tokens: Gate::new(TOKEN_PLACES),
            reports: Reports::new(),
            clock,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn has_credential(&self) -> bool {
        self.credential.is_some()
    }

    pub(super) fn is_circuit_open(&self) -> bool {
        self.gates().iter().any(|gate| gate.circuit.is_open())
    }

    fn gates(&self) -> [&Gate; 3] {
        [&self.logins, &self.watchers, &self.tokens]
    }

    /// Whether whoever asks again soon had better not ask now.
    pub(super) fn is_busy_with_watchers(&self) -> bool {
        self.watchers.places.available_permits() == 0
    }

    fn now(&self) -> u64 {
        millis(self.clock.now())
    }

    /// Counts a failure.
    pub(super) fn fault(&self, kind: FaultKind, words: impl Into<Cow<'static, str>>) -> Fault {
        self.reports.fault(kind, None, words, self.now())
    }

    /// Reads an answer's JSON.
    ///
    /// # Errors
    /// It is not of this form.
    pub(super) fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Fault> {
        serde_json::from_slice(&answer.body).map_err(|_| {
            // What the parser says may quote the answer.
            self.fault(
                FaultKind::Malformed,
                format!("{} answers something else than CapAuth does", answer.path),
            )
        })
    }

    /// A status that is no answer to what was asked.
    pub(super) fn unexpected(&self, answer: &Answer) -> Fault {
        let words = format!("{} answers {}", answer.path, answer.status);
        self.reports.fault(FaultKind::Status, Some(answer.status), words, self.now())
    }

    /// Asks.
    ///
    /// # Errors
    /// Whatever keeps an answer in JSON from coming; 4xx is an answer.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, Fault> {
        let gate = match call.lane {
            Lane::Login => Some(&self.logins),
            Lane::Watch => Some(&self.watchers),
            Lane::Token => Some(&self.tokens),
            Lane::Background => None,
        };
        let pass = gate.map_or(Some(Pass::Background), |gate| gate.circuit.admit(self.now()));
        let Some(pass) = pass else {
            return Err(self.fault(
                FaultKind::CircuitOpen,
                "the central service failed several times in a row, and is not asked for a moment",
            ));
        };
        let deadline = Instant::now() + self.timeout;
        let _place = match gate {
            None => None,
            Some(gate) => match timeout_at(deadline, gate.places.acquire()).await {
                Ok(Ok(place)) => Some(place),
                Ok(Err(_)) | Err(_) => {
                    return Err(
                        self.fault(FaultKind::Busy, "too many questions wait for the central service")
                    );
                }
            },
        };
        let late = || Err(failed(FaultKind::Timeout, format!("{} does not answer in time", call.path)));
        let outcome = timeout_at(deadline, self.exchange(call)).await.unwrap_or_else(|_| late());
        self.note(gate, pass, outcome.as_ref().err());
        outcome.map_err(|failed| self.reports.fault(failed.kind, failed.status, failed.words, self.now()))
    }

    /// Tells the circuits how it went. An answer that we cannot use is an answer: what strangers send may provoke it, and
    /// must not close the way to everybody.
    fn note(&self, gate: Option<&Gate>, pass: Pass, failed: Option<&Failed>) {
        let is_away = |failed: &Failed| matches!(failed.kind, FaultKind::Connect | FaultKind::Timeout);
        match (gate, failed) {
            (Some(gate), Some(failed)) if is_away(failed) => gate.circuit.failed(pass, self.now()),
            (Some(gate), _) => gate.circuit.succeeded(),
            (None, None) => self.gates().iter().for_each(|gate| gate.circuit.succeeded()),
            (None, Some(failed)) if is_away(failed) => {
                self.gates().iter().for_each(|gate| gate.circuit.failed(pass, self.now()));
            }
            (None, Some(_)) => {}
        }
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Answer, Failed> {
        let mut again = true;
        loop {
            let error = match self.request(call)?.send().await {
                Ok(response) => return read(response, call).await,
                Err(error) => error,
            };
            let timed_out = error.is_timeout();
            if again && !timed_out && (call.repeatable || error.is_connect()) {
                again = false;
                continue;
            }
            let kind = if timed_out { FaultKind::Timeout } else { FaultKind::Connect };
            return Err(failed(kind, format!("{}: {}", call.path, chain(&error.without_url()))));
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<RequestBuilder, Failed> {
        let after = call.after.map(|after| format!("?after={after}")).unwrap_or_default();
        let url = format!("{}{}{}{after}", self.url, call.path, call.rest);
        let mut request =
            self.client.request(call.method.clone(), url).header(ACCEPT, HeaderValue::from_static(JSON));
        if call.method == Method::POST {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static(JSON)).body(call.body.clone());
        }
        if let Some(etag) = call.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let (Lane::Login, Proof::Nothing, Some(credential)) = (call.lane, call.proof, &self.credential) {
            if let Some(address) = call.caller.and_then(|caller| caller.address) {
                request = request.header(CLIENT_ADDRESS, address.to_string());
            }
            if let Some(device) = call.caller.and_then(|caller| caller.device) {
                request = request.header(CLIENT_DEVICE, device.to_hex());
            }
            return Ok(request.header(AUTHORIZATION, credential.clone()));
        }
        let unfit = || failed(FaultKind::Malformed, "what was to be sent does not fit into a header");
        let proof = match call.proof {
            Proof::Nothing => return Ok(request),
            Proof::Credential => self.credential.clone().ok_or_else(unfit)?,
            Proof::Token(token) => bearer(token).ok_or_else(unfit)?,
        };
        Ok(request.header(AUTHORIZATION, proof))
    }
}

const JSON: &str = "application/json";

/// A header's value that does not show in logs. `None` when the text does not fit into one.
pub(super) fn bearer(text: &str) -> Option<HeaderValue> {
    let graphic = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let mut value = HeaderValue::try_from(format!("Bearer {text}")).ok().filter(|_| graphic)?;
    value.set_sensitive(true);
    Some(value)
}

/// An error and its causes in a line. They name hosts and files, never what was sent.
fn chain(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words.chars().take(400).flat_map(char::escape_debug).collect()
}

async fn read(mut response: Response, call: &Call<'_>) -> Result<Answer, Failed> {
    let (path, status) = (call.path, response.status().as_u16());
    let etag = response.headers().get(ETAG).filter(|etag| etag.len() <= MAX_ETAG).cloned();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
    match status {
        304 if call.etag.is_some() => {
            return Ok(Answer { path, status, etag, retry_after, body: Vec::new() });
        }
        300..400 => return Err(redirect(&response, path)),
        200..300 | 400..500 => {}
        _ => {
            let words = format!("{path} answers {status}");
            return Err(Failed { kind: FaultKind::Status, status: Some(status), words: words.into() });
        }
    }
    if !is_json(&response) {
        let words =
            format!("{path} answers {status} with something else than JSON: is this a CapAuth service?");
        return Err(Failed { kind: FaultKind::ContentType, status: Some(status), words: words.into() });
    }
    let too_large = || failed(FaultKind::TooLarge, format!("{path} answers more than {} bytes", call.limit));
    if response.content_length().is_some_and(|length| length > call.limit as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(|error| {
            let kind = if error.is_timeout() { FaultKind::Timeout } else { FaultKind::Connect };
            failed(kind, format!("{path}: {}", chain(&error.without_url())))
        })?;
        let Some(chunk) = chunk else { break };
        if chunk.len() > call.limit.saturating_sub(body.len()) {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { path, status, etag, retry_after, body })
}

/// A time to wait, within a day. The other form, a date, is not used between services of ours.
fn seconds(value: &HeaderValue) -> Option<u64> {
    let seconds: u64 = value.to_str().ok().filter(|text| text.len() <= 8)?.parse().ok()?;
    Some(seconds.clamp(1, MAX_WAIT))
}

fn is_json(response: &Response) -> bool {
    let mut types = response.headers().get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(JSON)
}

/// Followed nowhere: a credential or a person's token would go along.
fn redirect(response: &Response, path: &str) -> Failed {
    let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok()).unwrap_or_default();
    let target = shown(target.split(['?', '#']).next().unwrap_or_default());
    let words = format!("{path} redirects to {target:?}, which is not followed; give the URL it leads to");
    Failed { kind: FaultKind::Redirect, status: Some(response.status().as_u16()), words: words.into() }
}
