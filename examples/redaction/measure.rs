//! Runs the redactor over labelled samples and clean texts, and counts what it found, missed and spoiled.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use hermes::Redactor;

use crate::carrier::{self, CARRIERS, Sample};
use crate::clean::{self, CLEAN};
use crate::draw::Draw;
use crate::vendor::FORMS;
use crate::{key, named};

const SEED: u64 = 20_251;
/// Samples of each form in each carrier.
const EACH: usize = 4;
/// Samples of each notation of unknown secrets.
const EACH_NAMED: usize = 120;
const EACH_KEY: usize = 50;
const EACH_CLEAN: usize = 100;
/// So many letters of a secret in a row that were left are a leak.
const LEAK: usize = 12;

/// What was counted for a kind or a carrier.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) samples: usize,
    pub(crate) found: usize,
    /// Marks in the place of what is no secret.
    pub(crate) false_marks: usize,
}

impl Count {
    pub(crate) fn recall(self) -> f64 {
        ratio(self.found, self.samples)
    }

    pub(crate) fn precision(self) -> f64 {
        ratio(self.found, self.found + self.false_marks)
    }

    fn add(&mut self, found: bool, false_marks: usize) {
        self.samples += 1;
        self.found += usize::from(found);
        self.false_marks += false_marks;
    }
}

/// All that is counted.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Vendors' forms and standards, in the order of their tables.
    pub(crate) kinds: Vec<(&'static str, Count)>,
    pub(crate) carriers: BTreeMap<&'static str, Count>,
    pub(crate) named: BTreeMap<&'static str, Count>,
    pub(crate) keys: Count,
    /// Clean texts that were drawn: of so many, so many have a mark.
    pub(crate) clean: BTreeMap<&'static str, Count>,
    /// Recorded sessions: texts, bytes, texts with a mark, marks.
    pub(crate) recorded: Recorded,
    /// The first samples that leaked and the first clean texts with a mark.
    pub(crate) wrong: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) sessions: usize,
    pub(crate) texts: usize,
    pub(crate) bytes: usize,
    pub(crate) marks: usize,
}

pub(crate) fn measure(folder: &Path) -> Measured {
    let redactor = Redactor::new();
    let mut draw = Draw::new(SEED);
    let mut measured = Measured::default();
    for form in FORMS {
        let mut count = Count::default();
        for number in 0..(CARRIERS.len() + 2) * EACH {
            let sample = carrier::sample(form, number / EACH, &mut draw);
            let (found, extra) = judge(&redactor, &sample, &mut measured.wrong);
            count.add(found, extra);
            let of_carrier = measured.carriers.entry(sample.carrier).or_default();
            of_carrier.add(found, extra);
        }
        measured.kinds.push((form.0, count));
    }
    for number in 0..named::notations() * EACH_NAMED {
        let sample = named::sample(number / EACH_NAMED, &mut draw);
        let (found, extra) = judge(&redactor, &sample, &mut measured.wrong);
        measured
            .named
            .entry(sample.carrier)
            .or_default()
            .add(found, extra);
    }
    for number in 0..key::carriers() * EACH_KEY {
        let sample = key::sample(number / EACH_KEY, &mut draw);
        let (found, extra) = judge(&redactor, &sample, &mut measured.wrong);
        measured.keys.add(found, extra);
    }
    for (what, write) in CLEAN {
        let count = measured.clean.entry(what).or_default();
        for _ in 0..EACH_CLEAN {
            let text = write(&mut draw);
            let clean = redactor.redact(&text);
            let marks = marks(&clean);
            count.add(marks == 0, marks);
            if marks > 0 {
                measured
                    .wrong
                    .push(format!("clean, {what}: {text}\n  became {clean}"));
            }
        }
    }
    record(&redactor, folder, &mut measured);
    measured
}

/// Whether nothing of the secret is left, and how many marks stand for something else.
fn judge(redactor: &Redactor, sample: &Sample, wrong: &mut Vec<String>) -> (bool, usize) {
    let clean = match &sample.pieces[..] {
        [text] => redactor.redact(text).into_owned(),
        pieces => {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            redactor.redact_pieces(&pieces).concat()
        }
    };
    let secret = sample.secret.as_bytes();
    let window = LEAK.min(secret.len());
    let left = secret
        .windows(window)
        .any(|part| std::str::from_utf8(part).is_ok_and(|part| clean.contains(part)));
    if left {
        wrong.push(format!(
            "{}, {}: {:?}\n  became {clean:?}",
            sample.kind, sample.carrier, sample.pieces
        ));
    }
    // A secret in several lines or parts may have a mark for each.
    let extra = marks(&clean).saturating_sub(1);
    let parts = sample.secret.matches(['\n', ' ', '/', '=']).count();
    (!left, extra.saturating_sub(parts))
}

fn marks(text: &str) -> usize {
    text.matches("[secret:").count()
}

fn record(redactor: &Redactor, folder: &Path, measured: &mut Measured) {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".traj.json"))
        .collect();
    files.sort();
    for file in files {
        let Some(json) = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        else {
            continue;
        };
        let mut texts = Vec::new();
        clean::texts(&json, &mut texts);
        measured.recorded.sessions += 1;
        for text in texts {
            let clean = redactor.redact(&text);
            let marks = marks(&clean);
            measured.recorded.texts += 1;
            measured.recorded.bytes += text.len();
            measured.recorded.marks += marks;
            if marks > 0 {
                let at = clean.find("[secret:").unwrap_or(0);
                let near: String = clean[..at].chars().rev().take(60).collect();
                let near: String = near.chars().rev().collect();
                measured.wrong.push(format!("recorded: {near:?}"));
            }
        }
    }
}

pub(crate) fn sum<'a>(counts: impl Iterator<Item = &'a Count>) -> Count {
    counts.fold(Count::default(), |sum, count| Count {
        samples: sum.samples + count.samples,
        found: sum.found + count.found,
        false_marks: sum.false_marks + count.false_marks,
    })
}

fn ratio(part: usize, whole: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if whole == 0 {
        1.0
    } else {
        number(part) / number(whole)
    }
}

/// The tables as the documentation has them.
pub(crate) fn table(measured: &Measured) -> String {
    let mut text = String::new();
    let known = sum(measured.kinds.iter().map(|(_, count)| count));
    let named = sum(measured.named.values());
    let clean = sum(measured.clean.values());
    let recorded = measured.recorded;
    let _ = writeln!(
        text,
        "| | samples | recall | precision |\n|---|---|---|---|"
    );
    row(&mut text, "known forms", known);
    row(&mut text, "private keys", measured.keys);
    row(&mut text, "unknown secrets under a telling name", named);
    let _ = writeln!(
        text,
        "\n| clean traffic | texts | with a mark |\n|---|---|---|\n| drawn | {} | {} |\n| recorded sessions ({} of {} bytes) | {} | {} marks |",
        clean.samples,
        clean.samples - clean.found,
        recorded.sessions,
        recorded.bytes,
        recorded.texts,
        recorded.marks,
    );
    let _ = writeln!(
        text,
        "\n| carrier of known forms | samples | recall | precision |\n|---|---|---|---|"
    );
    for (carrier, count) in &measured.carriers {
        row(&mut text, carrier, *count);
    }
    let _ = writeln!(
        text,
        "\n| notation of unknown secrets | samples | recall | precision |\n|---|---|---|---|"
    );
    for (notation, count) in &measured.named {
        row(&mut text, notation, *count);
    }
    let _ = writeln!(
        text,
        "\n| known form | samples | recall | precision |\n|---|---|---|---|"
    );
    for (kind, count) in &measured.kinds {
        row(&mut text, kind, *count);
    }
    let _ = writeln!(
        text,
        "\n| drawn clean texts | texts | with a mark |\n|---|---|---|"
    );
    for (what, count) in &measured.clean {
        let _ = writeln!(
            text,
            "| {what} | {} | {} |",
            count.samples,
            count.samples - count.found
        );
    }
    text
}

fn row(text: &mut String, name: &str, count: Count) {
    let (recall, precision) = (count.recall(), count.precision());
    let _ = writeln!(
        text,
        "| {name} | {} | {recall:.3} | {precision:.3} |",
        count.samples
    );
}
