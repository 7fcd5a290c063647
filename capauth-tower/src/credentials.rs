//! What stands in `Authorization`.

use capauth_verifier::{AuthError, AuthErrorKind};
use http::{HeaderMap, header};

/// The longest token that is looked at.
const MAX_TOKEN: usize = 8 * 1024;

/// The bearer's token, if the request has one. Other schemes are the application's business.
///
/// # Errors
/// Several `Authorization` headers, one that is not ASCII text, or `Bearer` without a token.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let refused = || AuthError::new(AuthErrorKind::InvalidToken);
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused());
    }
    let text = value.to_str().map_err(|_| refused())?.trim_matches([' ', '\t']);
    let (scheme, token) = text.split_at(text.find([' ', '\t', ',']).unwrap_or(text.len()));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches([' ', '\t']);
    let graphic = token.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if token.is_empty() || token.len() > MAX_TOKEN || !graphic {
        return Err(refused());
    }
    Ok(Some(token))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(lines: &[&[u8]]) -> Result<Option<String>, AuthErrorKind> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(line).unwrap());
        }
        bearer(&headers).map(|token| token.map(str::to_owned)).map_err(|error| error.kind())
    }

    #[test]
    fn a_bearer_is_read_whatever_the_case_and_other_schemes_are_left_alone() {
        for good in [&b"Bearer abc"[..], b"bearer abc", b"BEARER  abc ", b"Bearer\tabc"] {
            assert_eq!(read(&[good]), Ok(Some("abc".to_owned())));
        }
        for other in [&b"Basic YTpi"[..], b"Bearerabc x", b"", b"Basic x, Bearer abc"] {
            assert_eq!(read(&[other]), Ok(None));
        }
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn attack_ambiguous_authorization_is_refused() {
        let long = [b"Bearer ", "a".repeat(MAX_TOKEN + 1).as_bytes()].concat();
        for bad in [
            &b"Bearer"[..],
            b"Bearer ",
            b"Bearer a b",
            b"Bearer a,b",
            b"Bearer,a",
            b"Bearer \xff",
            b"\xff",
            &long,
        ] {
            assert_eq!(read(&[bad]), Err(AuthErrorKind::InvalidToken));
        }
        assert_eq!(read(&[b"Bearer a", b"Bearer a"]), Err(AuthErrorKind::InvalidToken));
        assert_eq!(read(&[b"Basic a", b"Bearer a"]), Err(AuthErrorKind::InvalidToken));
    }
}
