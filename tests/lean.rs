//! An embedder that wants the local store alone gets no async runtime and no HTTP stack.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run cargo has failed"
)]

use std::process::Command;

fn tree(arguments: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "tree", "--prefix", "none", "--edges", "normal", "--format", "{p}",
        ])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let listing = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| line.split(' ').next().unwrap().to_owned();
    listing
        .lines()
        .filter(|line| !line.is_empty())
        .map(name)
        .collect()
}

#[test]
fn the_store_alone_pulls_in_no_runtime_and_no_network() {
    let crates = tree(&["--no-default-features", "--features", "sqlite"]);
    assert!(crates.contains(&"rusqlite".to_owned()));
    for unwanted in [
        "tokio",
        "hyper",
        "tonic",
        "reqwest",
        "ureq",
        "rustls",
        "opentelemetry",
    ] {
        assert!(
            !crates.iter().any(|name| name == unwanted),
            "{unwanted} is in the tree"
        );
    }
}

#[test]
fn http_export_needs_no_async_runtime_either() {
    for features in [
        &[][..],
        &["--no-default-features", "--features", "otlp-logs"],
    ] {
        let crates = tree(features);
        for unwanted in ["tokio", "hyper", "tonic", "reqwest"] {
            assert!(
                !crates.iter().any(|name| name == unwanted),
                "{unwanted} is in the tree"
            );
        }
    }
}
