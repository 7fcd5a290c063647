//! Bytes as hexadecimal digits, in one piece: fingerprints and nonces are written several times a login, and a formatter
//! asked for each byte costs as much as a part of the login's cryptography.

/// Writes two digits for each byte into `room`, as far as it reaches; `ten` is the digit that follows 9. Answers what was
/// written.
pub(crate) fn write<'a>(bytes: &[u8], ten: Ten, room: &'a mut [u8]) -> &'a str {
    let digit = |value: u8| if value < 10 { b'0' + value } else { ten as u8 - 10 + value };
    let mut written = 0;
    for (pair, byte) in room.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
        written += 2;
    }
    // Digits are text.
    room.get(..written).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
}

/// The digit for ten: which case all have.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Ten {
    Upper = b'A',
    Lower = b'a',
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_written_as_the_formatter_does() {
        for byte in 0..=u8::MAX {
            let mut room = [0; 2];
            assert_eq!(write(&[byte], Ten::Upper, &mut room), format!("{byte:02X}"));
            assert_eq!(write(&[byte], Ten::Lower, &mut room), format!("{byte:02x}"));
        }
        assert_eq!(write(&[1, 2, 3], Ten::Lower, &mut [0; 5]), "0102", "no more than there is room for");
        assert_eq!(write(&[], Ten::Lower, &mut [0; 4]), "");
    }
}
