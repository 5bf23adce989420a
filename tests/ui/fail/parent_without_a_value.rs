#[hermes::tool(parent)]
fn read_file() {}

fn main() {}
