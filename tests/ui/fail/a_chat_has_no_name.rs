#[hermes::chat(name = "complete")]
async fn complete() {}

fn main() {}
