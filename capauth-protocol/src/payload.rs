//! The texts that get signed: lines joined by `\n`, no newline at the end, nothing escaped.
//!
//! Because nothing is escaped, a newline inside a field would become a field of its own, and a signature over
//! one payload would pass for another. The requests of [`crate::request`] refuse control characters; whoever
//! fills a payload from elsewhere asks [`NoncePayload::has_control_characters`] first.

use crate::request::has_control_characters;

/// What a person signs to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoncePayload<'a> {
    /// The nonce, as the challenge spelled it.
    pub nonce: &'a str,
    /// The client's own nonce, in base64.
    pub client_nonce: &'a str,
    /// When the challenge was made, as the challenge spelled it.
    pub timestamp: &'a str,
    /// The service that the login is for.
    pub service: &'a str,
    /// When the challenge ends, as the challenge spelled it.
    pub expires: &'a str,
    /// The page's origin, which makes this version 2 of the payload.
    pub origin: Option<&'a str>,
}

impl NoncePayload<'_> {
    /// 2 when the payload names an origin, else 1.
    pub fn version(&self) -> u8 {
        if self.origin.is_some() { 2 } else { 1 }
    }

    /// The text to sign.
    pub fn to_text(&self) -> String {
        let Self { nonce, client_nonce, timestamp, service, expires, origin } = self;
        let version = self.version();
        let origin = origin.map(|origin| format!("origin={origin}\n")).unwrap_or_default();
        format!(
            "CAPAUTH_NONCE_V{version}\nnonce={nonce}\nclient_nonce={client_nonce}\n{origin}\
             timestamp={timestamp}\nservice={service}\nexpires={expires}"
        )
    }

    /// Whether a field could pass for several: such a payload is neither signed nor verified.
    pub fn has_control_characters(&self) -> bool {
        let Self { nonce, client_nonce, timestamp, service, expires, origin } = self;
        [nonce, client_nonce, timestamp, service, expires, &origin.unwrap_or_default()]
            .into_iter()
            .any(|field| has_control_characters(field))
    }
}

/// What a person signs to assert claims about themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimsPayload<'a> {
    /// The fingerprint, spelled as in the request that carries the signature.
    pub fingerprint: &'a str,
    /// The nonce, spelled as in that request.
    pub nonce: &'a str,
    /// The claims, as [`Json::to_canonical`](crate::Json::to_canonical) writes them.
    pub claims_json: &'a str,
}

impl ClaimsPayload<'_> {
    /// The text to sign.
    pub fn to_text(&self) -> String {
        let Self { fingerprint, nonce, claims_json } = self;
        format!("CAPAUTH_CLAIMS_V1\nfingerprint={fingerprint}\nnonce={nonce}\nclaims={claims_json}")
    }

    /// Whether a field could pass for several: such a payload is neither signed nor verified.
    pub fn has_control_characters(&self) -> bool {
        // In canonical JSON C0 is escaped, so one here would be forged; DEL and C1 stand as they are.
        [self.fingerprint, self.nonce].into_iter().any(has_control_characters)
            || self.claims_json.bytes().any(|byte| byte < b' ')
    }
}

/// What the old key and the new one sign, so that the second takes the first one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPayload<'a> {
    /// The nonce of a challenge for the old key, spelled as in the request.
    pub nonce: &'a str,
    /// The service that the challenge names.
    pub service: &'a str,
    /// The old key's fingerprint, spelled as in the request.
    pub old_fingerprint: &'a str,
    /// The new key's, likewise.
    pub new_fingerprint: &'a str,
    /// SHA-256 of `new_public_key` as sent, in lower-case hexadecimal.
    pub new_public_key_sha256: &'a str,
    /// When it is signed, spelled as in the request.
    pub timestamp: &'a str,
}

impl RotationPayload<'_> {
    /// The text to sign.
    pub fn to_text(&self) -> String {
        let Self { nonce, service, old_fingerprint, new_fingerprint, new_public_key_sha256, timestamp } =
            self;
        format!(
            "CAPAUTH_ROTATION_V1\nnonce={nonce}\nservice={service}\nold_fingerprint={old_fingerprint}\n\
             new_fingerprint={new_fingerprint}\nnew_public_key_sha256={new_public_key_sha256}\ntimestamp={timestamp}"
        )
    }
}

/// What the old primary key signs so that a rotation which waits does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationCancelPayload<'a> {
    /// The nonce of a challenge for the old key, spelled as in the request.
    pub nonce: &'a str,
    /// The service that the challenge names.
    pub service: &'a str,
    /// The old key's fingerprint, spelled as in the request.
    pub old_fingerprint: &'a str,
    /// When it is signed, spelled as in the request.
    pub timestamp: &'a str,
}

impl RotationCancelPayload<'_> {
    /// The text to sign.
    pub fn to_text(&self) -> String {
        let Self { nonce, service, old_fingerprint, timestamp } = self;
        format!(
            "CAPAUTH_ROTATION_CANCEL_V1\nnonce={nonce}\nservice={service}\nold_fingerprint={old_fingerprint}\n\
             timestamp={timestamp}"
        )
    }
}

/// What two keys sign to become one identity's, or the primary one alone so that they are no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPayload<'a> {
    /// The nonce of a challenge for the primary key, spelled as in the request.
    pub nonce: &'a str,
    /// The service that the challenge names.
    pub service: &'a str,
    /// The primary key's fingerprint, spelled as in the request.
    pub primary: &'a str,
    /// The other key's, likewise.
    pub secondary: &'a str,
    /// When it is signed, spelled as in the request.
    pub timestamp: &'a str,
}

impl LinkPayload<'_> {
    /// The text to sign.
    pub fn to_text(&self) -> String {
        let Self { nonce, service, primary, secondary, timestamp } = self;
        format!(
            "CAPAUTH_LINK_V1\nnonce={nonce}\nservice={service}\nprimary={primary}\nsecondary={secondary}\n\
             timestamp={timestamp}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: NoncePayload<'_> = NoncePayload {
        nonce: "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90",
        client_nonce: "AAECAw==",
        timestamp: "2026-01-01T00:00:00Z",
        service: "app.example.com",
        expires: "2026-01-01T00:01:00Z",
        origin: None,
    };

    #[test]
    fn login_payload_of_version_1() {
        assert_eq!(V1.version(), 1);
        assert_eq!(
            V1.to_text(),
            "CAPAUTH_NONCE_V1\nnonce=7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90\nclient_nonce=AAECAw==\n\
             timestamp=2026-01-01T00:00:00Z\nservice=app.example.com\nexpires=2026-01-01T00:01:00Z"
        );
    }

    #[test]
    fn login_payload_of_version_2_has_the_origin_after_the_client_nonce() {
        let v2 = NoncePayload { origin: Some("https://app.example.com"), ..V1 };
        assert_eq!(v2.version(), 2);
        assert_eq!(
            v2.to_text(),
            "CAPAUTH_NONCE_V2\nnonce=7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90\nclient_nonce=AAECAw==\n\
             origin=https://app.example.com\n\
             timestamp=2026-01-01T00:00:00Z\nservice=app.example.com\nexpires=2026-01-01T00:01:00Z"
        );
    }

    #[test]
    fn claims_payload() {
        let payload = ClaimsPayload { fingerprint: "ab CD", nonce: "n", claims_json: r#"{"name":"Zoë"}"# };
        assert_eq!(
            payload.to_text(),
            "CAPAUTH_CLAIMS_V1\nfingerprint=ab CD\nnonce=n\nclaims={\"name\":\"Zoë\"}"
        );
        assert!(!payload.has_control_characters());
        assert!(ClaimsPayload { nonce: "n\nclaims={}", ..payload }.has_control_characters());
        assert!(ClaimsPayload { claims_json: "{}\n", ..payload }.has_control_characters());
    }

    #[test]
    fn payloads_of_rotation_and_link() {
        let rotation = RotationPayload {
            nonce: "n",
            service: "s",
            old_fingerprint: "AA",
            new_fingerprint: "BB",
            new_public_key_sha256: "cc",
            timestamp: "t",
        };
        assert_eq!(
            rotation.to_text(),
            "CAPAUTH_ROTATION_V1\nnonce=n\nservice=s\nold_fingerprint=AA\nnew_fingerprint=BB\n\
             new_public_key_sha256=cc\ntimestamp=t"
        );
        let cancel =
            RotationCancelPayload { nonce: "n", service: "s", old_fingerprint: "AA", timestamp: "t" };
        assert_eq!(
            cancel.to_text(),
            "CAPAUTH_ROTATION_CANCEL_V1\nnonce=n\nservice=s\nold_fingerprint=AA\ntimestamp=t"
        );
        let link = LinkPayload { nonce: "n", service: "s", primary: "AA", secondary: "BB", timestamp: "t" };
        assert_eq!(
            link.to_text(),
            "CAPAUTH_LINK_V1\nnonce=n\nservice=s\nprimary=AA\nsecondary=BB\ntimestamp=t"
        );
    }

    /// Two different payloads with one text: what the check is there for.
    #[test]
    fn field_injection_by_newline_into_every_field() {
        let honest = NoncePayload { client_nonce: "A", origin: Some("https://evil.example"), ..V1 };
        let forged = "A\norigin=https://evil.example";
        let injected = NoncePayload { client_nonce: forged, ..V1 };
        let body = |text: String| text.split_once('\n').map(|(_, rest)| rest.to_owned());
        assert_eq!(body(injected.to_text()), body(honest.to_text()));

        assert!(!V1.has_control_characters());
        assert!(!honest.has_control_characters());
        for payload in [
            injected,
            NoncePayload { nonce: "n\nx=y", ..V1 },
            NoncePayload { timestamp: "t\rx=y", ..V1 },
            NoncePayload { service: "s\nexpires=never", ..V1 },
            NoncePayload { expires: "e\u{85}", ..V1 },
            NoncePayload { origin: Some("o\n"), ..V1 },
        ] {
            assert!(payload.has_control_characters(), "{payload:?}");
        }
    }
}
