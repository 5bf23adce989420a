//! Functions that run to their end at the call.
#![deny(warnings)]

#[derive(Debug, PartialEq)]
struct Refused;

#[hermes::tool(args = path, result)]
fn read_file(path: &str) -> Result<String, Refused> {
    if path.is_empty() {
        return Err(Refused);
    }
    Ok(path.to_uppercase())
}

#[hermes::instrument]
fn step(mut count: u32) -> u32 {
    count += 1;
    count
}

#[hermes::instrument(step)]
fn nothing(log: &mut Vec<u32>) {
    log.push(1);
}

#[hermes::instrument(fields(answer = 42))]
fn twice(count: u32) -> Result<u32, std::num::ParseIntError> {
    let parsed: u32 = "2".parse()?;
    Ok(count * parsed)
}

#[hermes::session(id = id)]
fn session(id: String) -> String {
    id
}

#[hermes::agent]
pub fn r#loop() {}

fn main() {
    assert_eq!(read_file("a"), Ok("A".to_owned()));
    assert_eq!(read_file(""), Err(Refused));
    assert_eq!(step(1), 2);
    let mut log = Vec::new();
    nothing(&mut log);
    assert_eq!(log, [1]);
    assert_eq!(twice(4), Ok(8));
    assert_eq!(session("s".to_owned()), "s");
    r#loop();
}
