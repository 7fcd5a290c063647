//! Writing.

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Json, Number, Object};

/// Which objects have their keys sorted; the others keep the order that they came in.
#[derive(Clone, Copy)]
pub(super) enum Sorting {
    EveryDepth,
    TopLevel,
    Nothing,
}

impl Sorting {
    fn below(self) -> Self {
        match self {
            Self::EveryDepth => Self::EveryDepth,
            Self::TopLevel | Self::Nothing => Self::Nothing,
        }
    }
}

pub(super) fn text(value: &Json, sorting: Sorting) -> String {
    let mut out = String::new();
    write_value(&mut out, value, sorting);
    out
}

fn write_value(out: &mut String, value: &Json, sorting: Sorting) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => out.push_str(number.as_str()),
        Json::String(text) => write_string(out, text),
        Json::Array(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_value(out, value, sorting.below());
            }
            out.push(']');
        }
        Json::Object(object) => write_object(out, object, sorting),
    }
}

fn write_object(out: &mut String, object: &Object, sorting: Sorting) {
    let mut members: Vec<(&str, &Json)> = object.iter().collect();
    if !matches!(sorting, Sorting::Nothing) {
        // The order of UTF-8 bytes is the order of code points.
        members.sort_unstable_by_key(|(name, _)| *name);
    }
    out.push('{');
    for (place, (name, value)) in members.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write_value(out, value, sorting.below());
    }
    out.push('}');
}

/// Escapes what JSON demands and nothing else, with short forms where there are any: what Python does.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for symbol in text.chars() {
        match symbol {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(symbol))),
            _ => out.push(symbol),
        }
    }
    out.push('"');
}

/// Keeps the order of members; this is how a client puts claims into a request.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(values) => serializer.collect_seq(values),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(String::from(self.as_str())).map_err(S::Error::custom)?.serialize(serializer)
    }
}
