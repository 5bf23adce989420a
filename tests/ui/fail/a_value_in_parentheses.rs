#[hermes::tool(name("read_file"))]
fn read_file() {}

fn main() {}
