//! The smallest agent worth looking at: a session, a turn, a model call and a tool, as one tree.
//!
//! Run with `cargo run --example minimal`. It needs no network: the model is a function. It prints
//! the session as it is kept in the store, each span with how long it took, and what it used.
#![expect(clippy::print_stdout, reason = "an example talks to its user")]

use serde_json::{Value, json};

#[hermes::session(id = id, platform = "cli")]
fn session(id: &str) -> std::io::Result<String> {
    answer("What is in Cargo.toml?")
}

#[hermes::turn(user_message = question)]
fn answer(question: &str) -> std::io::Result<String> {
    let response = complete(question);
    read_file(
        response["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or_default(),
    )
}

#[hermes::chat(model = "gpt-4o", provider = "openai", response)]
fn complete(_prompt: &str) -> Value {
    json!({
        "model": "gpt-4o-2024-08-06",
        "choices": [{ "finish_reason": "stop", "message": { "content": "Cargo.toml" } }],
        "usage": { "prompt_tokens": 12, "completion_tokens": 3 }
    })
}

#[hermes::tool(args = path, result)]
fn read_file(path: &str) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = hermes::init()?;
    session("minimal")?;

    telemetry.flush(std::time::Duration::from_secs(5))?;
    let store = telemetry.store()?;
    for run in store.runs(&hermes::RunFilter::newest(1))? {
        print!("{}", store.tree(run.trace_id)?);
    }
    Ok(())
}
