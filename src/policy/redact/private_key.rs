//! Finds private keys in PEM, PGP's form and `PuTTY`'s, in one line or many, whole or cut off.

use super::{Span, mark, work};

/// How keys begin. The letters of either case are found; the look that follows tells them apart.
pub(super) static ANCHORS: &[&str] = &["-----BEGIN ", "Private-Lines:", "---- BEGIN "];

const END: &str = "-----END ";
const MARK: &str = "----";
/// Labels are short; what is longer is no mark.
const LABEL_BYTES: usize = 64;
/// The line of `PuTTY`'s form before the key itself; what is before it is public.
const PUTTY: &str = "Private-Lines:";

/// Whether a private key begins here; returns where it ends.
pub(super) fn look<'a>(
    text: &'a str,
    start: usize,
    end: usize,
    spans: &mut Vec<Span<'a>>,
) -> usize {
    let literal = text.get(start..end).unwrap_or_default();
    let done = if literal == PUTTY {
        Some((Some(end), end + body_length(&text[end..])))
    } else if literal.contains("BEGIN") {
        pem(text, end)
    } else {
        None
    };
    let Some((from, done)) = done else {
        return end;
    };
    spans.push(Span {
        start: from.unwrap_or(start),
        end: done,
        quote: "",
        kind: mark::Kind::Secret,
    });
    done
}

fn pem(text: &str, end: usize) -> Option<(Option<usize>, usize)> {
    let label = text.get(end..)?;
    let length = label
        .bytes()
        .take(LABEL_BYTES)
        .position(|byte| byte == b'-')?;
    let is_private = label[..length].contains("PRIVATE KEY");
    if !is_private || !label[length..].starts_with(MARK) {
        return None;
    }
    let dashes = label[length..]
        .bytes()
        .take_while(|byte| *byte == b'-')
        .count();
    let body = end + length + dashes;
    Some((None, body + body_length(&text[body..])))
}

/// How far a key's body goes: to its end mark, or as far as it looks like one where it was cut off.
fn body_length(body: &str) -> usize {
    let bytes = body.as_bytes();
    let mut walked = 0;
    while let Some(byte) = bytes.get(walked) {
        work::did(1);
        match byte {
            b'-' if body[walked..].starts_with(END) => {
                let label = &bytes[walked + END.len()..];
                let mark = label
                    .windows(5)
                    .take(LABEL_BYTES)
                    .position(|five| five == b"-----");
                return walked + END.len() + mark.map_or(0, |length| length + 5);
            }
            b'-' if body[walked..].starts_with("-----") => break,
            b'+' | b'/' | b'=' | b'-' | b':' | b',' | b'.' | b' ' | b'\t' | b'\r' | b'\n'
            | b'(' | b')' => {}
            // Strings put together over several lines of code.
            b'"' | b'\'' if is_seam(&bytes[walked..]) => {
                walked += seam_length(&bytes[walked..]) - 1;
            }
            b'\\'
                if matches!(
                    bytes.get(walked + 1),
                    Some(b'n' | b'r' | b't' | b'\\' | b'/' | b'\n')
                ) => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => break,
        }
        walked += 1;
    }
    cut_length(&body[..walked])
}

/// `"` line end and blanks `"`, with a plus or without: between two strings that are one.
fn is_seam(bytes: &[u8]) -> bool {
    let length = seam_length(bytes);
    let next = bytes.get(length);
    length > 1 && next.is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'-')
}

fn seam_length(bytes: &[u8]) -> usize {
    let Some(quote) = bytes.first() else {
        return 0;
    };
    let rest = &bytes[1..];
    let blanks = rest
        .iter()
        .take(64)
        .take_while(|byte| {
            matches!(
                byte,
                b' ' | b'\t' | b'\n' | b'\r' | b'+' | b'\\' | b',' | b'.'
            )
        })
        .count();
    let has_line = rest[..blanks].contains(&b'\n');
    if has_line && rest.get(blanks) == Some(quote) {
        blanks + 2
    } else {
        0
    }
}

/// Without an end mark, headers and whole lines without a space are the key's, and long words on one line.
fn cut_length(body: &str) -> usize {
    let (mut kept, mut offset) = (0, 0);
    for line in body.split_inclusive(['\n', '\\']) {
        let text = line.trim_end_matches(['\n', '\r', '\\', ' ']);
        let content = text.trim_start_matches([' ', '\t']);
        if content.contains(' ') && !content.contains(':') {
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
