#[hermes::tool(level = "verbose")]
fn read_file() {}

fn main() {}
