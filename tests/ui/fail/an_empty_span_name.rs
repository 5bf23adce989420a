#[hermes::tool(span_name = "")]
fn read_file() {}

fn main() {}
