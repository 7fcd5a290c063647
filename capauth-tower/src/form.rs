//! What keeps the login form's answers apart from what other sites make browsers send: a cookie from before the login,
//! and tokens that are good beside it alone.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_verifier::{AuthErrorKind, Clock, Sealer, Timestamp};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cookie::{self, Found};
use crate::refuse::Failure;

/// Its prefix makes browsers insist on TLS, this very host and the whole of it: no neighbour plants one.
const SECURE_NAME: &str = "__Host-capauth-login";
/// Only read in the loopback mode.
const INSECURE_NAME: &str = "capauth-login-insecure";

/// For how many seconds a form may be filled in.
const LIFETIME: u64 = 2 * 3600;

/// The longest of what is sealed for the form, in base64.
const LONGEST: usize = 16 * 1024;

/// What is sealed, each of which is nothing in another's place.
const COOKIE: &str = "cookie";
const TOKEN: &str = "token";
const STATE: &str = "state";

/// Seals what the login form carries, and opens it.
///
/// The cookie is `SameSite=Lax`: a strict one would not be sent when a link of another site leads here, and would be
/// replaced under the form in another tab. Neither is sent with a form of another site.
pub(crate) struct Forms {
    sealer: Sealer,
    issuer: String,
    service: String,
    epoch: u64,
    secure: bool,
    clock: Arc<dyn Clock>,
}

/// A browser that has been shown the form, by what its cookie holds.
pub(crate) struct Visitor {
    id: String,
    until: Timestamp,
}

impl Forms {
    /// `epoch` is the installation's: what another one sealed counts as nothing.
    pub(crate) fn new(
        sealer: Sealer,
        issuer: &str,
        service: &str,
        epoch: u64,
        secure: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sealer, issuer: issuer.to_owned(), service: service.to_owned(), epoch, secure, clock }
    }

    const fn name(&self) -> &'static str {
        if self.secure { SECURE_NAME } else { INSECURE_NAME }
    }

    /// Which browser asks, if the form was shown to it not long ago.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<Visitor> {
        let Found::One(value) = cookie::find(headers, self.name()) else { return None };
        let (id, until) = self.open(COOKIE, "", value)?;
        Some(Visitor { id: String::from_utf8(id).ok()?, until })
    }

    /// A browser that is not known yet.
    pub(crate) fn stranger(&self) -> Result<Visitor, Failure> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| AuthErrorKind::Internal)?;
        Ok(Visitor { id: hex::encode(id), until: self.clock.timestamp() })
    }

    /// The cookie for a browser that is shown the form, unless it has one that is good for a while yet: forms in other
    /// tabs stay good, and so they do under a new one.
    pub(crate) fn cookie(&self, visitor: &Visitor) -> Result<Option<HeaderValue>, Failure> {
        if visitor.until.since(self.clock.timestamp()) > LIFETIME / 2 {
            return Ok(None);
        }
        let value = self.seal(COOKIE, "", visitor.id.as_bytes())?;
        Ok(cookie::set(self.name(), &value, self.secure, LIFETIME))
    }

    /// The cookie that takes it away.
    pub(crate) fn clear(&self) -> Option<HeaderValue> {
        cookie::set(self.name(), "", self.secure, 0)
    }

    /// What a form carries to show that this browser was given it.
    pub(crate) fn token(&self, visitor: &Visitor) -> Result<String, Failure> {
        self.seal(TOKEN, &visitor.id, b"")
    }

    /// Whether this browser was given a form with this token, not long ago.
    pub(crate) fn is_token_of(&self, visitor: &Visitor, token: &str) -> bool {
        self.open(TOKEN, &visitor.id, token).is_some()
    }

    /// What the form keeps between its pages, for this browser alone.
    pub(crate) fn keep(&self, visitor: &Visitor, state: &impl Serialize) -> Result<String, Failure> {
        let plain = serde_json::to_vec(state).map_err(|_| AuthErrorKind::Internal)?;
        self.seal(STATE, &visitor.id, &plain)
    }

    /// What was kept, if it was for this browser.
    pub(crate) fn kept<T: DeserializeOwned>(&self, visitor: &Visitor, state: &str) -> Option<T> {
        serde_json::from_slice(&self.open(STATE, &visitor.id, state)?.0).ok()
    }

    fn context<'a>(&'a self, kind: &'a str, id: &'a str) -> [&'a str; 4] {
        [&self.issuer, &self.service, kind, id]
    }

    fn seal(&self, kind: &str, id: &str, plain: &[u8]) -> Result<String, Failure> {
        let until = self.clock.timestamp().plus(LIFETIME).as_unix();
        let plain = [&self.epoch.to_be_bytes()[..], &until.to_be_bytes(), plain].concat();
        let sealed =
            self.sealer.seal(&self.context(kind, id), &plain).map_err(|_| AuthErrorKind::Internal)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    fn open(&self, kind: &str, id: &str, text: &str) -> Option<(Vec<u8>, Timestamp)> {
        let sealed = URL_SAFE_NO_PAD.decode(Some(text).filter(|text| text.len() <= LONGEST)?).ok()?;
        let plain = self.sealer.open(&self.context(kind, id), &sealed).ok()?;
        let (epoch, rest) = plain.split_first_chunk::<8>()?;
        let (until, plain) = rest.split_first_chunk::<8>()?;
        let until = Timestamp::from_unix(u64::from_be_bytes(*until));
        let counts = u64::from_be_bytes(*epoch) == self.epoch && self.clock.timestamp() < until;
        counts.then(|| (plain.to_vec(), until))
    }
}

impl fmt::Debug for Forms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forms").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use capauth_verifier::{ManualClock, MasterKey};
    use http::header;

    use super::*;

    struct Place {
        clock: Arc<ManualClock>,
        key: MasterKey,
    }

    impl Place {
        fn new() -> Self {
            Self { clock: Arc::new(ManualClock::at(SystemTime::now())), key: MasterKey::generate().unwrap() }
        }

        fn forms(&self, label: &'static str, service: &str, epoch: u64, secure: bool) -> Forms {
            let sealer = self.key.sealer(label);
            Forms::new(sealer, "https://a.example", service, epoch, secure, self.clock.clone())
        }

        fn own(&self) -> Forms {
            self.forms("login form", "a.example", 1, true)
        }
    }

    /// The cookie as a browser sends it back.
    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        headers.insert(header::COOKIE, pair.parse().unwrap());
        headers
    }

    /// A browser that was shown the form: its cookie.
    fn shown(forms: &Forms) -> HeaderMap {
        let visitor = forms.stranger().unwrap_or_else(|_| panic!());
        sent(&cookie_of(forms, &visitor).unwrap())
    }

    fn cookie_of(forms: &Forms, visitor: &Visitor) -> Option<HeaderValue> {
        forms.cookie(visitor).unwrap_or_else(|_| panic!())
    }

    fn token(forms: &Forms, visitor: &Visitor) -> String {
        forms.token(visitor).unwrap_or_else(|_| panic!())
    }

    #[test]
    fn forms_in_several_tabs_are_of_one_browser() {
        let place = Place::new();
        let forms = place.own();
        let headers = shown(&forms);
        let first = forms.known(&headers).unwrap();
        let old = token(&forms, &first);
        assert!(cookie_of(&forms, &first).is_none(), "it is not replaced while it is good");
        place.clock.advance(Duration::from_secs(LIFETIME / 2 + 1));
        let second = forms.known(&headers).unwrap();
        let renewed = sent(&cookie_of(&forms, &second).unwrap());
        let renewed = forms.known(&renewed).unwrap();
        assert!(forms.is_token_of(&renewed, &old), "and what replaces it is the same browser's");
        let new = token(&forms, &renewed);
        place.clock.advance(Duration::from_secs(LIFETIME / 2));
        assert!(!forms.is_token_of(&renewed, &old), "each form has its own time");
        assert!(forms.is_token_of(&renewed, &new));
        assert!(forms.known(&headers).is_none(), "so has a cookie");
    }

    #[test]
    fn attack_cookie_of_the_form_that_was_made_elsewhere_or_changed() {
        let place = Place::new();
        let forms = place.own();
        assert!(forms.known(&HeaderMap::new()).is_none());
        for other in [
            place.forms("session", "a.example", 1, true),
            place.forms("login form", "b.example", 1, true),
            place.forms("login form", "a.example", 2, true),
            place.forms("login form", "a.example", 1, false),
            Place::new().own(),
        ] {
            assert!(forms.known(&shown(&other)).is_none());
        }
        let good = shown(&forms);
        assert!(forms.known(&good).is_some());
        let text = good[header::COOKIE].to_str().unwrap();
        for bad in
            [text.replace("login=", "login=A"), format!("{text}; {text}"), text.chars().take(60).collect()]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, bad.parse().unwrap());
            assert!(forms.known(&headers).is_none(), "{bad}");
        }
    }

    #[test]
    fn attack_token_of_another_browser_or_in_anothers_place() {
        let place = Place::new();
        let forms = place.own();
        let [alice, mallory] = [(); 2].map(|()| forms.known(&shown(&forms)).unwrap());
        let token = token(&forms, &mallory);
        assert!(forms.is_token_of(&mallory, &token) && !forms.is_token_of(&alice, &token));
        let state = forms.keep(&mallory, &"x").unwrap_or_else(|_| panic!());
        assert_eq!(forms.kept::<String>(&mallory, &state).as_deref(), Some("x"));
        assert!(forms.kept::<String>(&alice, &state).is_none());
        assert!(!forms.is_token_of(&mallory, &state), "a state is no token");
        assert!(forms.kept::<String>(&mallory, &token).is_none());
        for bad in ["", "A", "ü", &"A".repeat(LONGEST + 1)] {
            assert!(!forms.is_token_of(&mallory, bad) && forms.kept::<String>(&mallory, bad).is_none());
        }
        place.clock.advance(Duration::from_secs(LIFETIME));
        assert!(!forms.is_token_of(&mallory, &token) && forms.kept::<String>(&mallory, &state).is_none());
    }
}
