//! Reading and writing cookies of ours.

use http::{HeaderMap, HeaderValue, header};

/// Browsers keep name, value and attributes of up to this many bytes.
pub(crate) const MAX_COOKIE: usize = 4096;

/// What a request says in the cookie of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Nothing.
    Nothing,
    /// Something that we did not write, or several at once of which one was smuggled in.
    Unbelievable,
    /// One value.
    One(&'a str),
}

/// Looks for the cookie of this name in all `Cookie` headers. Other cookies may hold any bytes.
pub(crate) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Found<'a> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (own, value) = pair.split_at(equals);
        (own == name.as_bytes()).then(|| value.strip_prefix(b"=").unwrap_or_default())
    });
    match (values.next(), values.next()) {
        (None, _) => Found::Nothing,
        (Some(value), None) if is_ours(value) => {
            std::str::from_utf8(value).map_or(Found::Unbelievable, Found::One)
        }
        (Some(_), _) => Found::Unbelievable,
    }
}

/// Whether the value is in base64url, as we write it.
fn is_ours(value: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !value.is_empty() && value.len() <= MAX_COOKIE && value.iter().all(digit)
}

/// A `Set-Cookie` value; `None` if the cookie would be too large for a browser. `seconds` of 0 clears it.
pub(crate) fn set(name: &str, value: &str, secure: bool, seconds: u64) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly{secure}; SameSite=Lax");
    if cookie.len() > MAX_COOKIE {
        return None;
    }
    let mut cookie = HeaderValue::try_from(cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&[u8]]) -> Option<Option<String>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        match find(&headers, "__Host-capauth") {
            Found::Nothing => None,
            Found::Unbelievable => Some(None),
            Found::One(value) => Some(Some(value.to_owned())),
        }
    }

    #[test]
    fn ours_is_found_among_any_others() {
        let ours = Some(Some("abc-_9".to_owned()));
        assert_eq!(found(&[b"__Host-capauth=abc-_9"]), ours);
        assert_eq!(found(&[b"a=b; __Host-capauth=abc-_9; c=d"]), ours);
        assert_eq!(found(&[b"a=b", b"c;;=; __Host-capauth=abc-_9"]), ours);
        assert_eq!(found(&[b"a=\xff\xfe;__Host-capauth=abc-_9"]), ours, "a foreign byte hides nothing");
        assert_eq!(found(&[b"a=b; __host-capauth=x; x__Host-capauth=y; capauth-insecure=z"]), None);
        assert_eq!(found(&[b"__Host-capauth"]), None);
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn attack_second_cookie_of_our_name() {
        assert_eq!(found(&[b"__Host-capauth=a; __Host-capauth=b"]), Some(None));
        assert_eq!(found(&[b"__Host-capauth=a", b"__Host-capauth=a"]), Some(None));
    }

    #[test]
    fn what_we_did_not_write_is_not_believed() {
        for bad in
            [&b"__Host-capauth="[..], b"__Host-capauth=\"a\"", b"__Host-capauth=a%20", b"__Host-capauth=\xff"]
        {
            assert_eq!(found(&[bad]), Some(None));
        }
        let long = [b"__Host-capauth=", "a".repeat(MAX_COOKIE + 1).as_bytes()].concat();
        assert_eq!(found(&[&long]), Some(None));
    }

    #[test]
    fn a_cookie_too_large_for_browsers_is_not_set() {
        let cookie = set("__Host-capauth", "v", true, 60).unwrap();
        assert_eq!(cookie, "__Host-capauth=v; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax");
        assert!(cookie.is_sensitive());
        assert!(!set("capauth-insecure", "v", false, 60).unwrap().to_str().unwrap().contains("Secure"));
        assert!(set("__Host-capauth", &"v".repeat(4000), true, 60).is_some());
        assert!(set("__Host-capauth", &"v".repeat(MAX_COOKIE), true, 60).is_none());
    }
}
