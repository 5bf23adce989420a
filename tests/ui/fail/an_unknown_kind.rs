#[hermes::instrument(tol, args = path)]
fn read_file(path: &str) {}

fn main() {}
