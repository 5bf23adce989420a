#[hermes::chat(stream)]
fn complete() {}

fn main() {}
