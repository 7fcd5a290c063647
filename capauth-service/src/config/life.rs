//! What happens to identities over time: how long things wait and last, what is written down, who is asked.

use std::path::PathBuf;
use std::time::Duration;

use super::layers::Layers;
use super::{ConfigError, one, values};

/// How long things wait and last, what is written down, who is asked.
#[derive(Debug, Clone)]
pub struct Life {
    /// Whether strangers are kept from finding out who is enrolled.
    pub private_membership: bool,
    /// How long a new key may wait for an administrator.
    pub pending_lifetime: Option<Duration>,
    /// How long a rotation waits that a subkey signed.
    pub rotation_delay: Option<Duration>,
    /// How long a session lasts at most.
    pub session_lifetime: Option<Duration>,
    /// How long a session may go unused.
    pub session_idle: Option<Duration>,
    /// How long refresh tokens may follow one another.
    pub refresh_lifetime: Option<Duration>,
    /// Whether domains are asked about e-mail addresses.
    pub wkd: bool,
    /// The file that the audit log is written to as well.
    pub audit_file: Option<PathBuf>,
    /// Whether the audit log says from which network things are done.
    pub audit_network: bool,
}

impl Life {
    pub(super) fn read(layers: &Layers) -> Result<Self, ConfigError> {
        let path = |text: &str| match text {
            "" => Err("names no file"),
            path => Ok(PathBuf::from(path)),
        };
        Ok(Self {
            private_membership: one(layers, "private_membership", values::boolean)?.unwrap_or(false),
            pending_lifetime: one(layers, "pending_lifetime", duration)?,
            rotation_delay: one(layers, "rotation_delay", duration)?,
            session_lifetime: one(layers, "session_lifetime", duration)?,
            session_idle: one(layers, "session_idle", duration)?,
            refresh_lifetime: one(layers, "refresh_lifetime", duration)?,
            wkd: one(layers, "wkd", values::boolean)?.unwrap_or(true),
            audit_file: one(layers, "audit_file", path)?,
            audit_network: one(layers, "audit_network", values::boolean)?.unwrap_or(false),
        })
    }
}

/// Between a minute and 400 days.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const WRONG: &str = "is no time between a minute and 400 days, such as 30m, 12h or 7d";
    let duration = humantime::parse_duration(text).map_err(|_| WRONG)?;
    let fits = (Duration::from_secs(60)..=Duration::from_secs(400 * 24 * 3600)).contains(&duration);
    if fits { Ok(duration) } else { Err(WRONG) }
}
