#[hermes::tool]
const READ_FILE: &str = "read_file";

fn main() {}
