//! Reading a store's URL.

use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// What a URL names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    File(PathBuf),
}

const SUPPORTED: &str = "supported are sqlite:///absolute/path.db, sqlite://relative/path.db and memory:";

impl Place {
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        if matches!(url, "memory:" | "sqlite::memory:" | "sqlite://:memory:") {
            return Ok(Self::Memory);
        }
        // Only the scheme is repeated: what follows may hold a password.
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| OpenError::new(format!("this is not a database URL; {SUPPORTED}")))?;
        if scheme != "sqlite" {
            let scheme: String = scheme.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
            return Err(OpenError::new(format!(
                "databases of the kind `{scheme}:` are not supported; {SUPPORTED}"
            )));
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.is_empty() || path.ends_with('/') {
            return Err(OpenError::new(format!("the database URL names no file; {SUPPORTED}")));
        }
        if path.contains(['?', '#', '\0']) {
            return Err(OpenError::new("a database URL has no parameters, and its path no `?` or `#`"));
        }
        let path = std::path::absolute(path).map_err(|_| OpenError::new("the current folder is gone"))?;
        Ok(Self::File(path))
    }
}

/// The file that holds the master key of a database when none is handed in: `{database}.master-key`.
pub fn master_key_file(database: &Path) -> PathBuf {
    with_suffix(database, ".master-key")
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_memory_are_told_apart() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(Place::parse("sqlite:///a/b.db").unwrap(), Place::File("/a/b.db".into()));
        assert_eq!(Place::parse("sqlite://b.db").unwrap(), Place::File(here.join("b.db")));
        assert_eq!(Place::parse("sqlite:c/b.db").unwrap(), Place::File(here.join("c/b.db")));
        for memory in ["memory:", "sqlite::memory:", "sqlite://:memory:"] {
            assert_eq!(Place::parse(memory).unwrap(), Place::Memory);
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_with_what_is_supported_and_without_its_password() {
        for bad in [
            "postgres://me:hunter2@db/capauth",
            "",
            "keys.db",
            "sqlite://",
            "sqlite:///a/",
            "sqlite://a?mode=ro",
        ] {
            let error = Place::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("sqlite://") || error.contains("parameters"), "{error}");
        }
    }
}
