//! What the service refuses: as much of it as is the client's business.

use std::borrow::Cow;
use std::time::Duration;

use capauth_protocol::ErrorCode;
use serde_json::Value;

use super::fault::FaultKind;
use super::link::{Answer, Link};
use crate::error::{AuthError, AuthErrorKind};

/// The longest words that are passed on, in characters.
const MAX_WORDS: usize = 300;

/// Why a login was refused.
struct Refused {
    word: String,
    words: Option<String>,
}

/// What to tell the client of an answer that is no success.
pub(super) fn refusal(link: &Link, answer: &Answer) -> AuthError {
    let Some(refused) = serde_json::from_slice(&answer.body).ok().as_ref().and_then(read) else {
        return link.unexpected(answer).into();
    };
    let Some(code) = code_of(&refused.word, answer.status) else { return link.unexpected(answer).into() };
    match code {
        ErrorCode::ServiceMismatch => {
            let words = "the central service does not make challenges for this application: list it in its \
                         CAPAUTH_SERVICES, under the name that `.service(…)` has here";
            link.fault(FaultKind::Challenge, words).into()
        }
        // Of our own calls this is our mistake, or the service's.
        ErrorCode::InvalidToken
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::PayloadTooLarge
        | ErrorCode::NotConfigured
        | ErrorCode::ServerError
        | ErrorCode::Unavailable => link.unexpected(answer).into(),
        code => {
            let kind = AuthErrorKind::of_code(code).unwrap_or(AuthErrorKind::InvalidRequest);
            let error = match refused.words.filter(|words| is_fit_to_show(words)) {
                Some(words) => AuthError::with_words(kind, Cow::Owned(words)),
                None => AuthError::new(kind),
            };
            match answer.retry_after.filter(|_| kind == AuthErrorKind::TooManyRequests) {
                Some(seconds) => error.retry_after(Duration::from_secs(seconds)),
                None => error,
            }
        }
    }
}

/// `{"error": …}`, or what the older service answers: the same inside `detail`, `detail` with a `status`, `detail` as
/// text, or a list of what is wrong with the request.
fn read(body: &Value) -> Option<Refused> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    match body.get("detail") {
        None => {
            let word = text(body.get("error"))?;
            Some(Refused { word, words: text(body.get("error_description")) })
        }
        Some(Value::Object(detail)) => {
            let word = text(detail.get("error")).or(text(detail.get("status")))?;
            let words = text(detail.get("error_description")).or(text(detail.get("message")));
            Some(Refused { word, words })
        }
        Some(Value::String(words)) => Some(Refused { word: String::new(), words: Some(words.clone()) }),
        Some(Value::Array(_)) => Some(Refused { word: String::new(), words: None }),
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) => None,
    }
}

/// By word and status; by the word alone for a service that has other statuses; by the status alone for one that has
/// no words.
fn code_of(word: &str, status: u16) -> Option<ErrorCode> {
    if (word, status) == ("invalid_fingerprint", 401) {
        // What the older service says of a key that is not the one of this fingerprint.
        return Some(ErrorCode::FingerprintMismatch);
    }
    let of_word = || ErrorCode::ALL.iter().copied().find(|code| code.as_str() == word);
    ErrorCode::from_wire(word, status).or_else(of_word).or(match status {
        400 | 422 => Some(ErrorCode::InvalidRequest),
        403 => Some(ErrorCode::Forbidden),
        409 => Some(ErrorCode::Conflict),
        429 => Some(ErrorCode::TooManyRequests),
        _ => None,
    })
}

/// Printable, and nothing that turns the direction of what stands beside it.
fn is_fit_to_show(words: &str) -> bool {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    (1..=MAX_WORDS).contains(&words.chars().count()) && !words.contains(odd)
}
