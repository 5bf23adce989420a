//! The classic agent: one session, one turn, two model calls, two tools. Six spans.

use std::io;

use serde_json::{Value, json};

/// Runs the session.
pub(crate) fn session() {
    run("s-42").unwrap();
}

#[hermes::session(id = id, model = "gpt-4o", platform = "telegram", agent = "coder")]
fn run(id: &str) -> io::Result<()> {
    answer("what is in the file?").map(drop)
}

#[hermes::turn(user_message = question, response)]
fn answer(question: &str) -> io::Result<String> {
    let model = Model {
        base_url: "https://user:hunter22@api.openai.com/v1?key=sk-x".into(),
    };
    let first = model.complete(&request(question));
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    read_file("call_1", "notes.txt")?;
    search("call_2", "needle");
    let last = model.complete(&request(question));
    Ok(last["choices"][0]["message"]["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

struct Model {
    base_url: String,
}

impl Model {
    #[hermes::chat(
        model = "gpt-4o",
        provider = "OpenAI",
        base_url = self.base_url,
        api_mode = "chat_completions",
        request = request,
        response
    )]
    fn complete(&self, request: &Value) -> Value {
        hermes::current()
            .cost_usd(0.0125)
            .retry_count(1)
            .first_chunk();
        let tool_calls = json!([{ "id": "call_1", "type": "function",
            "function": { "name": "read_file", "arguments": "{\"path\":\"notes.txt\"}" } }]);
        json!({
            "id": "chatcmpl-7",
            "model": "gpt-4o-2024-08-06",
            "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": "a needle", "tool_calls": tool_calls } }],
            "usage": { "prompt_tokens": 1200, "completion_tokens": 80,
                "prompt_tokens_details": { "cached_tokens": 1000 },
                "completion_tokens_details": { "reasoning_tokens": 16 } },
        })
    }
}

#[hermes::tool(name = "read_file", call_id = id, args = path, description = "reads a file", result)]
fn read_file(id: &str, path: &str) -> io::Result<String> {
    let _ = id;
    Ok(format!("{path}: a needle"))
}

#[hermes::tool(call_id = id, args = pattern, backend = "local", result)]
fn search(id: &str, pattern: &str) -> Value {
    let _ = id;
    json!({ "matches": [pattern] })
}

fn request(question: &str) -> Value {
    json!({
        "model": "gpt-4o",
        "temperature": 0.5,
        "max_tokens": 512,
        "messages": [
            { "role": "system", "content": "You read files." },
            { "role": "user", "content": question },
        ],
        "tools": [{ "type": "function", "function": { "name": "read_file",
            "parameters": { "type": "object" } } }],
    })
}
