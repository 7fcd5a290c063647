//! Doors to private parsers, for the fuzz targets of this repository. No part of the interface: anything here may change
//! at any time.

use std::net::IpAddr;

use capauth_verifier::{Sealer, Session, Timestamp};
use http::{HeaderMap, HeaderValue, Method, Request};

use crate::context::Peer;
use crate::cookie::{self, Found};
use crate::origin::Origins;
use crate::proxies::{IpRange, TrustedProxies};
use crate::session::{Presented, Sessions};

/// The parameters of a query or a form, decoded. `None` is a refusal.
pub fn query_pairs(query: &[u8]) -> Option<Vec<(String, String)>> {
    crate::endpoints::query_pairs(query)
}

/// Writes a text so that it is one value in a query.
pub fn percent_encode(text: &str) -> String {
    crate::redirect::percent_encode(text)
}

/// Decodes percent codes, once.
pub fn percent_decode(text: &[u8]) -> Vec<u8> {
    crate::redirect::percent_decode(text)
}

/// The value of the one cookie of this name that could be ours; the inner `None` is for what is not believed.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    match cookie::find(headers, name) {
        Found::Nothing => None,
        Found::Unbelievable => Some(None),
        Found::One(value) => Some(Some(value)),
    }
}

/// The bearer's token. The outer `None` is a refusal.
pub fn bearer(headers: &HeaderMap) -> Option<Option<&str>> {
    crate::credentials::bearer(headers).ok()
}

/// The client's address behind these proxies.
pub fn client(trusted: Vec<IpRange>, peer: IpAddr, headers: HeaderMap) -> Option<IpAddr> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers = headers;
    parts.extensions.insert(Peer(peer));
    TrustedProxies::new(trusted, false).client(&parts)
}

/// Whether a request is let pass by the rule against those that another site made a browser send.
pub fn passes_origin_rule(
    own: &[String],
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    has_cookie: bool,
) -> bool {
    Origins::new(own.iter()).check(method, path, headers, || has_cookie).is_ok()
}

/// Sessions in sealed cookies.
#[derive(Debug)]
pub struct Cookies(Sessions);

impl Cookies {
    /// Those of one service.
    pub fn new(sealer: Sealer, issuer: &str, service: &str) -> Self {
        Self(Sessions::new(sealer, issuer, service, true))
    }

    /// The session that a request's cookie holds.
    pub fn read(&self, headers: &HeaderMap) -> Option<Session> {
        match self.0.read(headers) {
            Presented::Session(session) => Some(*session),
            Presented::Nothing | Presented::Stale => None,
        }
    }

    /// The `Set-Cookie` of a login.
    pub fn begin(&self, session: &Session, now: Timestamp) -> Option<HeaderValue> {
        self.0.begin(session, now).ok()
    }
}
