//! Until when a certificate is good. One field, for a word at start-up: nothing is decided by it, so anything that is not
//! understood is simply not spoken of.

use std::time::SystemTime;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Until when the certificate says it is good.
pub(super) fn not_after(certificate: &[u8]) -> Option<SystemTime> {
    let (_, certificate, _) = element(certificate, Some(SEQUENCE))?;
    let (_, mut body, _) = element(certificate, Some(SEQUENCE))?;
    if let Some((_, _, rest)) = element(body, Some(VERSION)) {
        body = rest;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        (_, _, body) = element(body, None)?;
    }
    let (_, validity, _) = element(body, Some(SEQUENCE))?;
    let (_, _, rest) = element(validity, None)?;
    let (tag, until, _) = element(rest, None)?;
    time(tag, std::str::from_utf8(until).ok()?)
}

/// The first element of some DER: its tag, its content, and what comes after it.
fn element(der: &[u8], wanted: Option<u8>) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if wanted.is_some_and(|wanted| wanted != tag) {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// `YYMMDDHHMMSSZ` for years from 1950 to 2049, or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<SystemTime> {
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        GENERALIZED_TIME => text.split_at_checked(4).map(|(year, rest)| (year.to_owned(), rest))?,
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 3, 4);
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_forms() {
        for (year, wanted) in [(2031, "2031-03-04T00:00:00Z"), (2131, "2131-03-04T00:00:00Z")] {
            let until = not_after(&certificate(year)).unwrap();
            assert_eq!(humantime::format_rfc3339_seconds(until).to_string(), wanted);
        }
        let old = time(UTC_TIME, "700101000000Z").unwrap();
        assert_eq!(old, SystemTime::UNIX_EPOCH);
    }

    /// *Attack: a certificate made to trip whoever reads it.*
    #[test]
    fn attack_damaged_certificates_are_not_spoken_of() {
        let whole = certificate(2031);
        for end in 0..whole.len() {
            assert_eq!(not_after(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x83, 0x84, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _ = not_after(&damaged);
            }
        }
        for text in ["", "31", "3103040000", "éé0304000000Z", "991332000000Z"] {
            assert_eq!(time(UTC_TIME, text), None, "{text}");
        }
    }
}
