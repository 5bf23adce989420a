#[hermes::tool(nam = "a", model = call::<u8, u8>(1, 2), level = "loud", result)]
fn read_file() -> u8 {
    0
}

fn main() {}
