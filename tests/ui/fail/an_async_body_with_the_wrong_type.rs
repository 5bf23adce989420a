#[hermes::tool]
async fn read_file() -> String {
    let _ = 5;
}

fn main() {}
