//! Why a command ends without having done its work.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;

use crate::config::ConfigError;

const FAILED: u8 = 1;
const UNUSABLE: u8 = 2;

/// Why a command ends without having done its work: words in one line, and the program's exit code.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    words: Option<String>,
}

impl Failure {
    /// It was tried and did not work: exit code 1.
    pub fn failed(words: impl fmt::Display) -> Self {
        Self { code: FAILED, words: Some(words.to_string()) }
    }

    /// The command line or a setting makes no sense: exit code 2.
    pub fn unusable(words: impl fmt::Display) -> Self {
        Self { code: UNUSABLE, words: Some(words.to_string()) }
    }

    /// [`failed`](Self::failed), with an error's causes, each said once.
    pub fn caused(error: &dyn Error) -> Self {
        Self::failed(with_causes(error))
    }

    /// The command has said itself what is wrong.
    pub fn said(code: u8) -> Self {
        Self { code, words: None }
    }

    /// The program's exit code.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// Whether there is nothing to say.
    pub fn is_silent(&self) -> bool {
        self.words.is_none()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.as_deref().unwrap_or_default();
        f.write_str(&words.replace(char::is_control, " "))
    }
}

impl Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::unusable(error)
    }
}

/// Standard output, nearly always. Whoever reads it may stop at any time, as `head` does: that is no failure.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::said(0),
            _ => Self::failed(format_args!("cannot write: {error}")),
        }
    }
}

/// An error's words with those of its causes, each said once.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !message.contains(&words) {
            message = format!("{message}: {words}");
        }
        next = cause.source();
    }
    message
}
