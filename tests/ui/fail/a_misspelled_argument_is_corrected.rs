#[hermes::chat(modle = "gpt-4o")]
async fn complete() {}

fn main() {}
