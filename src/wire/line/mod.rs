//! The event log's lines: what each says, as one JSON object that reads back as it was written.
//!
//! The format is a public contract: `docs/EVENT_LOG.md`.

mod event;
mod read;
mod tree;
mod write;

use std::borrow::Cow;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::record::{Happening, SpanRecord, WriterIdentity};

/// The version of the format: the member `v` of every line.
const VERSION: i64 = 1;

/// The last member of a line: a hash of all that stands before it.
const SUM: &[u8] = b",\"sum\":\"";

/// One line.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every line is a span, and there is one at a time"
)]
pub(crate) enum Line<'a> {
    /// The first line of a file.
    Log {
        created_ns: i64,
        version: Cow<'a, str>,
    },
    /// A writer, once in every file that it writes to.
    Writer(Cow<'a, WriterIdentity>),
    /// A span that was announced, that ended, or that was withdrawn.
    Span {
        writer: Cow<'a, str>,
        /// Lines of one writer with one number are one transaction of the store.
        batch: u64,
        record: Cow<'a, SpanRecord>,
    },
    /// Something happened that no span tells of.
    Event {
        writer: Cow<'a, str>,
        event: Cow<'a, Happening>,
    },
    /// A writer with open spans was alive.
    Seen { writer: Cow<'a, str>, at_ns: i64 },
    /// What a writer's process lost since it started, by reason.
    Losses {
        writer: Cow<'a, str>,
        losses: Vec<(Cow<'a, str>, u64)>,
    },
    /// Spans whose lines the writer could not write.
    Missing { writer: Cow<'a, str>, spans: u64 },
    /// A writer ended as it should.
    Closed { writer: Cow<'a, str> },
}

/// Why a line says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Cut off, changed, or no line of ours.
    Damaged,
    /// Written by a newer version of Hermes.
    Newer,
}

/// Whether a file that begins so is an event log, of whatever version.
pub(crate) fn is_event_log(beginning: &[u8]) -> bool {
    let mark = &b"{\"v\":"[..];
    // A file may have been cut off in its very first bytes.
    beginning.starts_with(mark) || mark.starts_with(beginning)
}

fn sum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests;
