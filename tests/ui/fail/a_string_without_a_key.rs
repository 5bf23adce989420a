#[hermes::instrument("read_file")]
fn read_file() {}

fn main() {}
