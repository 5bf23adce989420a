#[hermes::tool(stream, result)]
fn search() -> ChatStream {
    todo!()
}

fn main() {}
