//! Where a browser goes after a login: to this site, or to its front page.

use std::fmt::Write as _;

use capauth_protocol::limits::MAX_REDIRECT;

/// The path to go to after a login: what was asked for if it can only mean a path on this site, else `/`.
///
/// Browsers are generous about what they take for the start of an address: they turn `\` into `/`, drop tabs and line
/// ends, and take `//host` for another site. Some servers and proxies decode `%2F` and `%5C` once more. Whatever
/// could come out as another site through any of it is not followed.
///
/// ```
/// use capauth_tower::safe_redirect;
///
/// assert_eq!(safe_redirect("/reports?year=2026#top"), "/reports?year=2026#top");
/// assert_eq!(safe_redirect("//evil.example"), "/");
/// assert_eq!(safe_redirect("https://evil.example"), "/");
/// ```
pub fn safe_redirect(wanted: &str) -> &str {
    if is_path(wanted) { wanted } else { "/" }
}

fn is_path(wanted: &str) -> bool {
    if wanted.len() > MAX_REDIRECT || !wanted.starts_with('/') {
        return false;
    }
    // Only what a URL may consist of: no white space, no control characters, no `\`, nothing outside ASCII.
    if !wanted
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'`'))
    {
        return false;
    }
    let path = wanted.split(['?', '#']).next().unwrap_or_default();
    stays_here(path.as_bytes())
}

/// Whether a path leads to this site as it is, and after any decoding that somebody on the way may do once more.
fn stays_here(path: &[u8]) -> bool {
    let mut path = path.to_vec();
    for _ in 0..4 {
        if path.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\') {
            return false;
        }
        // `//` at the beginning is another site's name, and `.` and `..` are taken out before one looks for it.
        let steps = || path.split(|byte| *byte == b'/').skip(1);
        let last = steps().count().saturating_sub(1);
        if steps()
            .enumerate()
            .any(|(place, step)| step == b"." || step == b".." || (step.is_empty() && place < last))
        {
            return false;
        }
        let decoded = percent_decode(&path);
        if decoded == path {
            return true;
        }
        path = decoded;
    }
    false
}

/// Encodes all but the letters, digits and `-._~/`: what then stands behind `?redirect=` is one value, whole.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Decodes `%41` to `A`; what is no such code stays as it is.
pub(crate) fn percent_decode(mut text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        let code = rest.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = code.and_then(|code| hex::decode(code).ok()).and_then(|bytes| bytes.first().copied());
        decoded.push(byte.unwrap_or(*first));
        text = if byte.is_some() { rest.get(2..).unwrap_or_default() } else { rest };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_itself_and_holds_nothing_that_ends_a_value() {
        for path in ["/", "/me?a=b&c=d#e", "/a%20b+c", "/é"] {
            let encoded = percent_encode(path);
            assert!(!encoded.contains(['&', '?', '#', '+', '=']), "{encoded}");
            assert_eq!(percent_decode(encoded.as_bytes()), path.as_bytes());
        }
        assert_eq!(percent_encode("/me?a=b&c=d"), "/me%3Fa%3Db%26c%3Dd");
    }

    #[test]
    fn paths_of_this_site_are_followed() {
        for good in [
            "/",
            "/me",
            "/a/b/c/",
            "/me?a=b&c=d",
            "/me?next=https://evil.example//x",
            "/search?q=%0a",
            "/me#/a//b",
            "/~user/@name:1,2;v=1",
            "/caf%C3%A9",
            "/100%25",
            "/a%20b",
        ] {
            assert_eq!(safe_redirect(good), good);
        }
        let longest = format!("/{}", "a".repeat(MAX_REDIRECT - 1));
        assert_eq!(safe_redirect(&longest), longest);
    }

    #[test]
    fn attack_open_redirect() {
        let long = format!("/{}", "a".repeat(MAX_REDIRECT));
        for bad in [
            "",
            "me",
            "https://evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/\\/evil.example",
            "/a\\b",
            "/\t/evil.example",
            "\t//evil.example",
            "/\n/evil.example",
            "/\r\n/evil.example",
            "/me\r\nSet-Cookie: a=b",
            "/\0/evil.example",
            "/\u{7f}",
            " /me",
            " //evil.example",
            "/ /evil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%2F%2Fevil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/%252fevil.example",
            "/%25252fevil.example",
            "/%2525252525252fevil.example",
            "/%%32%66evil.example",
            "/%%35%63evil.example",
            "/%09/evil.example",
            "/%0d%0aLocation:%20https://evil.example",
            "/%250d%250aLocation:x",
            "/.//evil.example",
            "/%2e//evil.example",
            "/%2e/%2fevil.example",
            "/x/..//evil.example",
            "/x/%2e%2e//evil.example",
            "/x/%2e%2e%2f%2fevil.example",
            "/..//evil.example",
            "/x//evil.example",
            "/\u{2044}/evil.example",
            "/\u{ff0f}evil.example",
            "/\u{a0}/evil.example",
            "/\"onload=x",
            "/<script>",
            "?//evil.example",
            "#//evil.example",
            "@evil.example",
            ".evil.example",
            &long,
        ] {
            assert_eq!(safe_redirect(bad), "/", "{bad:?}");
        }
    }
}
