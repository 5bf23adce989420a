#[hermes::tool]
fn read_file() -> String {
    5
}

fn main() {}
