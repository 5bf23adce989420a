#[hermes::tool(follows_from =)]
fn read_file() {}

fn main() {}
