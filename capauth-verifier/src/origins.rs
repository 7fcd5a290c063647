//! Names of services, and web origins as browsers write them.

use crate::error::ConfigError;

/// The web origins of a service: its base URL, and what is configured or else `https://{service}`.
///
/// # Errors
/// One of them is not a bare web origin, such as `https://app.example.com`.
pub fn service_origins(
    service: &str,
    base_url: &str,
    configured: Vec<String>,
) -> Result<Vec<String>, ConfigError> {
    let mut origins = vec![base_url.to_owned()];
    origins.extend(if configured.is_empty() { vec![format!("https://{service}")] } else { configured });
    checked_origins(origins)
}

pub(crate) fn service_name(name: &str) -> Result<String, ConfigError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if name.is_empty() || name.len() > capauth_protocol::limits::MAX_SERVICE || !name.bytes().all(plain) {
        return Err(ConfigError::new(format!(
            "{name:?} is no service name; use a host name such as app.example.com"
        )));
    }
    Ok(name.to_ascii_lowercase())
}

pub(crate) fn checked_origins(origins: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let mut checked: Vec<String> = Vec::new();
    for origin in origins {
        let origin = self::origin(&origin)?;
        if !checked.contains(&origin) {
            checked.push(origin);
        }
    }
    Ok(checked)
}

/// Checks that a text is a bare web origin, as browsers write it in `Origin`: lower case, no path, no default port.
pub(crate) fn origin(text: &str) -> Result<String, ConfigError> {
    let wrong = || {
        ConfigError::new(format!(
            "{text:?} is no web origin; write it as https://app.example.com, without a slash at the end"
        ))
    };
    let lower = text.to_ascii_lowercase();
    let (scheme, host) = lower.split_once("://").ok_or_else(wrong)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let default_port =
        (scheme == "https" && host.ends_with(":443")) || (scheme == "http" && host.ends_with(":80"));
    if !matches!(scheme, "https" | "http") || host.is_empty() || !host.bytes().all(plain) || default_port {
        return Err(wrong());
    }
    Ok(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_bare() {
        for good in ["https://a.example", "http://localhost:3000", "http://[::1]:8080", "HTTPS://A.example"] {
            assert!(origin(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "null",
            "https://a.example/",
            "https://a/b",
            "https://u@a",
            "ftp://a",
            "https://a:443",
            "https://*",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
