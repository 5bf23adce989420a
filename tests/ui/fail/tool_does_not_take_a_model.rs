#[hermes::tool(model = "gpt-4o")]
fn read_file() {}

fn main() {}
