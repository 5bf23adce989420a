const NAME: &str = "read_file";

#[hermes::tool(span_name = NAME)]
fn read_file() {}

fn main() {}
