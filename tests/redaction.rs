//! Holds the redactor to its aims, the documentation to what is measured, and the rules to the cases others got wrong.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "../examples/redaction/carrier.rs"]
mod carrier;
#[path = "../examples/redaction/clean.rs"]
mod clean;
#[path = "../examples/redaction/draw.rs"]
mod draw;
#[path = "../examples/redaction/key.rs"]
mod key;
#[path = "../examples/redaction/measure.rs"]
mod measure;
#[path = "../examples/redaction/named.rs"]
mod named;
#[path = "../examples/redaction/vendor.rs"]
mod vendor;

use std::path::Path;

use measure::{Measured, sum};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BEGIN: &str = "<!-- begin: cargo run --release --example redaction -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_aims_hold_and_the_tables_of_the_documentation_are_the_programs() {
    let root = Path::new(ROOT);
    let measured = measure::measure(&root.join("tests/data"));
    the_aims_hold(&measured);

    let doc = std::fs::read_to_string(root.join("docs/PRIVACY.md")).unwrap();
    let (_, rest) = doc.split_once(BEGIN).unwrap();
    let (tables, _) = rest.split_once(END).unwrap();
    assert!(
        tables.trim() == measure::table(&measured).trim(),
        "docs/PRIVACY.md is behind: put there what `cargo run --release --example redaction` prints"
    );
}

fn the_aims_hold(measured: &Measured) {
    let wrong: Vec<_> = measured.wrong.iter().take(5).collect();
    let known = sum(measured.kinds.iter().map(|(_, count)| count));
    assert!(known.recall() >= 0.99 && known.precision() >= 0.99, "{known:?} {wrong:#?}");
    assert!(measured.keys.recall() >= 0.99, "{:?} {wrong:#?}", measured.keys);
    let named = sum(measured.named.values());
    assert!(named.recall() >= 0.9 && named.precision() >= 0.99, "{named:?} {wrong:#?}");
    // The least of all kinds and notations: none is given up for the others.
    for (kind, count) in &measured.kinds {
        assert!(count.recall() >= 0.9, "{kind}: {count:?}");
    }
    for (notation, count) in &measured.named {
        assert!(count.recall() >= 0.9, "{notation}: {count:?}");
    }
    let clean = sum(measured.clean.values());
    assert!(clean.recall() >= 0.99, "{clean:?} {wrong:#?}");
    assert!(measured.recorded.texts > 1_000 && measured.recorded.marks == 0, "{wrong:#?}");
}
