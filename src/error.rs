//! The one public error: opaque, with a kind to branch on and a message to show.

use std::error::Error as StdError;
use std::fmt;

/// Why something that Hermes was asked for could not be done.
///
/// Set-up, [`flush`](crate::Telemetry::flush), [`shutdown`](crate::Telemetry::shutdown) and the read
/// side return it. The running agent never sees one: after set-up the write side counts its losses
/// (see [`Stats`](crate::Stats)).
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A global subscriber is installed already.
    AlreadyInstalled,
    /// A value given in code or on the command line makes no sense.
    InvalidInput,
    /// What was asked for is not there.
    NotFound,
    /// The store cannot be read or written.
    Store,
    /// The store was written by a newer version of Hermes, and was left as it is.
    StoreTooNew,
    /// The file of the store is broken. An agent that meets it moves it aside and goes on with a new
    /// one; what can still be read of it, `Store::salvage` reads.
    StoreDamaged,
    /// The file is another program's, and was left as it is.
    NotAStore,
    /// It was not done within the time given.
    Timeout,
    /// Some of what was to be kept is lost.
    Lost,
    /// The process is a copy, forked after Hermes was built, and has none of its threads.
    Forked,
    /// The settings, or the history of consent, cannot be read or written.
    Settings,
    /// A thread could not be started.
    Thread,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Error {
            kind,
            message: message.into(),
            source: Some(Box::new(source)),
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `main` returning `Result<(), hermes::Error>` prints this form: it should read well.
        write!(f, "{self} ({:?})", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
