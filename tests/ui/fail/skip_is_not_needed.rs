#[hermes::tool(skip(path))]
fn read_file(path: &str) {}

fn main() {}
