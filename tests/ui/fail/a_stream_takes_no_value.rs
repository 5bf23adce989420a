#[hermes::chat(stream = true)]
fn complete() -> ChatStream {
    todo!()
}

fn main() {}
