//! The rule against requests that another site makes a browser send.

use capauth_verifier::{AuthError, AuthErrorKind};
use http::{HeaderMap, Method, header};

/// Under it, every request that may change something is looked at, with or without a cookie.
const LOGIN_PREFIX: &str = "/auth/capauth/";

/// The origins that this application is served from, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Origins(Vec<String>);

impl Origins {
    pub(crate) fn new<'a>(origins: impl Iterator<Item = &'a String>) -> Self {
        // `null` is what a browser says for pages without an origin, which anybody can make.
        Self(origins.filter(|origin| *origin != "null").cloned().collect())
    }

    /// The first: the base URL.
    pub(crate) fn first(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// The origin of the page that sent a request: the one that `Origin` names, if it is ours, else the first.
    pub(crate) fn of_page(&self, headers: &HeaderMap) -> Option<&str> {
        let named = only(headers, header::ORIGIN);
        let own = self.0.iter().find(|own| Some(own.as_bytes()) == named);
        own.map(String::as_str).or_else(|| self.first())
    }

    /// Refuses a request that may change something and that a page of ours did not send.
    ///
    /// A request without our cookie is only looked at on the login paths, and there passes when it says nothing of
    /// where it comes from: then it is no browser.
    pub(crate) fn check(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        has_cookie: impl FnOnce() -> bool,
    ) -> Result<(), AuthError> {
        let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
        if safe {
            return Ok(());
        }
        let has_cookie = has_cookie();
        if !(has_cookie || path.starts_with(LOGIN_PREFIX)) {
            return Ok(());
        }
        let ours = match (only(headers, header::ORIGIN), only(headers, "sec-fetch-site")) {
            (Some(origin), _) => self.0.iter().any(|own| own.as_bytes() == origin),
            (None, Some(site)) => site == b"same-origin",
            (None, None) => !has_cookie,
        };
        if ours { Ok(()) } else { Err(foreign()) }
    }

    /// Refuses a form that a page of another site sent, whatever its path: any page can have a browser send one, without
    /// a cookie too, and what it does would count against whoever looks at that page.
    pub(crate) fn check_form(&self, headers: &HeaderMap) -> Result<(), AuthError> {
        let passes = match (only(headers, header::ORIGIN), only(headers, "sec-fetch-site")) {
            (Some(origin), _) => self.0.iter().any(|own| own.as_bytes() == origin),
            (None, Some(site)) => site == b"same-origin",
            // No browser.
            (None, None) => true,
        };
        if passes { Ok(()) } else { Err(foreign()) }
    }
}

fn foreign() -> AuthError {
    AuthError::with_words(AuthErrorKind::Forbidden, "This request does not come from a page of this site.")
}

/// The value of a header; of one that is there several times, a value that matches nothing.
fn only(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(if values.next().is_none() { first.as_bytes() } else { b"" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(method: &Method, path: &str, cookie: bool, headers: &[(&'static str, &'static str)]) -> bool {
        let own = ["https://app.example.com".to_owned(), "null".to_owned()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Origins::new(own.iter()).check(method, path, &map, || cookie).is_ok()
    }

    #[test]
    fn attack_cross_site_requests_with_a_cookie_are_refused_on_every_path_and_unsafe_method() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
            for bad in [
                &[][..],
                &[("origin", "null")],
                &[("origin", "https://evil.example")],
                &[("origin", "https://app.example.com.evil.example")],
                &[("origin", "http://app.example.com")],
                &[("origin", "https://app.example.com:444")],
                &[("origin", "HTTPS://APP.EXAMPLE.COM")],
                &[("origin", "")],
                &[("origin", "https://app.example.com"), ("origin", "https://evil.example")],
                &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
                &[("sec-fetch-site", "same-site")],
                &[("sec-fetch-site", "cross-site")],
                &[("sec-fetch-site", "none")],
                &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            ] {
                assert!(!passes(&method, "/anything", true, bad), "{method} {bad:?}");
            }
            assert!(passes(&method, "/anything", true, &[("origin", "https://app.example.com")]));
            assert!(passes(&method, "/anything", true, &[("sec-fetch-site", "same-origin")]));
            assert!(passes(&method, "/anything", false, &[("origin", "https://evil.example")]));
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(passes(&method, "/anything", true, &[("origin", "https://evil.example")]));
        }
    }

    #[test]
    fn attack_form_of_a_foreign_page_without_a_cookie() {
        let own = ["https://app.example.com".to_owned(), "null".to_owned()];
        let passes = |headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            Origins::new(own.iter()).check_form(&map).is_ok()
        };
        for bad in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "https://app.example.com"), ("origin", "https://evil.example")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert!(!passes(bad), "{bad:?}");
        }
        for good in [&[][..], &[("origin", "https://app.example.com")], &[("sec-fetch-site", "same-origin")]]
        {
            assert!(passes(good), "{good:?}");
        }
    }

    #[test]
    fn attack_login_csrf_is_refused_without_a_cookie_too() {
        let path = "/auth/capauth/verify";
        assert!(!passes(&Method::POST, path, false, &[("origin", "https://evil.example")]));
        assert!(!passes(&Method::POST, path, false, &[("origin", "null")]));
        assert!(!passes(&Method::POST, path, false, &[("sec-fetch-site", "cross-site")]));
        assert!(passes(&Method::POST, path, false, &[("origin", "https://app.example.com")]));
        assert!(passes(&Method::POST, path, false, &[("sec-fetch-site", "same-origin")]));
        assert!(passes(&Method::POST, path, false, &[]), "no browser");
    }
}
