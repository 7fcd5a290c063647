//! From texts to what they mean. Errors say what would be right and never repeat the text: it may be a secret that
//! stands in the wrong place.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use capauth_tower::Secret;
use figment::value::Value;

use super::ConfigError;

/// A key or a token is smaller; anything larger is the wrong file.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// A setting's value as one text.
pub(super) fn text(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(_, text) => Ok(text.clone()),
        Value::Char(_, character) => Ok(character.to_string()),
        Value::Bool(_, truth) => Ok(truth.to_string()),
        Value::Num(_, number) => number.to_i128_any().map(|n| n.to_string()).ok_or("is not a whole number"),
        Value::Empty(..) | Value::Dict(..) | Value::Array(..) => Err("is not a text"),
    }
}

trait AnyInteger {
    fn to_i128_any(&self) -> Option<i128>;
}

impl AnyInteger for figment::value::Num {
    fn to_i128_any(&self) -> Option<i128> {
        self.to_i128().or_else(|| self.to_u128().and_then(|n| i128::try_from(n).ok()))
    }
}

/// A list: comma-separated text, or an array of texts.
pub(super) fn list(value: &Value) -> Result<Vec<String>, &'static str> {
    let items = match value {
        Value::Array(_, items) => items.iter().map(text).collect::<Result<_, _>>()?,
        single => text(single)?.split(',').map(str::to_owned).collect::<Vec<_>>(),
    };
    Ok(items.iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
}

pub(super) fn boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is neither true nor false"),
    }
}

pub(super) fn address(text: &str) -> Result<IpAddr, &'static str> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| "is not an IP address, such as 127.0.0.1 or 0.0.0.0")
}

pub(super) fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "is not a port, a number from 0 to 65535")
}

pub(super) fn service_name(text: &str) -> Result<String, &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if text.is_empty() || text.len() > capauth_protocol::limits::MAX_SERVICE || !text.bytes().all(plain) {
        return Err("is not a host name, such as auth.example.com");
    }
    Ok(text.to_ascii_lowercase())
}

/// A web origin as browsers write it.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    const WRONG: &str =
        "is not a web origin, such as https://app.example.com, without a path or a slash at the end";
    let lower = text.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://").ok_or(WRONG)?;
    let default_port = match scheme {
        "https" => 443_u16,
        "http" => 80,
        _ => return Err(WRONG),
    };
    let (host, port) = host_and_port(authority);
    if !is_canonical_host(host) {
        return Err(WRONG);
    }
    let Some(port) = port else { return Ok(lower) };
    match port.parse::<u16>() {
        Ok(number) if number == default_port => {
            Err("names a port that goes without saying; browsers leave it out")
        }
        Ok(number) if number.to_string() == port => Ok(lower),
        _ => Err(WRONG),
    }
}

/// A web origin from which people sign in: what is signed there must not be read on the way, so plain http is for one's
/// own machine.
pub(super) fn login_origin(text: &str) -> Result<String, &'static str> {
    let origin = origin(text)?;
    match origin.strip_prefix("http://") {
        Some(authority) if !is_this_machine(host_and_port(authority).0) => {
            Err("holds an http:// origin of another machine; people sign in over https:// alone")
        }
        _ => Ok(origin),
    }
}

/// The two parts of what follows `://`. An IPv6 address stands in brackets and holds colons of its own.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let after_brackets = authority.rfind(']').unwrap_or(0);
    match authority.get(after_brackets..).and_then(|rest| rest.split_once(':')) {
        Some((_, port)) => (
            authority.strip_suffix(port).and_then(|rest| rest.strip_suffix(':')).unwrap_or_default(),
            Some(port),
        ),
        None => (authority, None),
    }
}

/// Whether browsers would write a host just so: a name of letters, digits, `-` and `_`, or an address in its shortest form.
/// Any other spelling would never be equal to what they send.
fn is_canonical_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|text| Some((text, text.parse::<Ipv6Addr>().ok()?)));
        return address.is_some_and(|(text, address)| browsers_write(&address) == text);
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let labels = host.strip_suffix('.').unwrap_or(host).split('.');
    // A name whose last part is a number is an address to browsers, in one of its many spellings.
    let number =
        |label: &str| label.bytes().all(|b| b.is_ascii_digit()) || label.strip_prefix("0x").is_some();
    let is_address = labels.clone().next_back().is_some_and(number);
    labels.into_iter().all(|label| !label.is_empty() && label.bytes().all(plain))
        && (!is_address || host.parse::<Ipv4Addr>().is_ok_and(|address| address.to_string() == host))
}

/// As browsers do: addresses that hold one of version 4 are written in digits of version 6 as well.
fn browsers_write(address: &Ipv6Addr) -> String {
    match address.to_ipv4_mapped() {
        None => address.to_string(),
        Some(_) => {
            let [.., high, low] = address.segments();
            format!("::ffff:{high:x}:{low:x}")
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// A secret: the text itself, or that of the file in a table `{ file = "…" }`.
pub(super) fn secret(value: &Value, place: &str) -> Result<Secret, ConfigError> {
    let Value::Dict(_, table) = value else {
        return text(value).map(Secret::from).map_err(|wrong| ConfigError::at(place, wrong));
    };
    let path = match (table.len(), table.get("file").map(text)) {
        (1, Some(Ok(path))) => path,
        _ => return Err(ConfigError::at(place, "is not a text")),
    };
    let cannot =
        |e: std::io::Error| ConfigError::at(place, format_args!("names {path}, which cannot be read: {e}"));
    let mut content = String::new();
    let read = File::open(&path).map_err(cannot)?.take(MAX_SECRET_FILE + 1).read_to_string(&mut content);
    let content = Secret::from(content);
    if read.map_err(cannot)? as u64 > MAX_SECRET_FILE {
        return Err(ConfigError::at(place, format_args!("names {path}, which is too large for a secret")));
    }
    // Editors and `echo` end a file with a line end that is no part of the secret.
    let trimmed = content.expose().trim_end_matches(['\n', '\r']);
    if trimmed.is_empty() {
        return Err(ConfigError::at(place, format_args!("names {path}, which is empty")));
    }
    Ok(Secret::from(trimmed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for good in ["https://a.example", "http://localhost:3000", "http://[::1]:8080", "HTTPS://A.example"] {
            assert_eq!(origin(good).unwrap(), good.to_ascii_lowercase());
        }
        for bad in [
            "*",
            "null",
            "https://a.example/",
            "https://a/b",
            "ftp://a",
            "https://a:443",
            "https://*",
            "https://",
            "a.example",
            "https://u@a",
            "https://a:",
            "https://a:99999",
            "https://a:+1",
            "https://:80",
            "https://[]",
            "https://[::1]:x",
            "https://a?b",
            "https://a#b",
            "https://a b",
            "https://a..b",
            "https://.a",
            "https://a:08443",
            "https://a:80:80",
            "https://b\u{fc}cher.example",
            "https://127.1",
            "https://0x7f.0.0.1",
            "https://256.1.1.1",
            "https://[0:0::1]",
            "https://[::1",
            "https://::1",
            "",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn people_sign_in_over_https_but_on_their_own_machine() {
        for good in [
            "https://a.example",
            "http://localhost:3000",
            "http://app.localhost",
            "http://127.0.0.1:8420",
            "http://[::1]:8420",
        ] {
            assert_eq!(login_origin(good).unwrap(), good);
        }
        for bad in
            ["http://a.example", "http://192.168.1.1", "http://localhost.example", "http://127.0.0.1.example"]
        {
            assert!(login_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists_are_texts_or_arrays() {
        assert_eq!(list(&Value::from(" a, b,,c ")).unwrap(), ["a", "b", "c"]);
        assert_eq!(list(&Value::from(vec!["a", "b"])).unwrap(), ["a", "b"]);
        assert!(list(&Value::from(vec![vec!["a"]])).is_err());
        assert_eq!(text(&Value::from(8420_u16)).unwrap(), "8420");
        assert_eq!(text(&Value::from(-1_i64)).unwrap(), "-1");
        assert!(text(&Value::from(1.5)).is_err());
    }
}
