//! Fingerprints as people paste them.

use std::str::FromStr as _;

use capauth_protocol::Fingerprint;

use crate::commands::Failure;

/// Digits of a fingerprint of a version 4 certificate, and of a version 6 one.
const LENGTHS: [usize; 2] = [40, 64];

/// One fingerprint, with or without spaces.
pub(super) fn one(text: &str) -> Result<Fingerprint, Failure> {
    Fingerprint::from_str(text).map_err(|_| wrong())
}

/// Several, each whole or in the groups of digits in which it is printed: the shell takes those for words of their own.
pub(super) fn several(words: &[String]) -> Result<Vec<Fingerprint>, Failure> {
    let mut found = Vec::new();
    let mut digits = String::new();
    for word in words {
        match Fingerprint::from_str(word) {
            Ok(whole) => {
                found.append(&mut pieces(&digits)?);
                digits.clear();
                found.push(whole);
            }
            Err(_) => digits.extend(word.chars().filter(|c| *c != ' ')),
        }
    }
    found.append(&mut pieces(&digits)?);
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|fingerprint| seen.insert(*fingerprint));
    Ok(found)
}

/// What a run of digits says, if all fingerprints in it are of one version.
fn pieces(digits: &str) -> Result<Vec<Fingerprint>, Failure> {
    if digits.is_empty() {
        return Ok(Vec::new());
    }
    let mut fits = LENGTHS.iter().filter(|length| digits.len().is_multiple_of(**length));
    let (Some(&length), None) = (fits.next(), fits.next()) else { return Err(wrong()) };
    let characters: Vec<char> = digits.chars().collect();
    characters.chunks(length).map(|piece| one(&piece.iter().collect::<String>())).collect()
}

fn wrong() -> Failure {
    Failure::unusable("this is no fingerprint: it has 40 or 64 digits, and may hold spaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80";

    fn read(text: &str) -> Option<Vec<String>> {
        let words: Vec<String> = text.split('|').map(str::to_owned).collect();
        several(&words).ok().map(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn fingerprints_come_whole_or_in_pieces() {
        let v6 = "01".repeat(32);
        assert_eq!(read(V4).unwrap(), [V4]);
        assert_eq!(read(&V4.to_lowercase()).unwrap(), [V4]);
        assert_eq!(read("8A3F C2D1 E4B5 A09F 6B7C  8D0E 1F2A 3B4C 5D6E 7F80").unwrap(), [V4]);
        assert_eq!(read("8A3F|C2D1|E4B5|A09F|6B7C|8D0E|1F2A|3B4C|5D6E|7F80").unwrap(), [V4]);
        assert_eq!(read(&format!("{V4}|{v6}|{V4}")).unwrap(), [V4, &v6]);
        let both =
            "8A3F C2D1 E4B5 A09F 6B7C|8D0E 1F2A 3B4C 5D6E 7F80|0123456789012345678901234567890123456789";
        assert_eq!(read(both).unwrap().len(), 2);
        assert_eq!(
            read(&v6.as_bytes().chunks(4).map(|c| str::from_utf8(c).unwrap()).collect::<Vec<_>>().join("|"))
                .unwrap(),
            [v6]
        );
    }

    #[test]
    fn anything_else_is_none() {
        for bad in [
            "",
            "8A3F",
            "x",
            V4.trim_start_matches('8'),
            &format!("{V4}|8A3F"),
            &format!("{V4}0"),
            &"é".repeat(40),
            "--yes",
        ] {
            assert!(read(bad).is_none_or(|found| found.is_empty()), "{bad}");
        }
        assert!(one("8A3F").is_err());
    }
}
