//! How a command ends: printing what was asked for, and failing with the right exit code.
//!
//! Used by every command. Never panics on a closed pipe: `pointsman status | head` ends quietly.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use super::USAGE;

/// Exit code of a configuration that cannot be served (sysexits `EX_CONFIG`).
const CONFIG: u8 = 78;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed: exit code 1.
    Failed(String),
    /// It was asked wrongly: exit code 64.
    Usage(String),
    /// The configuration cannot be served: exit code 78. The text stands by itself, diagnostics
    /// included.
    Config(String),
    /// Exit code 78 for a command whose answer already said why.
    ConfigReported,
}

impl Failure {
    /// A failure with its whole chain of causes.
    pub(crate) fn from_error(doing: impl Display, error: &dyn std::error::Error) -> Self {
        let mut text = format!("{doing}: {error}");
        let mut cause = error.source();
        while let Some(inner) = cause {
            let inner_text = inner.to_string();
            // Some errors already say their cause.
            if !text.ends_with(&inner_text) {
                text.push_str(&format!(": {inner_text}"));
            }
            cause = inner.source();
        }
        Self::Failed(text)
    }

    /// Says on stderr what went wrong; the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Failed(text) => (format!("pointsman: {text}"), 1),
            Self::Usage(text) => (format!("pointsman: {text}"), USAGE),
            Self::Config(text) => (text, CONFIG),
            Self::ConfigReported => (String::new(), CONFIG),
        };
        if !text.is_empty() {
            // Nothing can be done about a closed stderr.
            let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
        }
        ExitCode::from(code)
    }
}

/// Writes to stdout. A reader that went away is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::from_error(
            "cannot write to standard output",
            &error,
        )),
        _ => Ok(()),
    }
}

/// Writes a JSON value, indented, to stdout.
pub(crate) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}
