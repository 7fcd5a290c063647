//! The number used once that a challenge is about.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::digits::{self, Ten};

const TEXT_LENGTH: usize = 36;

/// The nonce of a challenge: a random UUID (version 4), because browser extensions insist on that form.
///
/// ```
/// use capauth_protocol::Nonce;
///
/// let nonce = Nonce::from_random_bytes([0; 16]); // from a real source of randomness
/// assert_eq!(nonce.to_string(), "00000000-0000-4000-8000-000000000000");
/// assert_eq!("00000000-0000-4000-8000-000000000000".parse(), Ok(nonce));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// A nonce from 16 random bytes, of which the six bits that mark a UUID v4 are overwritten.
    pub fn from_random_bytes(mut bytes: [u8; 16]) -> Self {
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The UUID, written into `room`.
    fn text<'a>(&self, room: &'a mut [u8; TEXT_LENGTH]) -> &'a str {
        let mut digits = [0; 32];
        digits::write(&self.0, Ten::Lower, &mut digits);
        let mut digits = digits.into_iter();
        for (place, symbol) in room.iter_mut().enumerate() {
            let hyphen = matches!(place, 8 | 13 | 18 | 23);
            *symbol = if hyphen { b'-' } else { digits.next().unwrap_or(b'-') };
        }
        // Digits and hyphens are text.
        str::from_utf8(room).unwrap_or_default()
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; _]))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Nonce {
    type Err = ParseNonceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != TEXT_LENGTH {
            return Err(ParseNonceError(()));
        }
        let mut number: u128 = 0;
        for (place, symbol) in text.bytes().enumerate() {
            if matches!(place, 8 | 13 | 18 | 23) {
                if symbol != b'-' {
                    return Err(ParseNonceError(()));
                }
            } else {
                let digit = char::from(symbol).to_digit(16).ok_or(ParseNonceError(()))?;
                number = (number << 4) | u128::from(digit);
            }
        }
        let nonce = Self(number.to_be_bytes());
        // Unchanged by setting the bits: they were set, so this is version 4 of the RFC's variant.
        if Self::from_random_bytes(nonce.0) == nonce { Ok(nonce) } else { Err(ParseNonceError(())) }
    }
}

impl Serialize for Nonce {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; _]))
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Nonce;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a UUID of version 4")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Nonce, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// The text is not a UUID of version 4. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseNonceError(());

impl fmt::Display for ParseNonceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a nonce is a UUID of version 4")
    }
}

impl std::error::Error for ParseNonceError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90";

    #[test]
    fn either_case_is_read_and_lower_case_written() {
        let nonce: Nonce = TEXT.parse().unwrap();
        assert_eq!(TEXT.to_uppercase().parse(), Ok(nonce));
        assert_eq!(nonce.to_string(), TEXT);
        assert_eq!(format!("{nonce:?}"), TEXT);
        assert_eq!(nonce.as_bytes()[..4], [0x7c, 0x1d, 0x3a, 0x52]);
    }

    #[test]
    fn what_is_no_uuid_of_version_4() {
        for text in [
            "",
            "7c1d3a522f8e4f3a9d0b5a1e6c7b8d90",
            "{7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90}",
            "7c1d3a52-2f8e-1f3a-9d0b-5a1e6c7b8d90",
            "7c1d3a52-2f8e-4f3a-cd0b-5a1e6c7b8d90",
            "7c1d3a52-2f8e-4f3a-7d0b-5a1e6c7b8d90",
            "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d9g",
            "7c1d3a522-f8e-4f3a-9d0b-5a1e6c7b8d90",
            "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90 ",
            "+c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90",
            "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8dé",
        ] {
            assert!(text.parse::<Nonce>().is_err(), "{text}");
        }
    }

    #[test]
    fn as_json() {
        let nonce: Nonce = serde_json::from_str(&format!("\"{TEXT}\"")).unwrap();
        assert_eq!(serde_json::to_string(&nonce).unwrap(), format!("\"{TEXT}\""));
        assert!(serde_json::from_str::<Nonce>("\"1\"").is_err());
    }

    proptest! {
        #[test]
        fn round_trip(bytes in any::<[u8; 16]>()) {
            let nonce = Nonce::from_random_bytes(bytes);
            prop_assert_eq!(nonce.to_string().parse(), Ok(nonce));
            // All bits but the six that mark the version are the caller's.
            let differing: u32 =
                nonce.as_bytes().iter().zip(bytes).map(|(own, given)| (own ^ given).count_ones()).sum();
            prop_assert!(differing <= 6);
        }

        #[test]
        fn parsing_never_panics(text in ".{30,40}") {
            let _ = text.parse::<Nonce>();
        }
    }
}
