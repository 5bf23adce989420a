//! What instrumentation costs the program per span, as ratios inside one run.
//!
//! Run with `cargo bench --bench hot_path`; `docs/BENCHMARKS.md` says what is measured and how.
//! Arguments go behind `--`: `--quick`, `--rounds N`, `--only hermes-local,fmt`, `--gate`.

#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has failed"
)]

mod collector;
mod measure;
mod report;
mod rounds;
mod scenario;
mod span;

use std::io::Write;
use std::process::ExitCode;

use measure::{Job, MARK};
use rounds::Wishes;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((MARK, job)) = words.split_first().map(|(mark, job)| (mark.as_str(), job)) {
        say(&Job::measure(job));
        return ExitCode::SUCCESS;
    }
    let wishes = Wishes::read(&words);
    let results = rounds::run(&wishes);
    let (text, is_met) = report::report(&results);
    say(&text);
    if wishes.gates && !is_met {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
}
