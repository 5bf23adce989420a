//! Looks for secrets in bytes: as they are, in parts, and as they are written when they are encoded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::secret::Secret;

/// Everything that is looked for, by its first bytes.
pub(crate) struct Needles {
    by_head: HashMap<[u8; 4], Vec<(Vec<u8>, String)>>,
    /// Whether any begins with these three bytes: most places are done with that.
    is_head: Vec<bool>,
}

pub(crate) struct Leak {
    pub(crate) kind: String,
    /// The way in by the marker before it.
    pub(crate) around: String,
}

impl Needles {
    pub(crate) fn of(secrets: &[Secret]) -> Self {
        let mut needles = Needles {
            by_head: HashMap::new(),
            is_head: vec![false; 1 << 24],
        };
        for secret in secrets {
            for (how, needle) in written(&secret.core) {
                needles.add(needle, format!("{}, {how}", secret.kind));
            }
        }
        needles
    }

    fn add(&mut self, needle: Vec<u8>, kind: String) {
        let head = [needle[0], needle[1], needle[2], needle[3]];
        self.is_head[place(&head)] = true;
        self.by_head.entry(head).or_default().push((needle, kind));
    }

    /// Each needle that is there, once for each marker that stands before it.
    pub(crate) fn found_in(&self, bytes: &[u8]) -> Vec<Leak> {
        let mut leaks = BTreeMap::new();
        for (at, head) in bytes.windows(4).enumerate() {
            if !self.is_head[place(head)] {
                continue;
            }
            let head: [u8; 4] = [head[0], head[1], head[2], head[3]];
            for (needle, kind) in self.by_head.get(&head).into_iter().flatten() {
                if bytes[at..].starts_with(needle) {
                    let around = around(bytes, at);
                    leaks.insert((kind.clone(), around), ());
                }
            }
        }
        let leaks = leaks.into_keys();
        leaks.map(|(kind, around)| Leak { kind, around }).collect()
    }
}

fn place(head: &[u8]) -> usize {
    usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])
}

fn around(bytes: &[u8], at: usize) -> String {
    let before = String::from_utf8_lossy(&bytes[at.saturating_sub(2000)..at]).into_owned();
    let marker = before.rfind("canary-").map(|start| &before[start..]);
    let marker = marker.map(|rest| rest.split(|c: char| !is_of_marker(c)).next());
    let input = marker.flatten().unwrap_or("?");
    let input = input.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    input.to_owned()
}

fn is_of_marker(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// A secret in every way in which it may be written: whole, and where it is long, by its middle and its end alone.
fn written(core: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![("whole", core.as_bytes().to_vec())];
    if core.len() >= 32 && core.is_ascii() {
        let middle = core.len() / 2 - 8;
        all.push(("middle", core.as_bytes()[middle..middle + 16].to_vec()));
        all.push(("end", core.as_bytes()[core.len() - 16..].to_vec()));
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

/// The numbers of the secrets whose markers are there, by way in.
pub(crate) fn markers(bytes: impl Iterator<Item = u8>) -> BTreeMap<String, BTreeSet<u32>> {
    let bytes: Vec<u8> = bytes.collect();
    let mut seen: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for found in memchr::memmem::find_iter(&bytes, "canary-") {
        let rest = &bytes[found + "canary-".len()..];
        let length = rest
            .iter()
            .position(|byte| !is_of_marker(char::from(*byte)));
        let word = String::from_utf8_lossy(&rest[..length.unwrap_or(rest.len())]).into_owned();
        let Some((input, number)) = word.split_once('-') else {
            continue;
        };
        if let Some(Ok(number)) = number.get(..3).map(str::parse) {
            seen.entry(input.to_owned()).or_default().insert(number);
        }
    }
    seen
}
