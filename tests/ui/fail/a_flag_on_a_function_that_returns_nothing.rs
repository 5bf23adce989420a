#[hermes::tool(result)]
fn read_file() {}

fn main() {}
