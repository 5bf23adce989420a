//! How much the redactor finds and how little it spoils: labelled samples, drawn by chance, in what agents' traffic is.
//!
//! `cargo run --release --example redaction [--wrong] [folder of recorded sessions]` prints the tables of docs/PRIVACY.md;
//! with `--wrong`, what leaked and what was taken by mistake.
#![expect(clippy::print_stdout, reason = "the tables are what it is for")]

mod carrier;
mod clean;
mod draw;
mod key;
mod measure;
mod named;
mod vendor;

use std::path::PathBuf;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let shows_wrong = arguments.iter().any(|argument| argument == "--wrong");
    arguments.retain(|argument| argument != "--wrong");
    let data = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let folder = arguments.pop().map_or_else(data, PathBuf::from);
    let measured = measure::measure(&folder);
    if shows_wrong {
        for wrong in &measured.wrong {
            println!("{wrong}");
        }
    }
    print!("{}", measure::table(&measured));
}
