//! Reading, one level at a time.
//!
//! serde_json splits a container into its parts and leaves each part as text, which keeps the spelling of
//! numbers. It skips over a part without recursion, so how deep the stack goes is decided here. A part is scanned
//! once per level around it, which the limit on depth keeps cheap.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Json, JsonError, Number, Object};
use crate::limits::{MAX_JSON_DEPTH, MAX_JSON_VALUES};

pub(super) fn document(document: &[u8]) -> Result<Json, JsonError> {
    let text = std::str::from_utf8(document).map_err(|_| JsonError::NotUtf8)?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|_| JsonError::Syntax)?;
    Reader { values_left: MAX_JSON_VALUES - 1 }.value(raw, 0)
}

struct Reader {
    /// How many values may still come.
    values_left: usize,
}

impl Reader {
    /// Reads a value that stands inside `depth` containers.
    fn value(&mut self, raw: &RawValue, depth: usize) -> Result<Json, JsonError> {
        let text = raw.get();
        match text.bytes().next() {
            Some(b'n') => Ok(Json::Null),
            Some(b't') => Ok(Json::Bool(true)),
            Some(b'f') => Ok(Json::Bool(false)),
            Some(b'"') => serde_json::from_str(text).map(Json::String).map_err(|_| JsonError::Syntax),
            Some(b'-' | b'0'..=b'9') => Ok(Json::Number(Number(String::from(text)))),
            Some(b'[' | b'{') if depth >= MAX_JSON_DEPTH => Err(JsonError::TooDeep),
            Some(b'[') => self.array(text, depth + 1),
            Some(b'{') => self.object(text, depth + 1),
            _ => Err(JsonError::Syntax),
        }
    }

    fn array(&mut self, text: &str, depth: usize) -> Result<Json, JsonError> {
        let Parts::Values(parts) = self.split(text)? else { return Err(JsonError::Syntax) };
        parts.into_iter().map(|part| self.value(part, depth)).collect::<Result<_, _>>().map(Json::Array)
    }

    fn object(&mut self, text: &str, depth: usize) -> Result<Json, JsonError> {
        let Parts::Members(parts) = self.split(text)? else { return Err(JsonError::Syntax) };
        let mut names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
            return Err(JsonError::DuplicateName);
        }
        let members = parts.into_iter().map(|(name, part)| Ok((name, self.value(part, depth)?)));
        members.collect::<Result<_, _>>().map(|members| Json::Object(Object(members)))
    }

    /// The parts of one container, each counted.
    fn split<'a>(&mut self, text: &'a str) -> Result<Parts<'a>, JsonError> {
        let mut splitter = Splitter { values_left: &mut self.values_left, exhausted: false };
        let parts = (&mut splitter).deserialize(&mut serde_json::Deserializer::from_str(text));
        parts.map_err(|_| if splitter.exhausted { JsonError::TooManyValues } else { JsonError::Syntax })
    }
}

enum Parts<'a> {
    Values(Vec<&'a RawValue>),
    Members(Vec<(String, &'a RawValue)>),
}

/// Stops the moment that there are too many parts, before it keeps them.
struct Splitter<'c> {
    values_left: &'c mut usize,
    exhausted: bool,
}

impl Splitter<'_> {
    fn count<E: Error>(&mut self) -> Result<(), E> {
        if let Some(left) = self.values_left.checked_sub(1) {
            *self.values_left = left;
            return Ok(());
        }
        self.exhausted = true;
        Err(E::custom("too many values"))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Splitter<'_> {
    type Value = Parts<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parts<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Splitter<'_> {
    type Value = Parts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parts<'de>, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            self.count()?;
            parts.push(part);
        }
        Ok(Parts::Values(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts<'de>, A::Error> {
        let mut parts = Vec::new();
        while let Some(member) = map.next_entry()? {
            self.count()?;
            parts.push(member);
        }
        Ok(Parts::Members(parts))
    }
}
