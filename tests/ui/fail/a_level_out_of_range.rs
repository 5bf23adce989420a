#[hermes::tool(level = 6)]
fn read_file() {}

fn main() {}
