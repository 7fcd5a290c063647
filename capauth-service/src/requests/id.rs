//! Request ids: by which a client's complaint is found in the log.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MIN_LENGTH: usize = 16;
const MAX_LENGTH: usize = 64;

/// Makes ids that do not repeat: a counter, scrambled under a secret of this process so that it tells nothing of how
/// much is going on.
pub(super) struct RequestIds {
    scramble: RandomState,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self { scramble: RandomState::new(), next: AtomicU64::new(0) }
    }

    /// The id that the client or a proxy gave, if it looks drawn by lot; else a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(HEADER) {
            Some(id) if is_random(id.as_bytes()) => id.clone(),
            _ => self.make(),
        }
    }

    fn make(&self) -> HeaderValue {
        let number = self.scramble.hash_one(self.next.fetch_add(1, Ordering::Relaxed));
        let mut digits = [0; 16];
        for (digit, shift) in digits.iter_mut().zip((0..64).step_by(4).rev()) {
            let nibble = u8::try_from(number >> shift & 0xf).unwrap_or(0);
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        }
        HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("-"))
    }
}

/// Hexadecimal digits and hyphens, as in a UUID or a trace id. The id stands in the log, where no client may write a
/// word, least of all somebody's name.
fn is_random(id: &[u8]) -> bool {
    let digit = |b: &u8| b.is_ascii_hexdigit() || *b == b'-';
    (MIN_LENGTH..=MAX_LENGTH).contains(&id.len()) && id.iter().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_kept_if_it_looks_random_and_made_otherwise() {
        let ids = RequestIds::new();
        let of = |id: &[u8]| {
            let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(id).unwrap())]);
            ids.of(&headers).to_str().unwrap().to_owned()
        };
        let longest = [b'a'; 64];
        for good in [&b"0af76519-16cd-43dd-8448-ebcd12345678"[..], &longest] {
            assert_eq!(of(good).as_bytes(), good);
        }
        for bad in [
            &b""[..],
            b"a b",
            b"abc",
            b"Alice-Cooper-aaaa",
            b"0af7651916cd43dd@example.org",
            b"a\tb",
            b"\"quoted\"",
            b"{\"json\"}",
            b"\xff",
            &[b'a'; 65],
        ] {
            let made = of(bad);
            assert!(made.len() == 16 && made.bytes().all(|b| b.is_ascii_hexdigit()), "{made}");
        }
        assert_ne!(ids.make(), ids.make());
    }
}
