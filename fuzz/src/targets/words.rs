//! Short texts: fingerprints, nonces, names, addresses.

use capauth_protocol::limits::{MAX_FINGERPRINT_TEXT, MAX_GROUP_NAME, MAX_USER_NAME};
use capauth_protocol::request::is_user_name;
use capauth_protocol::{Fingerprint, Nonce};
use capauth_tower::{IpRange, is_group_name};
use capauth_verifier::{EmailAddress, MasterKey};
use url::Url;

use super::text;
use crate::Outcome;

/// A fingerprint has one written form, whatever form it came in.
pub fn fingerprint(data: &[u8]) -> Outcome {
    let Some((text, read)) = text(data).and_then(|t| t.parse::<Fingerprint>().ok().map(|read| (t, read)))
    else {
        return Outcome::Refused;
    };
    assert!(text.len() <= MAX_FINGERPRINT_TEXT);
    let written = read.to_string();
    assert_eq!(written.len(), if read.version() == 4 { 40 } else { 64 });
    assert!(written.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)));
    assert_eq!(written.parse(), Ok(read));
    assert_eq!(written.to_lowercase().parse(), Ok(read));
    assert_eq!(Fingerprint::from_bytes(read.as_bytes()), Some(read));
    assert_eq!(hex::encode_upper(read.as_bytes()), written);
    let digits = text.replace(' ', "");
    let digits = digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(&digits);
    assert!(digits.eq_ignore_ascii_case(&written), "digits were lost or made up");
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), read);
    Outcome::Accepted
}

/// Nonces, ranges of addresses, names, master keys.
pub fn names(data: &[u8]) -> Outcome {
    let Some(text) = text(data) else { return Outcome::Refused };
    let mut accepted = false;
    if let Ok(nonce) = text.parse::<Nonce>() {
        assert_eq!(nonce.to_string(), text.to_lowercase());
        assert_eq!(Nonce::from_random_bytes(*nonce.as_bytes()), nonce, "not a UUID of version 4");
        accepted = true;
    }
    if let Ok(range) = text.parse::<IpRange>() {
        let written = range.to_string();
        assert_eq!(written.parse(), Ok(range));
        let (network, _) = written.split_once('/').expect("a range is written with its length");
        assert!(range.contains(network.parse().unwrap()), "{written} holds its own network");
        accepted = true;
    }
    if is_user_name(text) {
        assert!((1..=MAX_USER_NAME).contains(&text.len()) && text == text.to_ascii_lowercase());
        assert!(!text.starts_with(['.', '-', '_']) && !text.contains(['/', '\\', ' ', '@']));
        accepted = true;
    }
    if is_group_name(text) {
        assert!((1..=MAX_GROUP_NAME).contains(&text.len()) && text.is_ascii());
        assert!(!text.contains(|c: char| c.is_control() || c.is_whitespace() || c == ','));
        accepted = true;
    }
    if let Ok(key) = MasterKey::parse(text) {
        let again = MasterKey::parse(&key.expose_hex()).expect("its own hexadecimal form");
        assert_eq!(again.check_value(), key.check_value());
        accepted = true;
    }
    Outcome::accepted_if(accepted)
}

/// An address has one normal form, and its domain is a name for a browser too.
pub fn email(data: &[u8]) -> Outcome {
    let Some(address) = text(data).and_then(EmailAddress::parse) else { return Outcome::Refused };
    let form = address.as_str();
    assert!(form.is_ascii() && form.len() <= 64 + 1 + 253, "{form}");
    assert_eq!(form, form.to_ascii_lowercase());
    assert!(
        !form.contains(|c: char| c.is_control() || c.is_whitespace() || "\"<>(),;:\\[]".contains(c)),
        "{form}"
    );
    assert_eq!(EmailAddress::parse(form).as_ref(), Some(&address), "not settled: {form}");
    assert_eq!(format!("{}@{}", address.local(), address.domain()), form);
    let url = Url::parse(&format!("https://{}/", address.domain())).expect("a host");
    assert_eq!(url.domain(), Some(address.domain()), "an address of a machine, or another name");
    assert!(!format!("{address:?}").contains('@'));
    Outcome::Accepted
}
