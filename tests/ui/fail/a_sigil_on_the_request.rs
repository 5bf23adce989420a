#[hermes::chat(request = %request)]
fn complete(request: &str) {}

fn main() {}
