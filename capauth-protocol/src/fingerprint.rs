//! OpenPGP fingerprints.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::digits::{self, Ten};
use crate::limits::MAX_FINGERPRINT_TEXT;

const V4_LENGTH: usize = 20;
const V6_LENGTH: usize = 32;

/// The fingerprint of an OpenPGP key: 20 bytes for version 4, 32 bytes for version 6.
///
/// Written as upper-case hexadecimal digits. Read in either case, with spaces and with a leading `0x`, since
/// that is how tools print them. Version 4 sorts before version 6.
///
/// ```
/// use capauth_protocol::Fingerprint;
///
/// let typed: Fingerprint = "0x0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567".parse()?;
/// assert_eq!(typed.to_string(), "0123456789ABCDEF0123456789ABCDEF01234567");
/// assert_eq!(typed.version(), 4);
/// # Ok::<(), capauth_protocol::ParseFingerprintError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Bytes);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Bytes {
    V4([u8; V4_LENGTH]),
    V6([u8; V6_LENGTH]),
}

impl Fingerprint {
    /// The fingerprint made of these bytes; `None` unless there are exactly 20 or 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(v4) = <[u8; V4_LENGTH]>::try_from(bytes) {
            return Some(Self(Bytes::V4(v4)));
        }
        <[u8; V6_LENGTH]>::try_from(bytes).ok().map(|v6| Self(Bytes::V6(v6)))
    }

    /// The 20 or 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::V4(bytes) => bytes,
            Bytes::V6(bytes) => bytes,
        }
    }

    /// The version of OpenPGP key that has such a fingerprint: 4 or 6.
    pub fn version(&self) -> u8 {
        match self.0 {
            Bytes::V4(_) => 4,
            Bytes::V6(_) => 6,
        }
    }

    /// All digits, written into `room`.
    fn digits<'a>(&self, room: &'a mut [u8; 2 * V6_LENGTH]) -> &'a str {
        digits::write(self.as_bytes(), Ten::Upper, room)
    }

    /// The first `digits` hexadecimal digits, in upper case; all of them if there are fewer.
    pub fn prefix(&self, digits: usize) -> String {
        let mut text = self.to_string();
        // Digits are a byte each.
        text.truncate(digits);
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits(&mut [0; _]))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_FINGERPRINT_TEXT {
            return Err(ParseFingerprintError(()));
        }
        let text = text.trim_start_matches(' ');
        let text = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        let mut digits = text.bytes().filter(|byte| *byte != b' ');
        let mut bytes = Vec::with_capacity(V6_LENGTH);
        while let Some(high) = digits.next() {
            let low = digits.next().ok_or(ParseFingerprintError(()))?;
            bytes.push((hex_value(high)? << 4) | hex_value(low)?);
        }
        Self::from_bytes(&bytes).ok_or(ParseFingerprintError(()))
    }
}

fn hex_value(digit: u8) -> Result<u8, ParseFingerprintError> {
    let value = char::from(digit).to_digit(16).ok_or(ParseFingerprintError(()))?;
    u8::try_from(value).map_err(|_| ParseFingerprintError(()))
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.digits(&mut [0; _]))
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Fingerprint;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an OpenPGP fingerprint")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Fingerprint, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// The text is not a fingerprint. It does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseFingerprintError(());

impl fmt::Display for ParseFingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a fingerprint has 40 or 64 hexadecimal digits")
    }
}

impl std::error::Error for ParseFingerprintError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V4: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
    const V6: &str = "0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF";

    #[test]
    fn both_versions() {
        for (text, version, length) in [(V4, 4, 20), (V6, 6, 32)] {
            let fingerprint: Fingerprint = text.parse().unwrap();
            assert_eq!(fingerprint.version(), version);
            assert_eq!(fingerprint.as_bytes().len(), length);
            assert_eq!(fingerprint.to_string(), text);
            assert_eq!(format!("{fingerprint:?}"), text);
            assert_eq!(fingerprint.prefix(8), "01234567");
            assert_eq!(fingerprint.prefix(1000), text);
        }
    }

    #[test]
    fn other_spellings_of_one_fingerprint() {
        let fingerprint: Fingerprint = V4.parse().unwrap();
        for spelling in [
            "0123456789abcdef0123456789abcdef01234567",
            "0x0123456789abcdef0123456789ABCDEF01234567",
            " 0X0123 4567 89AB CDEF 0123  4567 89AB CDEF 0123 4567 ",
        ] {
            assert_eq!(spelling.parse(), Ok(fingerprint), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_fingerprint() {
        for text in [
            "",
            "0x",
            "0123456789ABCDEF",
            "0123456789ABCDEF0123456789ABCDEF0123456",
            "0123456789ABCDEF0123456789ABCDEF012345678",
            "G123456789ABCDEF0123456789ABCDEF01234567",
            "0x0x0123456789ABCDEF0123456789ABCDEF01234567",
            "0123456789ABCDEF0123456789ABCDEF\t01234567",
            "0123456789ABCDEF0123456789ABCDEF0123456\u{ff17}",
            "0123456789ABCDEF-0123456789ABCDEF01234567",
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
        assert_eq!(Fingerprint::from_bytes(&[0; 21]), None);
        assert!(Fingerprint::from_bytes(&[0; 20]).is_some());
    }

    #[test]
    fn a_fingerprint_padded_beyond_the_limit() {
        let padded = |spaces: usize| format!("{V4}{}", " ".repeat(spaces)).parse::<Fingerprint>();
        assert!(padded(MAX_FINGERPRINT_TEXT - 40).is_ok());
        assert!(padded(MAX_FINGERPRINT_TEXT - 39).is_err());
    }

    #[test]
    fn as_json() {
        let fingerprint: Fingerprint = serde_json::from_str(&format!("\"{}\"", V4.to_lowercase())).unwrap();
        assert_eq!(serde_json::to_string(&fingerprint).unwrap(), format!("\"{V4}\""));
        assert!(serde_json::from_str::<Fingerprint>("\"01\"").is_err());
        assert!(serde_json::from_str::<Fingerprint>("1").is_err());
    }

    proptest! {
        #[test]
        fn round_trip(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 20),
            prop::collection::vec(any::<u8>(), 32),
        ]) {
            let fingerprint = Fingerprint::from_bytes(&bytes).unwrap();
            prop_assert_eq!(fingerprint.as_bytes(), &bytes[..]);
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
            prop_assert_eq!(fingerprint.to_string().to_lowercase().parse(), Ok(fingerprint));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,200}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
