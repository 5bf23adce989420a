#[hermes::tool(crate = "hermes")]
fn read_file() {}

fn main() {}
