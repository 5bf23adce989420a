struct Model;

#[hermes::chat(model = model, provider = "openai")]
fn complete(model: Model) {
    let _ = model;
}

fn main() {
    complete(Model);
}
