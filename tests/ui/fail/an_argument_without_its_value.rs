#[hermes::tool(args = , result)]
fn read_file() -> u8 {
    0
}

fn main() {}
