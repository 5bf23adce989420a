//! The rules of ARCHITECTURE.md that the compiler does not check.
//!
//! It reads text, so it is a fence and no proof: a path through a re-export passes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its sources has failed"
)]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Which module may name which. What is missing here is the composition root.
#[rustfmt::skip]
const MAY_USE: &[(&str, &[&str])] = &[
    ("semconv",  &[]),
    ("record",   &["semconv"]),
    ("policy",   &["semconv", "record"]),
    ("wire",     &["semconv", "record", "policy"]),
    ("store",    &["semconv", "record"]),
    ("insight",  &["semconv", "record", "store"]),
    ("rebuild",  &["record", "wire", "store", "sink"]),
    ("sink",     &["semconv", "record", "policy", "wire", "store"]),
    ("pipeline", &["record", "policy", "sink"]),
    ("capture",  &["semconv", "record", "policy", "sink", "pipeline"]),
    ("event",    &["record", "capture"]),
    ("propagation", &["semconv", "record", "sink", "capture"]),
    ("span",     &["semconv", "record", "wire", "sink", "capture", "propagation"]),
    ("client",   &["semconv", "record", "capture", "propagation", "span"]),
    ("collector", &["semconv", "record", "span"]),
    ("hooks",    &["semconv", "record", "span"]),
    ("logs",     &["record", "capture"]),
];

/// Text that belongs to one place, and that place.
#[rustfmt::skip]
const LIVES_IN: &[(&str, &[&str])] = &[
    ("\"gen_ai.",            &["semconv"]),
    ("\"llm.",               &["semconv"]),
    ("rusqlite::",           &["store"]),
    ("tracing_subscriber::", &["capture", "logs", "sink", "builder", "assembly"]),
    ("opentelemetry::",      &["sink"]),
    ("opentelemetry_sdk::",  &["sink"]),
    ("opentelemetry_otlp::", &["sink"]),
    ("ureq::",               &["sink"]),
    ("std::env::var",        &["config", "sink", "propagation"]),
];

const NAMES_THAT_SAY_NOTHING: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "types", "imp",
];

/// What opens a way out of the process, and the files that may: each asks for a permit, or gives one out.
#[rustfmt::skip]
const EXITS: &[(&str, &[&str])] = &[
    // What is asked for is read by the gate, and shown by the status.
    (".chosen()",              &["config/mod.rs", "config/log_export.rs", "policy/gate/mod.rs", "privacy/status.rs"]),
    (".chosen_for_logs()",     &["policy/gate/mod.rs", "privacy/status.rs"]),
    // The permits.
    ("Permit {",               &["policy/gate/mod.rs"]),
    ("Gate::of(",             &["assembly/mod.rs", "privacy/mod.rs"]),
    (".spans(&config.export)", &["assembly/exporting.rs", "assembly/silent.rs"]),
    (".logs(&config.export)",  &["assembly/logging.rs", "assembly/logless.rs"]),
    // The exporters.
    ("SpanExporter::builder",  &["sink/otlp/http.rs", "sink/otlp/grpc.rs"]),
    ("LogExporter::builder",   &["sink/otlp/log/exit.rs"]),
    ("MetricExporter",         &[]),
    ("ureq::",                 &["sink/otlp/http.rs"]),
    ("tonic::",                &["sink/otlp/grpc.rs", "sink/otlp/answer.rs"]),
    ("stderr()",               &["diagnostic.rs", "sink/otlp/console.rs", "sink/otlp/log/console.rs"]),
    ("stdout()",               &[]),
    ("TcpStream",              &[]),
    ("UdpSocket",              &[]),
    ("UnixStream",             &[]),
    ("std::process::Command",  &["propagation/environment.rs"]),
];

/// Functions that make an exporter, and so take a permit.
#[rustfmt::skip]
const MAKERS: &[(&str, &str)] = &[
    ("sink/otlp/console.rs",     "fn new("),
    ("sink/otlp/http.rs",        "fn build("),
    ("sink/otlp/http.rs",        "fn set_up<"),
    ("sink/otlp/grpc.rs",        "fn build(\n        _: &Permit"),
    ("sink/otlp/setup.rs",       "fn exit("),
    ("sink/otlp/log/console.rs", "fn new("),
    ("sink/otlp/log/exit.rs",    "fn build("),
    ("sink/otlp/mod.rs",         "fn build("),
    ("sink/otlp/log/mod.rs",     "fn build("),
];

/// Lines before the unit tests; a table is data and may be longer.
const MAX_LINES: usize = 500;
const TABLES: &[&str] = &[
    "semconv/table.rs",
    "semconv/fact.rs",
    "policy/redact/letters.rs",
];

#[test]
fn modules_use_only_what_lies_below_them() {
    for source in sources() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == source.module) else {
            continue;
        };
        for (number, line) in source.production_lines() {
            for rest in line.split("crate::").skip(1) {
                let used = rest
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next()
                    .unwrap();
                let is_module = MAY_USE.iter().any(|(name, _)| *name == used);
                assert!(
                    !used.is_empty(),
                    "{source}:{number}: write `crate::module::{{…}}`"
                );
                assert!(
                    !is_module || used == source.module || allowed.contains(&used),
                    "{source}:{number}: `{}` may not use `{used}`",
                    source.module,
                );
            }
        }
    }
}

#[test]
fn what_lives_in_one_place_is_named_nowhere_else() {
    for source in sources() {
        for (number, line) in source.production_lines() {
            for (text, homes) in LIVES_IN {
                let at_home = homes.contains(&source.module.as_str());
                assert!(
                    at_home || !line.contains(text),
                    "{source}:{number}: `{text}` lives in {homes:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_leaves_the_process_but_with_leave_of_the_gate() {
    let sources = sources();
    for source in &sources {
        for (number, line) in source.production_lines() {
            for (text, homes) in EXITS {
                let at_home = homes.iter().any(|home| source.path == Path::new(home));
                assert!(
                    at_home || !line.contains(text),
                    "{source}:{number}: `{text}` opens a way out; only {homes:?} may"
                );
            }
        }
    }
    for (path, maker) in MAKERS {
        let source = sources.iter().find(|source| source.path == Path::new(path));
        let text = &source.unwrap().text;
        let from = text.find(maker).unwrap();
        let parameters = text[from..].split(") ->").next().unwrap();
        assert!(
            parameters.contains("Permit"),
            "src/{path}: `{maker}` makes an exporter without a permit"
        );
    }
}

#[test]
fn every_file_is_short_and_says_what_it_is_for() {
    for source in sources() {
        let lines = source
            .text
            .lines()
            .take_while(|line| line.trim() != "#[cfg(test)]")
            .count();
        let is_table = TABLES.iter().any(|table| source.path.ends_with(table));
        let is_test = source.path.ends_with("tests.rs");
        let is_readme = source.text.starts_with("#![doc = include_str!(");
        assert!(
            source.text.starts_with("//! ") || is_test || is_readme,
            "{source}: the first line is not a module doc"
        );
        assert!(
            is_table || is_test || lines <= MAX_LINES,
            "{source}: {lines} lines"
        );
        for part in source.path.iter().filter_map(|part| part.to_str()) {
            let name = part.trim_end_matches(".rs");
            assert!(
                !NAMES_THAT_SAY_NOTHING.contains(&name),
                "{source}: name it after what it does"
            );
        }
    }
}

#[test]
fn modules_stand_in_the_order_of_the_data() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let order: Vec<_> = lib
        .lines()
        .filter_map(|line| {
            line.trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        })
        .filter(|module| MAY_USE.iter().any(|(name, _)| name == module))
        .collect();
    assert_eq!(
        order,
        [
            "client",
            "collector",
            "hooks",
            "span",
            "event",
            "propagation",
            "capture",
            "semconv",
            "record",
            "policy",
            "pipeline",
            "sink",
            "wire",
            "store",
            "insight",
            "rebuild",
            "logs"
        ]
    );
}

struct Source {
    /// Relative to `src/`.
    path: PathBuf,
    /// The folder or file of `src/` it belongs to.
    module: String,
    text: String,
}

impl Source {
    /// The numbered lines before the unit tests, without comments.
    fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..)
            .zip(self.text.lines())
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .filter(|_| !self.path.ends_with("tests.rs"))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "src/{}", self.path.display())
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let path = file.strip_prefix(&root).unwrap().to_owned();
                let first = path.iter().next().unwrap().to_str().unwrap();
                let module = first.trim_end_matches(".rs").to_owned();
                let text = fs::read_to_string(&file).unwrap();
                sources.push(Source { path, module, text });
            }
        }
    }
    sources
}
