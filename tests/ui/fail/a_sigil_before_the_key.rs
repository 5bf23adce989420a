#[hermes::tool(%name)]
fn read_file(name: &str) {}

fn main() {}
