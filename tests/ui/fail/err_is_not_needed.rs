#[hermes::tool(args = path, err(Debug))]
fn read_file(path: &str) -> Result<(), ()> {
    Ok(())
}

fn main() {}
