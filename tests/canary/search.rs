//! Looks for secrets in bytes, as they are, in parts, and as they are written when they are encoded; and for the markers.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::secret::{Fed, Secret};

/// What every marker begins with.
const MARK: &[u8] = b"canary-";

/// Everything that is looked for, by its first bytes.
pub(crate) struct Needles {
    by_head: HashMap<[u8; 4], Vec<(Vec<u8>, String)>>,
    /// A bit for each three bytes that any begins with: most places are done with that.
    heads: Vec<u64>,
}

/// What is in some bytes.
#[derive(Default)]
pub(crate) struct Found {
    /// Each kind of secret, with the way in by the marker before it.
    pub(crate) leaks: BTreeSet<(String, String)>,
    pub(crate) markers: Fed,
}

impl Needles {
    pub(crate) fn of(secrets: &[Secret]) -> Self {
        let mut needles = Needles {
            by_head: HashMap::new(),
            heads: vec![0; (1 << 24) / 64],
        };
        needles.add(MARK.to_vec(), String::new());
        for secret in secrets {
            for (how, needle) in written(&secret.core) {
                needles.add(needle, format!("{}, {how}", secret.kind));
            }
        }
        needles
    }

    fn add(&mut self, needle: Vec<u8>, kind: String) {
        let head = [needle[0], needle[1], needle[2], needle[3]];
        let place = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        self.heads[place / 64] |= 1 << (place % 64);
        self.by_head.entry(head).or_default().push((needle, kind));
    }

    /// Looks for all of them at once. Written for a build that is not optimised: no iterator, no call at most places.
    pub(crate) fn search(&self, bytes: &[u8]) -> Found {
        let mut found = Found::default();
        let heads = self.heads.as_slice();
        let (mut head, mut at, end) = (0, 0, bytes.len());
        while at < end {
            head = (head << 8 | bytes[at] as usize) & 0xff_ffff;
            at += 1;
            if heads[head >> 6] >> (head & 63) & 1 == 1 && at >= 3 {
                self.look_at(bytes, at - 3, &mut found);
            }
        }
        found
    }

    fn look_at(&self, bytes: &[u8], at: usize, found: &mut Found) {
        let rest = &bytes[at..];
        let needles = rest.first_chunk().and_then(|head| self.by_head.get(head));
        for (needle, kind) in needles.into_iter().flatten() {
            if !rest.starts_with(needle) {
                continue;
            }
            if needle != MARK {
                found.leaks.insert((kind.clone(), around(bytes, at)));
            } else if let Some((input, number)) = marker(&rest[MARK.len()..]) {
                if let Some(numbers) = found.markers.get_mut(input) {
                    numbers.insert(number);
                } else {
                    found.markers.insert(input.to_owned(), [number].into());
                }
            }
        }
    }
}

/// What stands behind the word of a marker: the way in, and the number of the secret.
fn marker(rest: &[u8]) -> Option<(&str, usize)> {
    let mut length = 0;
    while rest
        .get(length)
        .is_some_and(|byte| byte.is_ascii_lowercase() || *byte == b'_')
    {
        length += 1;
    }
    let input = std::str::from_utf8(&rest[..length]).ok()?;
    let number = rest.get(length..length + 4)?.strip_prefix(b"-")?;
    Some((input, std::str::from_utf8(number).ok()?.parse().ok()?))
}

fn around(bytes: &[u8], at: usize) -> String {
    let before = &bytes[at.saturating_sub(2000)..at];
    let last = memchr::memmem::rfind(before, MARK);
    let last = last.and_then(|start| marker(&before[start + MARK.len()..]));
    last.map_or("?", |(input, _)| input).to_owned()
}

/// A secret in every way in which it may be written: whole, and where it is long, by its middle and its end alone.
fn written(core: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![("whole", core.as_bytes().to_vec())];
    if core.len() >= 32 && core.is_ascii() {
        let middle = core.len() / 2 - 8;
        all.push(("middle", core.as_bytes()[middle..middle + 16].to_vec()));
        all.push(("end", core.as_bytes()[core.len() - 16..].to_vec()));
    }
    if core.len() >= 16 {
        // As an index of words has it.
        all.push(("lower case", core.to_lowercase().into_bytes()));
    }
    let mut escaped = core.to_owned();
    for _ in 0..3 {
        escaped = serde_json::to_string(&escaped).unwrap();
        escaped = escaped[1..escaped.len() - 1].to_owned();
        all.push(("escaped", escaped.clone().into_bytes()));
    }
    all.push(("percent-encoded", percent_encoded(core).into_bytes()));
    let twice = percent_encoded(&percent_encoded(core));
    all.push(("percent-encoded twice", twice.into_bytes()));
    let hex = core.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    all.push(("hex", hex.to_uppercase().into_bytes()));
    all.push(("hex", hex.into_bytes()));
    for (how, alphabet) in [
        ("base64", &STANDARD_NO_PAD),
        ("base64url", &URL_SAFE_NO_PAD),
    ] {
        // Where it begins among three bytes decides what it looks like; the first and last letters hold others' bits.
        for shift in 0..3 {
            let bytes = [&b"~~"[..shift], core.as_bytes()].concat();
            let encoded = alphabet.encode(&bytes).into_bytes();
            let first = [0, 2, 3][shift];
            let whole = bytes.len() / 3 * 4;
            all.push((how, encoded[first..whole].to_vec()));
        }
    }
    all.retain(|(_, needle)| needle.len() >= 7);
    all.sort_by(|(_, one), (_, other)| one.cmp(other));
    all.dedup_by(|(_, one), (_, other)| one == other);
    all
}

pub(crate) fn percent_encoded(text: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}
