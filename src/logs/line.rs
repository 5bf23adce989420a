//! Where in a finished log line the ids go: before its end, on a line of their own, or into its object.

use std::fmt::{self, Write};

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::record::{SpanId, TraceId};

const TRACE_ID: &str = "trace_id";
const SPAN_ID: &str = "span_id";

/// How a format lays its lines out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// One line an event.
    Line,
    /// Several lines an event.
    Pretty,
}

/// What is added to a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) has_colours: bool,
}

impl Ids {
    /// Writes the line with the ids in it.
    pub(super) fn add_to(self, line: &str, layout: Layout, out: &mut impl Write) -> fmt::Result {
        let body = line.trim_end_matches(['\n', '\r']);
        let end = &line[body.len()..];
        match Object::read(body) {
            Some(Object { has_ids: true, .. }) => out.write_str(body)?,
            Some(Object { is_empty, .. }) => {
                let object = body.trim_end();
                let inside = object.strip_suffix('}').unwrap_or(object);
                let comma = if is_empty { "" } else { "," };
                write!(
                    out,
                    "{inside}{comma}\"{TRACE_ID}\":\"{}\",\"{SPAN_ID}\":\"{}\"}}",
                    self.trace_id, self.span_id
                )?;
            }
            None => {
                out.write_str(body)?;
                out.write_str(match layout {
                    Layout::Line => " ",
                    Layout::Pretty => "\n    ",
                })?;
                self.text(out)?;
            }
        }
        out.write_str(end)
    }

    /// As `fmt` writes the fields of a span.
    fn text(self, out: &mut impl Write) -> fmt::Result {
        let (trace, span) = (self.trace_id, self.span_id);
        if !self.has_colours {
            return write!(out, "{TRACE_ID}={trace} {SPAN_ID}={span}");
        }
        let (italic, dim, plain) = ("\x1b[3m", "\x1b[2m", "\x1b[0m");
        write!(
            out,
            "{italic}{TRACE_ID}{plain}{dim}={plain}{trace} {italic}{SPAN_ID}{plain}{dim}={plain}{span}"
        )
    }
}

/// A line that is a JSON object.
struct Object {
    is_empty: bool,
    /// Whether it has a member by one of our names.
    has_ids: bool,
}

impl Object {
    /// `None`: the line is something else, whatever it begins with.
    fn read(line: &str) -> Option<Self> {
        if !(line.starts_with('{') && line.trim_end().ends_with('}')) {
            return None;
        }
        let mut json = serde_json::Deserializer::from_str(line);
        let object = json.deserialize_map(Members).ok()?;
        json.end().ok()?;
        Some(object)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
        let mut object = Object {
            is_empty: true,
            has_ids: false,
        };
        while let Some(name) = members.next_key::<std::borrow::Cow<'de, str>>()? {
            object.is_empty = false;
            object.has_ids |= [TRACE_ID, SPAN_ID].contains(&&*name);
            members.next_value::<IgnoredAny>()?;
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, Layout};
    use crate::record::{SpanId, TraceId};

    const TRACE: &str = "0102030405060708090a0b0c0d0e0f10";
    const SPAN: &str = "1112131415161718";

    fn added(line: &str, layout: Layout) -> String {
        let ids = Ids {
            trace_id: TraceId::from_hex(TRACE).unwrap(),
            span_id: SpanId::from_hex(SPAN).unwrap(),
            has_colours: false,
        };
        let mut out = String::new();
        ids.add_to(line, layout, &mut out).unwrap();
        out
    }

    #[test]
    fn a_line_of_text_ends_in_them() {
        let text = format!("trace_id={TRACE} span_id={SPAN}");
        let line = |line| added(line, Layout::Line);
        assert_eq!(line("INFO done\n"), format!("INFO done {text}\n"));
        assert_eq!(line("two\nlines\r\n"), format!("two\nlines {text}\r\n"));
        assert_eq!(line("{no} {json}\n"), format!("{{no}} {{json}} {text}\n"));
        assert_eq!(line("{}{}\n"), format!("{{}}{{}} {text}\n"));
        let pretty = added("  INFO done\n    at a.rs:1\n\n", Layout::Pretty);
        assert_eq!(
            pretty,
            format!("  INFO done\n    at a.rs:1\n    {text}\n\n")
        );
    }

    #[test]
    fn an_object_has_them_as_its_last_members() {
        let members = format!("\"trace_id\":\"{TRACE}\",\"span_id\":\"{SPAN}\"");
        let line = |line| added(line, Layout::Line);
        assert_eq!(line("{}\n"), format!("{{{members}}}\n"));
        assert_eq!(
            line("{\"a\":{\"b\":{\"trace_id\":1}}}\n"),
            format!("{{\"a\":{{\"b\":{{\"trace_id\":1}}}},{members}}}\n")
        );
        assert_eq!(line("{\"a\":1 } \n"), format!("{{\"a\":1 ,{members}}}\n"));
        for said in ["{\"trace_id\":7}\n", "{\"a\":1,\"span_\\u0069d\":\"x\"}\n"] {
            assert_eq!(line(said), said, "what the event says stays");
        }
    }
}
