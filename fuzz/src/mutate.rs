//! Simple mutations for the test run. libFuzzer does this better; it is not there in a test.

/// Numbers that look random and are the same in every run.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// A row of numbers of its own for each name.
    pub fn of(name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }
}

/// Bytes and words that mean something to one reader or another.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"%",
    b"%2f",
    b"//",
    b"/..",
    b"=",
    b"==",
    b";",
    b",",
    b"&",
    b"-----",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"null",
    b"1e999",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xc3\x28",
    b"\xe2\x80\xae",
    b"@",
    b".",
    b" ",
    b"\t",
    b"Bearer ",
    b"0x",
    b"\x7f",
    b"18446744073709551616",
    b"-1",
];

/// A changed copy of one input, perhaps with a piece of another in it.
pub fn mutate(chance: &mut Chance, input: &[u8], other: &[u8], longest: usize) -> Vec<u8> {
    let mut data = input.to_vec();
    for _ in 0..=chance.below(4) {
        change(chance, &mut data, other);
    }
    data.truncate(longest);
    data
}

fn change(chance: &mut Chance, data: &mut Vec<u8>, other: &[u8]) {
    let at = chance.below(data.len());
    match chance.below(8) {
        0 if !data.is_empty() => data[at] ^= 1 << chance.below(8),
        1 if !data.is_empty() => data[at] = u8::try_from(chance.below(256)).unwrap_or(0),
        2 if !data.is_empty() => {
            data.remove(at);
        }
        3 => data.insert(at, u8::try_from(chance.below(256)).unwrap_or(0)),
        4 => {
            let end = (at + chance.below(16)).min(data.len());
            let piece = data[at..end].to_vec();
            data.splice(at..at, piece);
        }
        5 => {
            let end = (at + chance.below(32)).min(data.len());
            data.drain(at..end);
        }
        6 if !other.is_empty() => {
            let from = chance.below(other.len());
            let end = (from + chance.below(64)).min(other.len());
            data.splice(at..at, other[from..end].iter().copied());
        }
        _ => {
            let word = WORDS[chance.below(WORDS.len())];
            data.splice(at..at, word.iter().copied());
        }
    }
}
