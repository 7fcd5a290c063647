//! What is counted of refusals, for whoever installs a recorder of the [`metrics`] facade.

use capauth_protocol::ErrorCode;
use capauth_verifier::AuthErrorKind;
use metrics::{counter, describe_counter};

const REFUSALS: &str = "capauth_refusals_total";

/// Refusals that no [`AuthErrorKind`] has a name for: those of HTTP's own form.
const OF_THE_FORM: [&str; 3] = ["MethodNotAllowed", "PayloadTooLarge", "UnsupportedMediaType"];

/// Shows every kind of refusal from the start, at nought: a rate then sees the first one.
pub(crate) fn begin() {
    describe_counter!(REFUSALS, "Requests that were refused, by kind");
    for kind in AuthErrorKind::ALL.iter().map(|kind| kind.as_str()).chain(OF_THE_FORM) {
        counter!(REFUSALS, "kind" => kind).absolute(0);
    }
}

/// Counts a refusal that an endpoint or a guard did not make, but somebody who answers in their stead: a time limit, or
/// whoever catches their panics. Theirs are counted already.
///
/// ```
/// use capauth_tower::{AuthErrorKind, count_refusal};
///
/// count_refusal(AuthErrorKind::Unavailable); // nobody answered in time
/// ```
pub fn count_refusal(kind: AuthErrorKind) {
    refused(kind);
}

/// A decision against somebody.
pub(crate) fn refused(kind: AuthErrorKind) {
    counter!(REFUSALS, "kind" => kind.as_str()).increment(1);
}

/// A request that is not of the protocol's form.
pub(crate) fn malformed(code: ErrorCode) {
    counter!(REFUSALS, "kind" => word(code)).increment(1);
}

fn word(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::MethodNotAllowed => "MethodNotAllowed",
        ErrorCode::PayloadTooLarge => "PayloadTooLarge",
        ErrorCode::UnsupportedMediaType => "UnsupportedMediaType",
        code => AuthErrorKind::of_code(code).unwrap_or(AuthErrorKind::InvalidRequest).as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_word_that_is_shown_from_the_start() {
        for code in ErrorCode::ALL {
            let word = word(*code);
            let kinds = AuthErrorKind::ALL.iter().map(|kind| kind.as_str());
            assert!(kinds.chain(OF_THE_FORM).any(|known| known == word), "{word}");
        }
        assert_eq!(word(ErrorCode::InvalidFingerprint), "InvalidRequest");
        assert_eq!(word(ErrorCode::TooManyRequests), "TooManyRequests");
    }
}
