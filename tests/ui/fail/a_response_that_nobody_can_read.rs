struct Answer;

#[hermes::chat(model = "m", response)]
fn complete() -> Answer {
    Answer
}

fn main() {
    complete();
}
