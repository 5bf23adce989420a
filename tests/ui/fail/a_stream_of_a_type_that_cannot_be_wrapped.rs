use futures_util::stream::{self, Iter};

#[hermes::chat(stream)]
fn complete() -> Iter<std::vec::IntoIter<u8>> {
    stream::iter(vec![1])
}

fn main() {}
