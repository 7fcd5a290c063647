//! The one form in which an e-mail address is compared.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// The longest text that is looked at, in bytes. A domain in letters of another script is longer than its A-labels.
const MAX_CLAIM: usize = 1024;
/// The longest local part, in bytes (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;

/// An e-mail address in its normal form: both parts in lower case, the domain as A-labels.
///
/// Two addresses are the same if and only if their normal forms are. The form is plain ASCII, so that a letter of
/// another script which looks like a Latin one cannot hide in it. It is personal data: it does not print, not even for
/// debugging.
///
/// ```
/// use capauth_verifier::EmailAddress;
///
/// let address = EmailAddress::parse("Ada+Login@Bücher.example").unwrap();
/// assert_eq!(address.as_str(), "ada+login@xn--bcher-kva.example");
/// assert_eq!(format!("{address:?}"), "EmailAddress(…)");
/// assert!(EmailAddress::parse("ada@[127.0.0.1]").is_none());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads what a person claims or a User ID says. `None` for everything unusual: quotes, comments, letters outside
    /// ASCII before the `@`, a domain without a dot, an IP address, a port, white space.
    ///
    /// ```
    /// use capauth_verifier::EmailAddress;
    ///
    /// assert!(EmailAddress::parse("ada@example.org").is_some());
    /// assert!(EmailAddress::parse("\"ada\"@example.org").is_none());
    /// ```
    pub fn parse(claim: &str) -> Option<Self> {
        if claim.len() > MAX_CLAIM {
            return None;
        }
        let (local, domain) = claim.split_once('@')?;
        if !is_plain(local) {
            return None;
        }
        Some(Self(format!("{}@{}", local.to_ascii_lowercase(), normal_domain(domain)?)))
    }

    /// The whole address.
    ///
    /// ```
    /// # use capauth_verifier::EmailAddress;
    /// assert_eq!(EmailAddress::parse("Ada@Example.org").unwrap().as_str(), "ada@example.org");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    ///
    /// ```
    /// # use capauth_verifier::EmailAddress;
    /// assert_eq!(EmailAddress::parse("Ada@Example.org").unwrap().local(), "ada");
    /// ```
    pub fn local(&self) -> &str {
        self.0.split_once('@').map_or("", |(local, _)| local)
    }

    /// What stands after the `@`.
    ///
    /// ```
    /// # use capauth_verifier::EmailAddress;
    /// assert_eq!(EmailAddress::parse("Ada@Example.org").unwrap().domain(), "example.org");
    /// ```
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

/// Whether it is a Dot-string of RFC 5321: atoms with single dots between them.
fn is_plain(local: &str) -> bool {
    let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    local.len() <= MAX_LOCAL && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// The domain as lower-case A-labels of letters, digits and hyphens, 253 bytes at most.
fn normal_domain(domain: &str) -> Option<String> {
    let domain = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
        .ok()?;
    // A last label that begins with a digit makes an IPv4 address of the whole, in one of its many spellings: no
    // top-level domain does.
    let (_, last) = domain.rsplit_once('.')?;
    last.starts_with(|letter: char| letter.is_ascii_lowercase()).then(|| domain.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(claim: &str) -> Option<String> {
        EmailAddress::parse(claim).map(|address| address.0)
    }

    #[test]
    fn an_address_has_one_normal_form() {
        for (claim, form) in [
            ("ada@example.org", "ada@example.org"),
            ("ADA@EXAMPLE.ORG", "ada@example.org"),
            ("ada.l+login@mail.example.org", "ada.l+login@mail.example.org"),
            ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
            ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
            ("ada@123.example", "ada@123.example"),
            ("ada@example.xn--p1ai", "ada@example.xn--p1ai"),
        ] {
            assert_eq!(normal(claim).as_deref(), Some(form), "{claim}");
        }
    }

    #[test]
    fn whatever_is_unusual_is_no_address() {
        let long = format!("{}@example.org", "a".repeat(65));
        let label = format!("a@{}.org", "b".repeat(64));
        let domain = format!("a@{}org", "b23456789.".repeat(26));
        let endless = format!("a@{}.org", "ü".repeat(1024));
        for claim in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.org",
            "ada@@example.org",
            "a@b@example.org",
            "ada@example",
            ".ada@example.org",
            "ada.@example.org",
            "a..da@example.org",
            "\"ada\"@example.org",
            "\"a b\"@example.org",
            "ada(comment)@example.org",
            "(comment)ada@example.org",
            "ada@example.org(comment)",
            "ada@(comment)example.org",
            "Ada <ada@example.org>",
            "<ada@example.org>",
            " ada@example.org",
            "ada@example.org ",
            "a da@example.org",
            "ada@exam ple.org",
            "ada@example.org\n",
            "ada\0@example.org",
            "ada@example.org\0",
            "ada@127.0.0.1",
            "ada@[127.0.0.1]",
            "ada@[::1]",
            "ada@::1",
            "ada@[IPv6:::1]",
            "ada@0x7f.1",
            "ada@127.1",
            "ada@example.0x7f",
            "ada@2130706433",
            "ada@example.123",
            "ada@example.org.",
            "ada@example.org:443",
            "ada@.example.org",
            "ada@example..org",
            "ada@-example.org",
            "ada@example-.org",
            "ada@exa_mple.org",
            "ada@example.org/path",
            "ada@example.org?x",
            "ada@example.org#x",
            "ada@user:password@example.org",
            "ada@exam%70le.org",
            "mailto:ada@example.org",
            "ada\\@example.org",
            "ada,bob@example.org",
            "ada;bob@example.org",
            "ada:bob@example.org",
            "ada@xn--a.example",
            "ada@xn--.example",
            "аda@example.org",
            "adä@example.org",
            "ada＠example.org",
            "ada@b＠example.org",
            "ada@１２７.０.０.１",
            "ada@①②⑦.0.0.①",
            "ada@example.org\u{ff0f}path",
            &long,
            &label,
            &domain,
            &endless,
        ] {
            assert_eq!(normal(claim), None, "{claim:?}");
        }
        // As long as may be.
        assert!(normal(&format!("{}@example.org", "a".repeat(64))).is_some());
        assert!(normal(&format!("a@{}.org", "b".repeat(63))).is_some());
        assert!(normal(&format!("a@{}org", "b23456789.".repeat(25))).is_some());
    }

    #[test]
    fn attack_a_cyrillic_letter_never_becomes_a_latin_one() {
        assert_eq!(normal("ada@exаmple.org").as_deref(), Some("ada@xn--exmple-4nf.org"));
        assert_eq!(normal("аdа@example.org"), None);
    }

    #[test]
    fn an_address_does_not_print() {
        let address = EmailAddress::parse("ada@example.org").unwrap();
        assert_eq!(format!("{address:?} {:?}", Some(&address)), "EmailAddress(…) Some(EmailAddress(…))");
        assert_eq!((address.local(), address.domain()), ("ada", "example.org"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(claim in any::<String>()) {
            settled(&claim);
        }

        #[test]
        fn so_it_is_with_what_looks_like_an_address(claim in "[a-zA-Z+.а]{1,8}@[\\PC.]{1,12}\\.(org|ОРГ|[0-9a-z]{1,4})") {
            settled(&claim);
        }

        #[test]
        fn what_is_accepted_is_a_name_and_no_address_for_a_browser_too(
            domain in "[0-9a-fA-FxX.]{1,12}\\.[0-9a-zA-Z]{1,4}"
        ) {
            if let Some(address) = EmailAddress::parse(&format!("a@{domain}")) {
                let url = reqwest::Url::parse(&format!("https://{}/", address.domain())).unwrap();
                prop_assert_eq!(url.domain(), Some(address.domain()));
            }
        }
    }

    fn settled(claim: &str) {
        if let Some(first) = normal(claim) {
            assert!(first.is_ascii() && first.len() <= MAX_LOCAL + 1 + 253, "{claim:?}");
            assert_eq!(normal(&first), Some(first.clone()), "{claim:?}");
        }
    }
}
