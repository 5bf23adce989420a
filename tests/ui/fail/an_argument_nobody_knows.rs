#[hermes::instrument(chat, temperature = 0.5)]
async fn complete() {}

fn main() {}
