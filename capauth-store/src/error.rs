use std::fmt;

use capauth_verifier::ConfigError;

/// Why a store does not open, in words for whoever starts the program.
#[derive(Debug)]
pub struct OpenError {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl OpenError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn because(
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), source: Some(source.into()) }
    }

    pub(crate) fn from_config(error: ConfigError) -> Self {
        Self { message: error.to_string(), source: Some(error.into()) }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

impl From<OpenError> for ConfigError {
    fn from(error: OpenError) -> Self {
        Self::because(error.to_string(), error)
    }
}
