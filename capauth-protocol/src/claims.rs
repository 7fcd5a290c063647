//! What applications read about a person.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::{Fingerprint, Json};

/// The start of every name in [`OidcClaims::extra`].
const EXTRA_PREFIX: &str = "capauth_";
/// Begins like an extra claim, and has a member of its own.
const FINGERPRINT_NAME: &str = "capauth_fingerprint";

/// The claims that an application reads, in OpenID's names. Members without a value are left out.
///
/// Reading ignores members that it does not know, such as those of a token.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OidcClaims {
    /// The identity: the fingerprint under which it first enrolled.
    pub sub: String,
    /// The key that signed.
    pub capauth_fingerprint: Fingerprint,
    /// The name that the person gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub name: Option<String>,
    /// A short name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub preferred_username: Option<String>,
    /// An e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub email: Option<String>,
    /// Whether the address is known to be the person's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub email_verified: Option<bool>,
    /// The URL of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub picture: Option<String>,
    /// The groups that count here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// A language tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub locale: Option<String>,
    /// A time zone's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub zoneinfo: Option<String>,
    /// What kind of agent signs in, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub agent_type: Option<String>,
    /// The category of the agent's blueprint, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub soul_blueprint_category: Option<String>,
    /// How the login was done: `["pgp"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Further claims whose names begin with `capauth_`; others put here are not written.
    #[serde(flatten, serialize_with = "write_extra", deserialize_with = "read_extra")]
    pub extra: BTreeMap<String, Scalar>,
}

impl OidcClaims {
    /// Claims that say who signed with which key, and nothing else. `amr` is `["pgp"]`.
    pub fn new(sub: impl Into<String>, capauth_fingerprint: Fingerprint) -> Self {
        Self {
            sub: sub.into(),
            capauth_fingerprint,
            name: None,
            preferred_username: None,
            email: None,
            email_verified: None,
            picture: None,
            groups: Vec::new(),
            locale: None,
            zoneinfo: None,
            agent_type: None,
            soul_blueprint_category: None,
            amr: vec![String::from("pgp")],
            extra: BTreeMap::new(),
        }
    }
}

/// Shows the pseudonym and the groups; what tells of the person stays out of logs.
impl fmt::Debug for OidcClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcClaims")
            .field("sub", &self.sub)
            .field("capauth_fingerprint", &self.capauth_fingerprint)
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

/// The value of an extra claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A whole number too large for [`Scalar::Integer`].
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
}

impl Scalar {
    /// The scalar that a JSON value is; `None` for null, lists, objects and numbers that are out of range.
    pub fn from_json(value: &Json) -> Option<Self> {
        match value {
            Json::Bool(value) => Some(Self::Bool(*value)),
            Json::String(value) => Some(Self::String(value.clone())),
            Json::Number(value) => {
                let text = value.as_str();
                let integer = text.parse().map(Self::Integer).or_else(|_| text.parse().map(Self::Unsigned));
                let float = || text.parse().ok().filter(|float: &f64| float.is_finite()).map(Self::Float);
                integer.ok().or_else(float)
            }
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::String(String::from(value))
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

fn is_extra(name: &str) -> bool {
    name.starts_with(EXTRA_PREFIX) && name != FINGERPRINT_NAME
}

/// Only names of their own kind: anything else could stand twice in the object, as `sub` for instance.
fn write_extra<S: Serializer>(extra: &BTreeMap<String, Scalar>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for (name, value) in extra.iter().filter(|(name, _)| is_extra(name)) {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

fn read_extra<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Scalar>, D::Error> {
    struct Extra;

    impl<'de> Visitor<'de> for Extra {
        type Value = BTreeMap<String, Scalar>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("claims")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut extra = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if !is_extra(&name) {
                    map.next_value::<IgnoredAny>()?;
                } else if extra.insert(name, map.next_value()?).is_some() {
                    return Err(de::Error::custom("a claim stands twice"));
                }
            }
            Ok(extra)
        }
    }

    deserializer.deserialize_map(Extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINT: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn claims() -> OidcClaims {
        OidcClaims::new(FINGERPRINT, FINGERPRINT.parse().unwrap())
    }

    #[test]
    fn what_has_no_value_is_left_out() {
        assert_eq!(
            serde_json::to_string(&claims()).unwrap(),
            format!(r#"{{"sub":"{FINGERPRINT}","capauth_fingerprint":"{FINGERPRINT}","amr":["pgp"]}}"#)
        );
    }

    #[test]
    fn round_trip_with_everything() {
        let mut full = claims();
        for field in [
            &mut full.name,
            &mut full.preferred_username,
            &mut full.email,
            &mut full.picture,
            &mut full.locale,
            &mut full.zoneinfo,
            &mut full.agent_type,
            &mut full.soul_blueprint_category,
        ] {
            *field = Some(String::from("x"));
        }
        full.email_verified = Some(false);
        full.groups = vec![String::from("readers")];
        full.extra = BTreeMap::from([
            (String::from("capauth_b"), Scalar::from(true)),
            (String::from("capauth_i"), Scalar::from(-3)),
            (String::from("capauth_u"), Scalar::Unsigned(u64::MAX)),
            (String::from("capauth_f"), Scalar::Float(0.5)),
            (String::from("capauth_s"), Scalar::from("text")),
        ]);
        let text = serde_json::to_string(&full).unwrap();
        assert!(text.contains(r#""capauth_i":-3"#), "{text}");
        assert_eq!(serde_json::from_str::<OidcClaims>(&text).unwrap(), full);
    }

    #[test]
    fn members_of_a_token_are_passed_over() {
        let text = format!(
            r#"{{"iss":"https://x","aud":["a"],"exp":1,"act":{{}},"sub":"{FINGERPRINT}",
                "capauth_fingerprint":"{FINGERPRINT}","amr":["pgp"],"capauth_tier":2}}"#
        );
        let read: OidcClaims = serde_json::from_str(&text).unwrap();
        assert_eq!(read.extra, BTreeMap::from([(String::from("capauth_tier"), Scalar::Integer(2))]));
    }

    #[test]
    fn structured_extra_claim_refused() {
        for value in ["[]", "{}", "null"] {
            let text = format!(r#"{{"sub":"s","capauth_fingerprint":"{FINGERPRINT}","capauth_x":{value}}}"#);
            assert!(serde_json::from_str::<OidcClaims>(&text).is_err(), "{value}");
        }
        let twice =
            format!(r#"{{"sub":"s","capauth_fingerprint":"{FINGERPRINT}","capauth_x":1,"capauth_x":2}}"#);
        assert!(serde_json::from_str::<OidcClaims>(&twice).is_err());
    }

    #[test]
    fn extra_claim_posing_as_a_registered_one_is_not_written() {
        let mut posing = claims();
        for name in ["sub", "iss", "email_verified", "capauth_fingerprint", "capauth_ok"] {
            posing.extra.insert(String::from(name), Scalar::from("x"));
        }
        let written = serde_json::to_string(&posing).unwrap();
        assert_eq!(
            written,
            format!(
                r#"{{"sub":"{FINGERPRINT}","capauth_fingerprint":"{FINGERPRINT}","amr":["pgp"],"capauth_ok":"x"}}"#
            )
        );
    }

    #[test]
    fn scalars_from_json() {
        let of = |text: &str| Scalar::from_json(&Json::parse(text.as_bytes()).unwrap());
        assert_eq!(of("true"), Some(Scalar::Bool(true)));
        assert_eq!(of("-7"), Some(Scalar::Integer(-7)));
        assert_eq!(of("18446744073709551615"), Some(Scalar::Unsigned(u64::MAX)));
        assert_eq!(of("1.5e1"), Some(Scalar::Float(15.0)));
        assert_eq!(of("\"x\""), Some(Scalar::from("x")));
        assert_eq!(of("1e999"), None);
        assert_eq!(of("null"), None);
        assert_eq!(of("[1]"), None);
    }

    #[test]
    fn the_person_stays_out_of_debug_output() {
        let mut named = claims();
        named.name = Some(String::from("MARKER"));
        named.email = Some(String::from("MARKER@example.com"));
        named.extra.insert(String::from("capauth_x"), Scalar::from("MARKER"));
        let shown = format!("{named:?}");
        assert!(!shown.contains("MARKER"), "{shown}");
        assert!(shown.contains(FINGERPRINT));
    }
}
