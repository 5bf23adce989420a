//! Cuts the bytes of a streamed body into JSON values, wherever the network cut them.
//!
//! Server-sent events, JSON objects (one a line, in an array, or one alone) and the event stream of AWS can be told
//! apart by their first byte, so nobody has to say which it is.

use serde_json::{Deserializer, Value, json};

/// A frame longer than this is passed over; what the answer says besides is still read.
const MAX_FRAME: usize = 4 << 20;

/// One piece of a stream.
#[derive(Debug)]
pub(super) enum Frame {
    /// A chunk.
    Json(Value),
    /// The provider says that this was all.
    Done,
    /// The provider says in plain words that it failed.
    Failed(String),
}

/// The reader of one stream, between two pieces of it.
#[derive(Clone, Debug, Default)]
pub(super) enum Frames {
    #[default]
    Unknown,
    Events(Events),
    Objects(Objects),
    Aws(super::aws::EventStream),
}

impl Frames {
    /// Reads on.
    pub(super) fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame)) {
        match self {
            Frames::Unknown => {
                // The mark that some servers put before UTF-8 is skipped with the white space.
                let is_blank = |byte: u8| byte.is_ascii_whitespace() || byte >= 0x80;
                let Some(start) = bytes.iter().position(|byte| !is_blank(*byte)) else {
                    return;
                };
                *self = match bytes[start] {
                    b'{' | b'[' => Frames::Objects(Objects::default()),
                    0 => Frames::Aws(super::aws::EventStream::default()),
                    _ => Frames::Events(Events::default()),
                };
                self.push(&bytes[start..], each);
            }
            Frames::Events(events) => events.push(bytes, each),
            Frames::Objects(objects) => objects.push(bytes, each),
            Frames::Aws(stream) => stream.push(bytes, each),
        }
    }

    /// Reads what stands at the end without its closing mark.
    pub(super) fn end(self, each: &mut dyn FnMut(Frame)) {
        if let Frames::Events(mut events) = self {
            events.end_line(each);
            events.dispatch(each);
        }
    }
}

/// Server-sent events, as the HTML standard has them.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// A line end of two bytes may be cut in two.
    was_return: bool,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    is_too_long: bool,
}

impl Events {
    fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Frame)) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.was_return) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.keep(&bytes[..end.unwrap_or(bytes.len())]);
            let Some(end) = end else { return };
            self.was_return = bytes[end] == b'\r';
            self.end_line(each);
            bytes = &bytes[end + 1..];
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.line.len() + self.data.len() + bytes.len() > MAX_FRAME {
            self.is_too_long = true;
            self.data.clear();
        }
        if !self.is_too_long {
            self.line.extend_from_slice(bytes);
        } else if self.line.is_empty() && !bytes.is_empty() {
            // Enough to see that the line is not the empty one, which ends the event.
            self.line.push(b':');
        }
    }

    fn end_line(&mut self, each: &mut dyn FnMut(Frame)) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return self.dispatch(each);
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" if !self.is_too_long => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => self.name = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
        // The buffer serves line after line.
        self.line = line;
        self.line.clear();
    }

    fn dispatch(&mut self, each: &mut dyn FnMut(Frame)) {
        let name = std::mem::take(&mut self.name);
        let has_data = std::mem::take(&mut self.has_data) && !self.is_too_long;
        self.is_too_long = false;
        if has_data {
            frame(&name, &self.data, each);
        }
        self.data.clear();
    }
}

/// One event, for whoever reads events by their JSON alone.
fn frame(name: &str, data: &[u8], each: &mut dyn FnMut(Frame)) {
    let data = data.trim_ascii();
    if data == b"[DONE]" {
        return each(Frame::Done);
    }
    match serde_json::from_slice::<Value>(data) {
        Ok(Value::Object(mut fields)) => {
            // A provider may say what an event is in its name alone.
            let is_untold = !name.is_empty() && !fields.contains_key("type");
            if is_untold && (name != "error" || !fields.contains_key("error")) {
                fields.insert("type".into(), name.into());
            }
            each(Frame::Json(Value::Object(fields)));
        }
        Ok(Value::Array(list)) => each(Frame::Json(Value::Array(list))),
        _ if name == "error" => each(Frame::Failed(String::from_utf8_lossy(data).into_owned())),
        Ok(_) => {}
        // Servers that forget the empty line between events make one of several.
        Err(_) => Deserializer::from_slice(data)
            .into_iter::<Value>()
            .map_while(Result::ok)
            .for_each(|value| each(Frame::Json(value))),
    }
}

/// JSON objects one after another, whatever stands between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    object: Vec<u8>,
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
    is_too_long: bool,
}

impl Objects {
    fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame)) {
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.is_escaped {
                self.is_escaped = false;
                continue;
            }
            match byte {
                b'\\' if self.is_in_text => self.is_escaped = true,
                b'"' if self.depth > 0 => self.is_in_text = !self.is_in_text,
                _ if self.is_in_text => {}
                b'{' => {
                    if self.depth == 0 {
                        start = at;
                    }
                    self.depth += 1;
                }
                b'}' if self.depth == 1 => {
                    self.depth = 0;
                    self.keep(&bytes[start..=at]);
                    self.dispatch(each);
                }
                b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        if self.depth > 0 {
            self.keep(&bytes[start..]);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.object.len() + bytes.len() > MAX_FRAME {
            self.is_too_long = true;
            self.object = Vec::new();
        }
        if !self.is_too_long {
            self.object.extend_from_slice(bytes);
        }
    }

    fn dispatch(&mut self, each: &mut dyn FnMut(Frame)) {
        if !std::mem::take(&mut self.is_too_long)
            && let Ok(value) = serde_json::from_slice(&self.object)
        {
            each(Frame::Json(value));
        }
        self.object.clear();
    }
}

/// An event of AWS as Converse's documentation writes it: its name as the only key.
pub(super) fn named(name: &str, payload: &Value) -> Frame {
    Frame::Json(json!({ name: payload }))
}
