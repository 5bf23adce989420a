#[hermes::instrument(provider = "openai")]
fn step() {}

fn main() {}
