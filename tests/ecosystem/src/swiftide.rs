//! swiftide has to be locked apart from the others, so its tests are a package of their own, run from here.

use std::path::Path;
use std::process::Command;

#[test]
fn the_tests_of_swiftide_pass_in_their_own_workspace() {
    // Where this test was built there is most of what those need.
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("swiftide/Cargo.toml");
    let tests = Command::new(env!("CARGO"))
        .arg("test")
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .output()
        .unwrap();
    assert!(
        tests.status.success(),
        "{}{}",
        String::from_utf8_lossy(&tests.stdout),
        String::from_utf8_lossy(&tests.stderr)
    );
}
