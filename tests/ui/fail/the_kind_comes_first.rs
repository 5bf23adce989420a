#[hermes::instrument(level = "info", tool)]
fn read_file() {}

fn main() {}
