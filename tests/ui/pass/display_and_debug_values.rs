//! `%` and `?` before a value, and a bare name for the variable of that name.
#![deny(warnings)]

use std::fmt;

#[derive(Debug)]
struct Id(u32);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "id-{}", self.0)
    }
}

#[derive(Debug)]
struct Arguments {
    path: &'static str,
}

#[hermes::session(id = %id, platform = ?platform)]
fn session(id: &Id, platform: Option<&str>) -> bool {
    id.0 == 1 && platform.is_some()
}

#[hermes::tool(call_id = %id, args = ?args, backend = %args.path)]
fn tool(id: Id, args: Arguments) -> u32 {
    let _ = args.path;
    id.0
}

#[hermes::chat(model, provider = %provider, base_url = %url, request)]
fn chat(model: &str, provider: char, url: Id, request: &str) -> String {
    format!("{model}{provider}{url}{request}")
}

#[hermes::turn(user_message = %format_args!("{} {}", id, id.0), index = id.0)]
fn turn(id: &Id) -> u32 {
    id.0
}

#[hermes::session(id, agent)]
fn bare(id: &str, agent: String) -> usize {
    id.len() + agent.len()
}

fn main() {
    assert!(session(&Id(1), Some("cli")));
    assert_eq!(tool(Id(2), Arguments { path: "a" }), 2);
    assert_eq!(chat("m", 'p', Id(3), "r"), "mpid-3r");
    assert_eq!(turn(&Id(4)), 4);
    assert_eq!(bare("ab", "cd".to_owned()), 4);
}
