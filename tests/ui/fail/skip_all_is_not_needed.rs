#[hermes::instrument(skip_all)]
fn read_file(path: &str) {}

fn main() {}
