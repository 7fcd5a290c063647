//! The members of a body, taken out one by one.

use super::invalid;
use crate::json::Object;
use crate::limits::{MAX_BODY, MAX_VERSION};
use crate::{ErrorCode, Json, Refusal};

/// Which control characters a text may hold.
#[derive(Clone, Copy)]
pub(super) enum Text {
    /// None: the text becomes a line of a payload, or might.
    Line,
    /// CR, LF and TAB, as armor has them.
    Armor,
    /// LF and TAB.
    Claim,
}

impl Text {
    fn allows(self, symbol: char) -> bool {
        match self {
            Self::Line => !symbol.is_control(),
            Self::Armor => !symbol.is_control() || matches!(symbol, '\r' | '\n' | '\t'),
            Self::Claim => !symbol.is_control() || matches!(symbol, '\n' | '\t'),
        }
    }
}

/// Whether a text holds C0, DEL or C1.
pub(crate) fn has_control_characters(text: &str) -> bool {
    text.chars().any(char::is_control)
}

pub(super) struct Members(Object);

impl Members {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > MAX_BODY {
            return Err(Refusal::new(
                ErrorCode::PayloadTooLarge,
                format!("the body is larger than {MAX_BODY} bytes"),
            ));
        }
        match Json::parse(body) {
            Ok(Json::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(invalid("the body is not a JSON object")),
            Err(error) => Err(invalid(error.as_str())),
        }
    }

    /// Takes a member out; `null` counts as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// A text of at most `limit` bytes, or `None` when it is absent.
    pub(super) fn text(&mut self, name: &str, limit: usize, kind: Text) -> Result<Option<String>, Refusal> {
        let text = match self.take(name) {
            None => return Ok(None),
            Some(Json::String(text)) => text,
            Some(_) => return Err(invalid(format!("`{name}` is not text"))),
        };
        if text.len() > limit {
            return Err(invalid(format!("`{name}` is longer than {limit} bytes")));
        }
        if !text.chars().all(|symbol| kind.allows(symbol)) {
            return Err(invalid(format!("`{name}` holds control characters")));
        }
        Ok(Some(text))
    }

    /// As [`Members::text`], with empty text counted as absent.
    pub(super) fn filled(&mut self, name: &str, limit: usize, kind: Text) -> Result<Option<String>, Refusal> {
        Ok(self.text(name, limit, kind)?.filter(|text| !text.is_empty()))
    }

    /// As [`Members::filled`], for a member that must be there.
    pub(super) fn required(&mut self, name: &str, limit: usize, kind: Text) -> Result<String, Refusal> {
        self.filled(name, limit, kind)?.ok_or_else(|| invalid(format!("`{name}` is missing")))
    }

    /// Whether a member is there, be it null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(own, _)| own == name)
    }

    /// A whole number, or `None` when it is absent.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Number(number)) => number
                .as_str()
                .parse()
                .map(Some)
                .map_err(|_| invalid(format!("`{name}` is not a whole number of seconds"))),
            Some(_) => Err(invalid(format!("`{name}` is not a number"))),
        }
    }

    /// True or false, and false when it is absent.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Json::Bool(flag)) => Ok(flag),
            Some(_) => Err(invalid(format!("`{name}` is neither true nor false"))),
        }
    }

    /// Refuses a `capauth_version` that is neither absent nor 1 nor 1.x.
    pub(super) fn version(&mut self) -> Result<(), Refusal> {
        let Some(version) = self.text("capauth_version", MAX_VERSION, Text::Line)? else { return Ok(()) };
        let minor = |minor: &str| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit());
        if version == "1" || version.strip_prefix("1.").is_some_and(minor) {
            return Ok(());
        }
        Err(Refusal::new(ErrorCode::UnsupportedVersion, "this server speaks version 1.0 of the protocol"))
    }
}

/// Refuses control characters anywhere inside claims, but for line ends and tabs in values.
pub(super) fn check_claims(claims: &Json) -> Result<(), Refusal> {
    match claims {
        Json::String(text) if !text.chars().all(|symbol| Text::Claim.allows(symbol)) => {
            Err(invalid("`claims` holds control characters"))
        }
        Json::Array(values) => values.iter().try_for_each(check_claims),
        Json::Object(object) => object.iter().try_for_each(|(name, value)| {
            if has_control_characters(name) {
                return Err(invalid("`claims` has a name with control characters"));
            }
            check_claims(value)
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(()),
    }
}
