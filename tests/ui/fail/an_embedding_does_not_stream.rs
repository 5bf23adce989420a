#[hermes::embedding(stream)]
fn embed() {}

fn main() {}
