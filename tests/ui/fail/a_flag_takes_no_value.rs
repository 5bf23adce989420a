#[hermes::tool(result = text)]
fn read_file(text: &str) -> String {
    text.to_owned()
}

fn main() {}
