#[hermes::tool]
pub struct ReadFile {
    pub path: String,
}

fn main() {}
