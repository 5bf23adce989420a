trait Tool {
    #[hermes::tool]
    fn call(&self);
}

fn main() {}
