#[hermes::tool(fields = "path")]
fn read_file() {}

fn main() {}
