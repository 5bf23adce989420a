#[hermes::tool(args = pth)]
fn read_file(path: &str) {}

fn main() {}
