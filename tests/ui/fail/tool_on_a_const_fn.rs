#[hermes::tool]
const fn read_file() -> u8 {
    0
}

fn main() {}
