#[hermes::tool(ret)]
fn read_file() -> u8 {
    0
}

fn main() {}
