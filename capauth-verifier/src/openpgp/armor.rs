//! ASCII armour (RFC 9580, section 6) of what arrives with every login.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sequoia_openpgp::armor::{Kind, Reader, ReaderMode};

/// Decodes one block that begins with the first line and ends with the last one of `armored`.
///
/// The usual form is decoded here: Sequoia's reader zeroes megabytes for each block, which costs half as much as
/// checking the signature in it. Whatever is unusual in any way is left to that reader.
pub(super) fn decode(armored: &str, kind: Kind) -> Option<Vec<u8>> {
    decode_usual(armored).or_else(|| {
        let mut bytes = Vec::new();
        let mut reader = Reader::from_bytes(armored.as_bytes(), ReaderMode::Tolerant(Some(kind)));
        reader.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    })
}

/// A line that begins, headers, an empty line, lines of base64, perhaps a checksum, a line that ends. The checksum is
/// not looked at, as the RFC advises: a signature proves more.
fn decode_usual(armored: &str) -> Option<Vec<u8>> {
    let mut lines = armored.lines().map(str::trim_end);
    lines.next()?;
    let after_headers = lines.by_ref().find(|line| !line.contains(": "))?;
    if !after_headers.is_empty() {
        return None;
    }
    let mut base64 = String::with_capacity(armored.len());
    for line in lines.by_ref() {
        if line.starts_with('=') || line.starts_with("-----") {
            break;
        }
        base64.push_str(line);
    }
    let rest_is_footer = lines.all(|line| line.starts_with("-----END "));
    if !rest_is_footer || base64.is_empty() {
        return None;
    }
    STANDARD.decode(base64).ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use sequoia_openpgp::armor::Writer;

    use super::*;

    fn block(bytes: &[u8], headers: &[(&str, &str)]) -> String {
        let mut writer = Writer::with_headers(Vec::new(), Kind::Signature, headers.to_vec()).unwrap();
        writer.write_all(bytes).unwrap();
        String::from_utf8(writer.finalize().unwrap()).unwrap()
    }

    #[test]
    fn the_usual_form_is_decoded_without_sequoia_and_alike() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for length in [1, 2, 3, 47, 48, 49, 1000] {
            for headers in [&[][..], &[("Version", "GnuPG v2"), ("Comment", "a: b")]] {
                let text = block(&bytes[..length], headers);
                for text in [text.clone(), text.replace('\n', "\r\n")] {
                    assert_eq!(decode_usual(text.trim_ascii()).unwrap(), bytes[..length], "{text}");
                    assert_eq!(decode(text.trim_ascii(), Kind::Signature).unwrap(), bytes[..length]);
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_is_left_to_sequoia() {
        let good = block(&[7; 100], &[]);
        for bad in [
            good.replace("-----BEGIN PGP SIGNATURE-----\n\n", "-----BEGIN PGP SIGNATURE-----\n"),
            good.replace("\n\n", "\n\n!!!!\n"),
            String::new(),
            "-----BEGIN PGP SIGNATURE-----".to_owned(),
            good.replace("-----END", "more\n-----END"),
        ] {
            assert_eq!(decode_usual(bad.trim_ascii()), None, "{bad}");
        }
    }
}
