#[hermes::turn(ret)]
fn answer() -> u8 {
    0
}

fn main() {}
