//! What the fuzz targets run: one function a target, which the tests drive too, on a stable compiler.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::Redactor;
use crate::config::Config;
use crate::policy::{cut, cut_value, halved_at};

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Redacting twice is redacting once, JSON stays JSON, and pieces stay as many as they were.
///
/// # Panics
///
/// Where one of these does not hold.
pub fn redact(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for redactor in [Redactor::new(), Redactor::new().personal_data()] {
        let clean = redactor.redact(&text);
        assert_eq!(redactor.redact(&clean), clean, "of {text:?}");
        let was_json = text.trim_start().starts_with(['{', '[', '"']) && is_json(&text);
        assert!(!was_json || is_json(&clean), "{text:?} became {clean:?}");
        let pieces: Vec<&str> = text.split_inclusive(' ').collect();
        assert_eq!(redactor.redact_pieces(&pieces).len(), pieces.len());
    }
}

/// What is cut fits, is JSON where it was, and has no half of a mark at its end.
///
/// # Panics
///
/// Where one of these does not hold.
pub fn truncate(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(1));
    let chars = 64 + usize::from(head.first().copied().unwrap_or(0));
    let text = String::from_utf8_lossy(rest);
    let clean = Redactor::new().redact(&text).into_owned();
    let short = cut(&clean, chars);
    assert!(short.chars().count() <= chars, "{clean:?} became {short:?}");
    if let Some((kept, _)) = short
        .rsplit_once('…')
        .filter(|(kept, _)| clean.starts_with(kept))
    {
        assert_eq!(
            halved_at(&clean, kept.len()),
            None,
            "{clean:?} became {short:?}"
        );
    }
    assert!(
        cut_value(Cow::Borrowed(&clean), chars).chars().count() <= chars,
        "{clean:?}"
    );
    let is_tree = clean.trim_start().starts_with(['{', '[']) && is_json(&clean);
    assert!(
        !is_tree || is_json(&cut_value(Cow::Borrowed(&clean), chars)),
        "{clean:?}"
    );
}

/// Whatever the variables of the environment hold, and a file of settings, they are read.
pub fn config(data: &[u8]) {
    let _ = crate::__private::settings_told(data);
    let text = String::from_utf8_lossy(data);
    let config = Config::read(|name| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    });
    // What was not understood is told in words.
    assert!(config.warnings.iter().all(|warning| !warning.is_empty()));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{config, redact, truncate};

    /// Rounds of each target where nobody asks for more.
    const ROUNDS: usize = 2_000;

    /// What texts are mutated with.
    const WORDS: [&str; 34] = [
        "password",
        "=",
        ":",
        "\"",
        "\\\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        "\n",
        "\\n",
        "token",
        "api_key=",
        "://",
        "@",
        "-----BEGIN PRIVATE KEY-----",
        "Bearer ",
        "sk-",
        "[secret:ab12]",
        "é",
        "…",
        "curl -u a:b",
        "secrets: ",
        "true",
        "http://x",
        "4111111111111111",
        "a@b.co",
        "=1,x",
        "\u{1b}[1m",
        "%22",
        "%25",
        "\\u0070",
        "?token=",
    ];

    fn next(seed: &mut u64) -> usize {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*seed >> 33).unwrap_or(0)
    }

    fn mutated(data: &mut Vec<u8>, seed: &mut u64) {
        for _ in 0..=next(seed) % 6 {
            let place = next(seed) % (data.len() + 1);
            match next(seed) % 5 {
                0 if place < data.len() => data[place] = u8::try_from(next(seed) % 256).unwrap(),
                1 if place < data.len() => {
                    let end = (place + next(seed) % 16).min(data.len());
                    data.drain(place..end);
                }
                2 => {
                    let end = (place + next(seed) % 64).min(data.len());
                    let copy = data[place..end].to_vec();
                    data.splice(place..place, copy);
                }
                _ => {
                    let word = WORDS[next(seed) % WORDS.len()];
                    data.splice(place..place, word.bytes());
                }
            }
        }
        data.truncate(4_096);
    }

    fn drive(target: &str, run: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let mut corpus: Vec<Vec<u8>> = files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();
        assert!(!corpus.is_empty());
        for data in &corpus {
            run(data);
        }
        let asked = std::env::var("HERMES_FUZZ_ROUNDS")
            .ok()
            .and_then(|rounds| rounds.parse().ok());
        let mut seed = 1;
        for round in 0..asked.unwrap_or(ROUNDS) {
            let chosen = next(&mut seed) % corpus.len();
            let mut data = corpus[chosen].clone();
            mutated(&mut data, &mut seed);
            run(&data);
            // Some go on to be mutated further.
            if round % 8 == 0 {
                if corpus.len() < 200 {
                    corpus.push(data);
                } else {
                    corpus[chosen] = data;
                }
            }
        }
    }

    #[test]
    fn the_redactor_keeps_its_laws() {
        drive("redact", redact);
    }

    #[test]
    fn the_truncator_keeps_its_laws() {
        drive("truncate", truncate);
    }

    #[test]
    fn the_environment_is_read_whatever_it_holds() {
        drive("config", config);
    }
}
