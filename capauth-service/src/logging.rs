//! The log, on standard error.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, LogFormat};

/// Libraries below us that at high levels would log what came over the wire.
const QUIET: &str =
    "hyper=warn,hyper_util=warn,h2=warn,sqlx=warn,tower=warn,axum=warn,reqwest=warn,rustls=warn";

const WRONG: &str = "is no log filter: write error, warn, info, debug, or target=level,target=level";

/// Checks a filter; answers it in full.
pub(crate) fn check_filter(text: &str) -> Result<String, &'static str> {
    let filter = match text.to_ascii_lowercase().as_str() {
        // A bare level is about this program, not about its libraries.
        level @ ("off" | "error" | "warn") => level.to_owned(),
        level @ ("info" | "debug" | "trace") => format!("warn,capauth={level}"),
        _ if text.contains('=') => text.to_owned(),
        _ => return Err(WRONG),
    };
    EnvFilter::try_new(&filter).map(|_| filter).map_err(|_| WRONG)
}

/// Begins to log. Panics, too: where they happened, but not their words, which may quote a request.
///
/// # Errors
/// Somebody else in this process logs already.
pub fn start(config: &Config) -> Result<(), ConfigError> {
    let filter = check_filter(&config.log).unwrap_or_else(|_| config.log.clone());
    let filter = EnvFilter::try_new(format!("{filter},{QUIET}"))
        .map_err(|e| ConfigError::new(format!("the log filter does not fit: {e}")))?;
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(|e| ConfigError::new(format!("cannot log: {e}")))?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
    tracing::error!(target: "capauth::panic", place, "a part of the program panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_targets() {
        assert_eq!(check_filter("debug").unwrap(), "warn,capauth=debug");
        assert!(check_filter("capauth::request=debug,warn").is_ok());
        assert!(check_filter("warn,capauth=debug").is_ok());
        for bad in ["loud", "", "capauth=loud", "a=b=c"] {
            assert!(check_filter(bad).is_err(), "{bad}");
        }
    }
}
