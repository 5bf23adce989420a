#[hermes::instrument(chat, tool)]
fn complete() {}

fn main() {}
