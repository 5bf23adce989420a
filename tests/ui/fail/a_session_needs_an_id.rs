#[hermes::session(model = "gpt-4o")]
async fn run() {}

fn main() {}
