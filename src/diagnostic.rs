//! What Hermes has to say about itself: one line per kind of trouble, never through `tracing`.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Nothing.
    Off,
    /// What is lost.
    Error,
    /// What was asked for and cannot be done as asked.
    #[default]
    Warn,
    /// What is set up, and where.
    Info,
    /// Everything.
    Debug,
}

impl Verbosity {
    /// Reads a value of `HERMES_LOG_LEVEL`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "off" | "none" => Verbosity::Off,
            "error" => Verbosity::Error,
            "warn" | "warning" => Verbosity::Warn,
            "info" => Verbosity::Info,
            "debug" | "trace" => Verbosity::Debug,
            _ => return None,
        })
    }
}

/// Where Hermes's own lines go: stderr, or the operator's file.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    verbosity: Verbosity,
    said: Mutex<HashSet<String>>,
    file: Option<Mutex<File>>,
}

impl Diagnostics {
    /// Opens the file, if one is asked for; where that fails, stderr hears of it and is used.
    pub(crate) fn open(verbosity: Verbosity, file: Option<&Path>) -> Self {
        let mut diagnostics = Diagnostics {
            verbosity,
            ..Diagnostics::default()
        };
        if let Some(path) = file {
            match OpenOptions::new().create(true).append(true).open(path) {
                Ok(file) => diagnostics.file = Some(Mutex::new(file)),
                Err(error) => diagnostics.warn(
                    "log-file",
                    &format!(
                        "cannot write the log file {}: {error}; using stderr",
                        path.display()
                    ),
                ),
            }
        }
        diagnostics
    }

    /// Something is lost. Said once per kind.
    pub(crate) fn error(&self, kind: &str, message: &str) {
        self.say(Verbosity::Error, kind, message);
    }

    /// Something cannot be done as asked. Said once per kind.
    pub(crate) fn warn(&self, kind: &str, message: &str) {
        self.say(Verbosity::Warn, kind, message);
    }

    /// Something an operator may like to know. Said once per kind.
    pub(crate) fn info(&self, kind: &str, message: &str) {
        self.say(Verbosity::Info, kind, message);
    }

    fn say(&self, verbosity: Verbosity, kind: &str, message: &str) {
        if verbosity > self.verbosity {
            return;
        }
        let is_new = self
            .said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(kind.to_owned());
        if !is_new {
            return;
        }
        // One line, whatever an error's text holds, and no secret of a value that was put where it does not belong.
        let message = crate::policy::label(message);
        let line = format!("hermes: {}\n", message.replace(['\n', '\r'], " "));
        // Nobody is left to tell when the diagnostics themselves cannot be written.
        let _ = match &self.file {
            Some(file) => file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .write_all(line.as_bytes()),
            None => std::io::stderr().lock().write_all(line.as_bytes()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostics, Verbosity};

    #[test]
    fn each_kind_of_trouble_is_said_once_in_one_line() {
        let path = std::env::temp_dir().join(format!("hermes-diagnostic-{}", std::process::id()));
        let diagnostics = Diagnostics::open(Verbosity::Warn, Some(&path));
        diagnostics.warn("a", "first\nsecond");
        diagnostics.warn("a", "again");
        diagnostics.info("b", "not asked for");
        diagnostics.error("c", "lost");
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        assert_eq!(written, "hermes: first second\nhermes: lost\n");
    }
}
