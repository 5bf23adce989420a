#[hermes::tool(name = "a", result, name = "b")]
fn read_file() -> u8 {
    0
}

fn main() {}
