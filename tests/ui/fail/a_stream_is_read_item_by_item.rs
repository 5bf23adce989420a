#[hermes::tool(stream, result)]
fn search() -> std::pin::Pin<Box<dyn futures_util::Stream<Item = u8>>> {
    Box::pin(futures_util::stream::empty())
}

fn main() {}
