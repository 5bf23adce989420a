//! The binary event stream in which Amazon Bedrock streams: frames of headers and a JSON payload.
//!
//! Each frame is its length, the length of its headers and a checksum (four bytes each), the headers, the payload, and a
//! checksum. The checksums are not proved: the client does that, and telemetry only reads along.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::frames::{Frame, named};

/// The length of what stands before the headers, and of the checksum at the end.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
/// Longer frames are passed over.
const MAX_FRAME: usize = 4 << 20;

/// The reader of one event stream.
#[derive(Clone, Debug, Default)]
pub(super) struct EventStream {
    frame: Vec<u8>,
    /// Bytes to pass over.
    skip: usize,
    is_broken: bool,
}

impl EventStream {
    pub(super) fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(Frame)) {
        while !bytes.is_empty() && !self.is_broken {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let missing = match self.length() {
                Some(length) if length < PRELUDE + CHECKSUM => {
                    self.is_broken = true;
                    return;
                }
                Some(length) if length > MAX_FRAME => {
                    self.skip = length - self.frame.len();
                    self.frame.clear();
                    continue;
                }
                Some(length) => length - self.frame.len(),
                None => PRELUDE - self.frame.len(),
            };
            let taken = missing.min(bytes.len());
            self.frame.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.length() == Some(self.frame.len()) {
                read(&self.frame, each);
                self.frame.clear();
            }
        }
    }

    /// The length of the frame, once it has been read.
    fn length(&self) -> Option<usize> {
        (self.frame.len() >= PRELUDE)
            .then(|| number(&self.frame))
            .flatten()
    }
}

fn read(frame: &[u8], each: &mut dyn FnMut(Frame)) {
    let Some(headers_end) = number(&frame[4..]).and_then(|length| PRELUDE.checked_add(length))
    else {
        return;
    };
    let payload_end = frame.len() - CHECKSUM;
    let (Some(headers), Some(payload)) = (
        frame.get(PRELUDE..headers_end),
        frame.get(headers_end..payload_end),
    ) else {
        return;
    };
    let (mut event, mut exception) = (None, None);
    texts(headers, &mut |name, text| match name {
        b":event-type" => event = Some(text.to_owned()),
        b":exception-type" | b":error-code" => exception = Some(text.to_owned()),
        _ => {}
    });
    let payload = serde_json::from_slice::<Value>(payload).unwrap_or_default();
    if let Some(exception) = exception {
        let message = payload.get("message").or_else(|| payload.get("Message"));
        let error = json!({"type": exception, "message": message});
        return each(Frame::Json(json!({"type": "error", "error": error})));
    }
    // What a model streams in its own format comes wrapped.
    if let Some(bytes) = payload.get("bytes").and_then(Value::as_str) {
        let inner = BASE64_STANDARD.decode(bytes).ok();
        let inner = inner.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        return inner.map_or((), |inner| each(Frame::Json(inner)));
    }
    if let Some(event) = event {
        each(named(&event, &payload));
    }
}

/// The headers that are texts.
fn texts(mut headers: &[u8], each: &mut dyn FnMut(&[u8], &str)) {
    while let Some((name, kind, rest)) = name_and_kind(headers) {
        let fixed = match kind {
            0 | 1 => Some(0),
            2 => Some(1),
            3 => Some(2),
            4 => Some(4),
            5 | 8 => Some(8),
            9 => Some(16),
            _ => None,
        };
        let (skip, length) = match (fixed, rest) {
            (Some(length), _) => (0, length),
            (None, [high, low, ..]) => (2, usize::from(u16::from_be_bytes([*high, *low]))),
            (None, _) => return,
        };
        let Some(value) = rest.get(skip..skip + length) else {
            return;
        };
        if kind == 7
            && let Ok(text) = std::str::from_utf8(value)
        {
            each(name, text);
        }
        headers = &rest[skip + length..];
    }
}

fn name_and_kind(headers: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (length, rest) = headers.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (kind, rest) = rest.split_first()?;
    Some((name, *kind, rest))
}

fn number(bytes: &[u8]) -> Option<usize> {
    let bytes: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}
