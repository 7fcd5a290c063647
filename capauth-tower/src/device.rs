//! Browsers that have signed in: a sealed cookie, by which the limits tell them from others of the same network.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_protocol::Fingerprint;
use capauth_verifier::{AddressPrefix, Caller, Clock, DeviceId, Meter, Sealer, Timestamp};
use http::{HeaderMap, HeaderValue};

use crate::cookie::{self, Found};

/// Its prefix makes browsers insist on TLS, this very host and the whole of it.
const SECURE_NAME: &str = "__Host-capauth-device";
/// Only read in the loopback mode.
const INSECURE_NAME: &str = "capauth-device-insecure";

/// For how many seconds after its last login a browser is known: half a year.
const LIFETIME: u64 = 180 * 24 * 3600;

/// New browsers an hour from one address. Each has room of its own in the limits, so whoever signs in over and over must
/// not get any number of them.
const NEW_AN_HOUR: u32 = 60;
/// New browsers a day of one identity. They can be gathered in many networks, and used from anywhere.
const NEW_A_DAY: u32 = 20;
/// How many addresses and identities are counted so.
const COUNTED: usize = 1 << 14;

/// Seals the names of browsers into cookies and opens them. Such a cookie opens no door: it says which of the limits'
/// buckets counts, and nothing about who it is.
pub(crate) struct Devices {
    sealer: Sealer,
    issuer: String,
    service: String,
    epoch: u64,
    secure: bool,
    clock: Arc<dyn Clock>,
    new: Meter,
    new_of_identities: Meter,
}

impl Devices {
    /// `epoch` is the installation's: a cookie of another one counts as none.
    pub(crate) fn new(
        sealer: Sealer,
        issuer: &str,
        service: &str,
        epoch: u64,
        secure: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let new = Meter::new(NEW_AN_HOUR, Duration::from_secs(3600), COUNTED, Arc::clone(&clock));
        let day = Duration::from_secs(24 * 3600);
        let new_of_identities = Meter::new(NEW_A_DAY, day, COUNTED, Arc::clone(&clock));
        let (issuer, service) = (issuer.to_owned(), service.to_owned());
        Self { sealer, issuer, service, epoch, secure, clock, new, new_of_identities }
    }

    const fn name(&self) -> &'static str {
        if self.secure { SECURE_NAME } else { INSECURE_NAME }
    }

    /// Which browser asks, if it has signed in here before.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Option<DeviceId> {
        let Found::One(value) = cookie::find(headers, self.name()) else { return None };
        let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
        let plain = self.sealer.open(&[&self.issuer, &self.service], &sealed).ok()?;
        let (id, rest) = plain.split_first_chunk::<16>()?;
        let (epoch, expires) = rest.split_first_chunk::<8>()?;
        let expires = Timestamp::from_unix(u64::from_be_bytes(expires.try_into().ok()?));
        let counts = u64::from_be_bytes(*epoch) == self.epoch && self.clock.timestamp() < expires;
        counts.then(|| DeviceId::from_bytes(*id))
    }

    /// The cookie for a browser in which this identity has just signed in: its old name for another half a year, or a new one. None where
    /// there were too many new ones of late; the login is as good without.
    pub(crate) fn remember(&self, caller: &Caller, sub: &Fingerprint) -> Option<HeaderValue> {
        let id = match caller.device {
            Some(id) => id,
            None => {
                self.new_of_identities.take(sub).ok()?;
                if caller.address.is_some() {
                    self.new.take(&AddressPrefix::of(caller.address)).ok()?;
                }
                DeviceId::generate().ok()?
            }
        };
        let expires = self.clock.timestamp().plus(LIFETIME).as_unix();
        let plain = [&id.as_bytes()[..], &self.epoch.to_be_bytes(), &expires.to_be_bytes()].concat();
        let sealed = self.sealer.seal(&[&self.issuer, &self.service], &plain).ok()?;
        cookie::set(self.name(), &URL_SAFE_NO_PAD.encode(sealed), self.secure, LIFETIME)
    }
}

impl fmt::Debug for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devices").field("service", &self.service).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

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

        fn devices(&self, label: &'static str, service: &str, epoch: u64, secure: bool) -> Devices {
            let sealer = self.key.sealer(label);
            Devices::new(sealer, "https://a.example", service, epoch, secure, self.clock.clone())
        }

        fn own(&self) -> Devices {
            self.devices("device", "a.example", 1, true)
        }
    }

    fn caller(device: Option<DeviceId>) -> Caller {
        Caller { address: Some("192.0.2.1".parse().unwrap()), device, ..Caller::default() }
    }

    fn person(number: u64) -> Fingerprint {
        format!("{number:040X}").parse().unwrap()
    }

    /// The cookie as a browser sends it back.
    fn sent(cookie: &HeaderValue) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        headers.insert(header::COOKIE, pair.parse().unwrap());
        headers
    }

    #[test]
    fn a_browser_is_known_for_half_a_year_after_its_last_login() {
        let place = Place::new();
        let devices = place.own();
        let cookie = devices.remember(&caller(None), &person(1)).unwrap();
        let attributes = cookie.to_str().unwrap().split_once(';').unwrap().1;
        assert_eq!(attributes, " Path=/; Max-Age=15552000; HttpOnly; Secure; SameSite=Lax");
        let id = devices.read(&sent(&cookie)).unwrap();
        place.clock.advance(Duration::from_secs(LIFETIME - 1));
        let again = devices.remember(&caller(devices.read(&sent(&cookie))), &person(1)).unwrap();
        place.clock.advance(Duration::from_secs(1));
        assert!(devices.read(&sent(&cookie)).is_none(), "past its time");
        assert_eq!(devices.read(&sent(&again)), Some(id), "the same browser");
    }

    #[test]
    fn attack_device_cookie_that_was_made_elsewhere_or_changed() {
        let place = Place::new();
        let devices = place.own();
        assert!(devices.read(&HeaderMap::new()).is_none());
        for other in [
            place.devices("session", "a.example", 1, true),
            place.devices("device", "b.example", 1, true),
            place.devices("device", "a.example", 2, true),
            place.devices("device", "a.example", 1, false),
            Place::new().own(),
        ] {
            assert!(devices.read(&sent(&other.remember(&caller(None), &person(1)).unwrap())).is_none());
        }
        let good = sent(&devices.remember(&caller(None), &person(1)).unwrap());
        let text = good[header::COOKIE].to_str().unwrap();
        for bad in
            [text.replace("device=", "device=A"), format!("{text}; {text}"), text.chars().take(60).collect()]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, bad.parse().unwrap());
            assert!(devices.read(&headers).is_none(), "{bad}");
        }
    }

    #[test]
    fn attack_any_number_of_device_cookies_by_signing_in_over_and_over() {
        let devices = Place::new().own();
        let given =
            (0..200).filter(|number| devices.remember(&caller(None), &person(*number)).is_some()).count();
        assert_eq!(given, 60);
        let known = caller(Some(DeviceId::generate().unwrap()));
        assert!(devices.remember(&known, &person(1)).is_some());
    }

    #[test]
    fn attack_device_cookies_gathered_by_one_identity_in_many_networks() {
        let place = Place::new();
        let devices = place.own();
        let at = |number| Caller { address: Some([192, 0, 2, number].into()), ..Caller::default() };
        let given = |sub: &Fingerprint| {
            (0..200).filter(|number| devices.remember(&at(*number), sub).is_some()).count()
        };
        assert_eq!(given(&person(1)), 20);
        // Others, and browsers it has, are not concerned; and the next day it may have more.
        assert!(devices.remember(&at(1), &person(2)).is_some());
        let known = caller(Some(DeviceId::generate().unwrap()));
        assert!(devices.remember(&known, &person(1)).is_some());
        place.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(given(&person(1)), 20);
    }
}
