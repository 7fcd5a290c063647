//! JSON, read strictly and written canonically.
//!
//! Claims are signed as text, so the text must come out the same on both sides: numbers keep the spelling that
//! they came with, and an object keeps its members in the order that they came in until it is written.

mod parse;
mod write;

use std::fmt;

use serde_json::value::RawValue;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as spelled.
    Number(Number),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Named members.
    Object(Object),
}

impl Json {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8 or not JSON (`NaN`, `Infinity` and lone surrogates are not JSON; neither is anything
    /// after the value), when a name stands twice in an object at any depth, or when it is nested deeper or has
    /// more values than [`limits`](crate::limits) allow.
    pub fn parse(document: &[u8]) -> Result<Self, JsonError> {
        parse::document(document)
    }

    /// Compact text with keys sorted by code point at every depth, non-ASCII characters as they are, and
    /// numbers as spelled.
    ///
    /// It equals Python's `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`.
    pub fn to_canonical(&self) -> String {
        write::text(self, write::Sorting::EveryDepth)
    }

    /// As [`Json::to_canonical`], but only the top level's keys are sorted: some clients sign this form.
    pub fn to_canonical_top_level(&self) -> String {
        write::text(self, write::Sorting::TopLevel)
    }

    /// Text.
    pub fn string(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// An object of these members; of a name given twice the last value stays.
    pub fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Json)>) -> Self {
        Self::Object(members.into_iter().collect())
    }

    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The object, if this is one.
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The values, if this is a list.
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if this is one.
    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self::String(String::from(value))
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<Vec<Json>> for Json {
    fn from(values: Vec<Json>) -> Self {
        Self::Array(values)
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// A number, in the spelling that it came with: `1.50` and `1.5` are different numbers here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// The number that is spelled so; `None` if JSON has no such number.
    pub fn from_spelling(spelling: &str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(spelling).ok()?;
        let same = raw.get() == spelling;
        (same && spelling.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
            .then(|| Self(String::from(spelling)))
    }

    /// The spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number, if it is whole and spelled without fraction and exponent.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The number, if it is whole and spelled without fraction and exponent.
    pub fn as_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The members of an object, in order, no name twice. Two objects are equal when the order is equal too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Json)>);

impl Object {
    /// An object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Sets a member, in its old place if there is one, and returns the value that it had.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Json>) -> Option<Json> {
        let (name, value) = (name.into(), value.into());
        if let Some((_, old)) = self.0.iter_mut().find(|(own, _)| *own == name) {
            return Some(std::mem::replace(old, value));
        }
        self.0.push((name, value));
        None
    }

    /// Takes a member out and returns its value; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let place = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(place).1)
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>> FromIterator<(N, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, Json)>>(members: I) -> Self {
        let mut object = Self::new();
        for (name, value) in members {
            object.insert(name, value);
        }
        object
    }
}

/// Why a document is not read. It does not repeat the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonError {
    /// Not UTF-8.
    NotUtf8,
    /// Not JSON.
    Syntax,
    /// A name stands twice in one object.
    DuplicateName,
    /// More than [`MAX_JSON_DEPTH`](crate::limits::MAX_JSON_DEPTH) containers inside one another.
    TooDeep,
    /// More than [`MAX_JSON_VALUES`](crate::limits::MAX_JSON_VALUES) values.
    TooManyValues,
}

impl JsonError {
    /// Words for a person.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "the text is not UTF-8",
            Self::Syntax => "the text is not JSON",
            Self::DuplicateName => "a name stands twice in one JSON object",
            Self::TooDeep => "the JSON is nested too deeply",
            Self::TooManyValues => "the JSON has too many values",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for JsonError {}

#[cfg(test)]
mod tests;
