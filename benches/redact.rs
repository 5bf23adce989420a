//! How fast text is searched for secrets, beside a plain scan of the same bytes and beside the rules run one by one.
//!
//! `cargo bench --bench redact [-- folder of recorded sessions]`. The text is that of the sessions in `tests/data`, or of the folder's:
//! each message, argument and result by itself, as they reach the redactor.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure has failed"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use hermes::Redactor;
use regex::Regex;
use serde_json::Value;

#[path = "../examples/redaction/vendor.rs"]
#[expect(dead_code, reason = "the names of the forms are not asked for here")]
mod vendor;

const ROUNDS: usize = 9;
/// The rules one by one are slow: so much of the text is enough.
const PART: usize = 400_000;

fn main() {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let data = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let redactor = Redactor::new();
    let mut texts = texts(&folder.map_or_else(data, PathBuf::from));
    // Clean text alone: what has a secret in it is gone over once more after it is replaced.
    texts.retain(|text| redactor.redact(text) == *text);
    let bytes: usize = texts.iter().map(String::len).sum();
    let whole = texts.concat();
    println!("{} texts, {bytes} bytes", texts.len());
    println!("| what | GB/s |\n|---|---|");

    black_box(redactor.redact(&whole));
    let scan = best(bytes, || {
        texts
            .iter()
            .map(|text| memchr::memchr_iter(b'@', text.as_bytes()).count())
            .sum()
    });
    row("memchr for one byte, text by text", scan);
    let scan = best(whole.len(), || {
        memchr::memchr_iter(b'@', whole.as_bytes()).count()
    });
    row("memchr for one byte, all in one", scan);
    row(
        "the redactor, text by text",
        best(bytes, || {
            texts.iter().map(|text| redactor.redact(text).len()).sum()
        }),
    );
    row(
        "the redactor, all in one",
        best(whole.len(), || redactor.redact(&whole).len()),
    );
    let personal = Redactor::new().personal_data();
    row(
        "the redactor, personal data too",
        best(bytes, || {
            texts.iter().map(|text| personal.redact(text).len()).sum()
        }),
    );
    let rules = rules();
    let mut end = whole.len().min(PART);
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    let part = &whole[..end];
    let one_by_one = best_of(2, part.len(), || {
        rules.iter().map(|rule| rule.find_iter(part).count()).sum()
    });
    row(
        &format!("{} patterns of keys, one by one", rules.len()),
        one_by_one,
    );
}

/// The published forms as patterns: what a list of rules is when each is run over the whole text.
fn rules() -> Vec<Regex> {
    vendor::FORMS
        .iter()
        .filter_map(|form| Regex::new(&pattern(form.1)).ok())
        .collect()
}

fn pattern(form: &str) -> String {
    let mut pattern = String::from(r"\b");
    let mut rest = form;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((class, after)) = behind.split_once('}') else {
            break;
        };
        pattern.push_str(&regex::escape(before));
        let letters = match &class[..1] {
            "d" => "[0-9]",
            "h" => "[0-9a-f]",
            "n" | "l" => "[a-z0-9]",
            "U" | "H" | "3" | "q" => "[A-Z0-9]",
            "b" => "[A-Za-z0-9+/]",
            "w" => "[A-Za-z0-9_-]",
            _ => "[A-Za-z0-9]",
        };
        let _ = write!(pattern, "{letters}{{{}}}", &class[1..]);
        rest = after;
    }
    pattern + &regex::escape(rest)
}

fn row(what: &str, rate: f64) {
    println!("| {what} | {rate:.3} |");
}

/// Gigabytes a second in the best of the rounds.
fn best(bytes: usize, work: impl FnMut() -> usize) -> f64 {
    best_of(ROUNDS, bytes, work)
}

fn best_of(rounds: usize, bytes: usize, mut work: impl FnMut() -> usize) -> f64 {
    let seconds = (0..rounds).map(|_| {
        let started = Instant::now();
        black_box(work());
        started.elapsed().as_secs_f64()
    });
    let least = seconds.fold(f64::INFINITY, f64::min);
    f64::from(u32::try_from(bytes).unwrap()) / least / 1e9
}

/// Every text in the recorded sessions, clean as they are.
fn texts(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".traj.json") {
            let json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            collect(&json, &mut texts);
        }
    }
    texts
}

fn collect(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(members) => members.values().for_each(|member| collect(member, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
