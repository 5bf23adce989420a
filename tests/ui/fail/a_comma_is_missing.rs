#[hermes::tool(name = "read_file" args = path)]
fn read_file(path: &str) {}

fn main() {}
