#[hermes::tool(result args = path)]
fn read_file(path: &str) -> u8 {
    0
}

fn main() {}
