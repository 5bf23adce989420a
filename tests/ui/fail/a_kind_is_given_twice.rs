#[hermes::instrument(tool, tool)]
fn read_file() {}

fn main() {}
