#[hermes::chat(stream)]
fn complete() -> Result<Vec<u8>, std::io::Error> {
    Ok(Vec::new())
}

fn main() {}
