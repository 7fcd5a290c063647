//! What is counted, for whoever installs a recorder of the [`metrics`] facade.
//!
//! Each handle is looked up once, when a verifier is built: a recorder that is installed later hears nothing of it.
//! Without a recorder a handle is empty, and counting is a comparison. Every label has a fixed set of values, and none
//! of them comes from a request.

use std::fmt;

use metrics::{Counter, counter, describe_counter};

/// Counts what a verifier decides.
#[derive(Clone)]
pub(crate) struct Counts {
    /// Challenges that were made.
    pub(crate) challenges: Counter,
    logins: Counter,
    enrolments: Counter,
    /// Logins of known keys that another device signed.
    qr: Counter,
    /// Access tokens that were made for a refresh token.
    pub(crate) refreshes: Counter,
    /// Signing keys that were read a moment ago.
    pub(crate) signing_keys: Hits,
    /// Tokens that were verified before.
    pub(crate) seen_tokens: Hits,
    /// Certificates of enrolled keys whose text is the one merged last.
    pub(crate) certificates: Hits,
}

impl Counts {
    pub(crate) fn new() -> Self {
        describe_counter!("capauth_challenges_total", "Challenges that were made");
        describe_counter!("capauth_logins_total", "Logins that succeeded, by how they were made");
        describe_counter!(
            "capauth_cache_requests_total",
            "What caches were asked, and whether they had the answer"
        );
        let logins = |how| counter!("capauth_logins_total", "how" => how);
        Self {
            challenges: counter!("capauth_challenges_total"),
            logins: logins("login"),
            enrolments: logins("enrolment"),
            qr: logins("qr"),
            refreshes: logins("refresh"),
            signing_keys: Hits::of("signing_keys"),
            seen_tokens: Hits::of("seen_tokens"),
            certificates: Hits::of("certificates"),
        }
    }

    /// A login that another device signed.
    pub(crate) fn login_by_qr(&self, is_new: bool) {
        if is_new { &self.enrolments } else { &self.qr }.increment(1);
    }

    /// A login that succeeded; `is_new`: the key was enrolled by it.
    pub(crate) fn login(&self, is_new: bool) {
        if is_new { &self.enrolments } else { &self.logins }.increment(1);
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").finish_non_exhaustive()
    }
}

/// How often a cache had what it was asked for, and how often not.
#[derive(Clone)]
pub(crate) struct Hits {
    hit: Counter,
    miss: Counter,
}

impl Hits {
    fn of(cache: &'static str) -> Self {
        let counted = |result| counter!("capauth_cache_requests_total", "cache" => cache, "result" => result);
        Self { hit: counted("hit"), miss: counted("miss") }
    }

    pub(crate) fn note(&self, hit: bool) {
        if hit { &self.hit } else { &self.miss }.increment(1);
    }
}
