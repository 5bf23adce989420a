#[hermes::tool(fields(path: 1))]
fn read_file() {}

fn main() {}
