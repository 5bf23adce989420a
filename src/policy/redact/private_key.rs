//! Finds private keys in PEM, in one line or many, whole or cut off.

use super::Span;

/// How a key begins.
pub(super) const NEEDLE: &str = "-----BEGIN ";
const END: &str = "-----END ";
const MARK: &str = "-----";
/// Labels are short; what is longer is no mark.
const LABEL_BYTES: usize = 64;

pub(super) fn find(text: &str, spans: &mut Vec<Span<'_>>) {
    let mut done = 0;
    for (start, begin) in text.match_indices(NEEDLE) {
        let label = &text[start + begin.len()..];
        let length = label
            .bytes()
            .take(LABEL_BYTES)
            .position(|byte| byte == b'-');
        let Some(length) = length.filter(|_| start >= done) else {
            continue;
        };
        if !label[..length].contains("PRIVATE KEY") || !label[length..].starts_with(MARK) {
            continue;
        }
        let body = start + begin.len() + length + MARK.len();
        done = body + body_length(&text[body..]);
        spans.push(Span {
            start,
            end: done,
            quote: "",
        });
    }
}

/// How far a key's body goes: to its end mark, or as far as it looks like one where it was cut off.
fn body_length(body: &str) -> usize {
    let bytes = body.as_bytes();
    let mut walked = 0;
    while let Some(byte) = bytes.get(walked) {
        match byte {
            b'-' if body[walked..].starts_with(END) => {
                let label = &bytes[walked + END.len()..];
                let mark = label
                    .windows(MARK.len())
                    .take(LABEL_BYTES)
                    .position(|five| five == MARK.as_bytes());
                return walked + END.len() + mark.map_or(0, |length| length + MARK.len());
            }
            b'-' if body[walked..].starts_with(MARK) => break,
            b'+' | b'/' | b'=' | b'-' | b':' | b',' | b'.' | b' ' | b'\t' | b'\r' | b'\n' => {}
            b'\\'
                if matches!(
                    bytes.get(walked + 1),
                    Some(b'n' | b'r' | b't' | b'\\' | b'/')
                ) => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => break,
        }
        walked += 1;
    }
    cut_length(&body[..walked])
}

/// Without an end mark, headers and whole lines without a space are the key's, and long words on one line.
fn cut_length(body: &str) -> usize {
    let (mut kept, mut offset) = (0, 0);
    for line in body.split_inclusive(['\n', '\\']) {
        let text = line.trim_end_matches(['\n', '\r', '\\', ' ']);
        if text.contains(' ') && !text.contains(':') {
            let words = text.split_inclusive(' ').skip_while(|word| *word == " ");
            let long: usize = words.take_while(|word| word.len() > 16).map(str::len).sum();
            let indent = text.len() - text.trim_start_matches(' ').len();
            return if long > 0 {
                offset + indent + text[indent..][..long].trim_end().len()
            } else {
                kept
            };
        }
        if !text.is_empty() {
            kept = offset + text.len();
        }
        offset += line.len();
    }
    kept
}
