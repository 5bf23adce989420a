struct ReadFile;

#[hermes::tool]
impl ReadFile {
    fn call(&self) {}
}

fn main() {}
