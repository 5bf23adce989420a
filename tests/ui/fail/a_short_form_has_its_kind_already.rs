#[hermes::tool(tool, args = path)]
fn read_file(path: &str) {}

fn main() {}
