//! What an agent of one's own says through Hermes: attributes, late values, failures, panics, held spans, streams.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::{FutureExt, StreamExt, stream};
use hermes::TraceStreamExt;
use serde_json::{Value, json};

use crate::search::percent_encoded;
use crate::secret::Secret;

pub(crate) fn run(secret: &Secret) {
    session(secret);
    held(secret);
    streamed(secret);
}

#[hermes::session(id = secret.say("run_id"), platform = secret.say("platform"), agent = secret.say("agent"))]
fn session(secret: &Secret) {
    turn(secret, &secret.say("user_message"));
    helper(secret);
    approve(secret);
    embed(secret);
    let _ = catch_unwind(AssertUnwindSafe(|| panics(secret)));
    fails(secret).unwrap_err();
    fails_by_debug(secret).unwrap_err();
    fails_by_chain(secret).unwrap_err();
    late(secret);
}

#[hermes::turn(user_message = text, response)]
fn turn(secret: &Secret, text: &str) -> String {
    let _ = text;
    chat(secret, &request(secret));
    tool(secret, &secret.say("tool_args"));
    structured(
        secret,
        &json!({"cmd": secret.say("json_args"), "password": secret.core}),
    );
    secret.say("turn_answer")
}

fn request(secret: &Secret) -> Value {
    json!({
        "model": "m", "temperature": 0.5, "stop": [secret.say("stop")],
        "messages": [
            {"role": "system", "content": secret.say("system")},
            {"role": "user", "content": [{"type": "text", "text": secret.say("user_part")}]},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c", "type": "function",
                "function": {"name": "t", "arguments": json!({"x": secret.say("history_args"), "api_key": secret.core}).to_string()}}]},
            {"role": "tool", "tool_call_id": "c", "content": secret.say("history_result")},
        ],
        "tools": [{"type": "function", "function": {"name": "t", "description": secret.say("tool_definition"), "parameters": {}}}],
    })
}

#[hermes::chat(model = secret.say("model"), provider = "openai", base_url = address(secret, "address"), request = request, response)]
fn chat(secret: &Secret, request: &Value) -> Value {
    json!({
        "id": secret.say("answer_id"), "model": secret.say("answer_model"),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant",
            "content": secret.say("chat_answer"), "reasoning_content": secret.say("reasoning"),
            "tool_calls": [{"id": "d", "type": "function", "function": {"name": "t",
                "arguments": json!({"x": secret.say("asked_args"), "access_token": secret.core}).to_string()}}]}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    })
}

/// A URL with the secret wherever a URL may hold one.
pub(crate) fn address(secret: &Secret, input: &str) -> String {
    let core = percent_encoded(&secret.core);
    let host = secret.marker(input);
    format!(
        "https://bob:{core}@{host}.example.com/v1?api_key={core}&password={core}#access_token={core}"
    )
}

#[hermes::tool(name = secret.say("tool_name"), call_id = secret.say("call_id"), args = args, description = secret.say("tool_description"), result)]
fn tool(secret: &Secret, args: &str) -> String {
    let _ = args;
    secret.say("tool_result")
}

#[hermes::tool(name = "structured", args = args, result)]
fn structured(secret: &Secret, args: &Value) -> Value {
    let _ = args;
    json!({"stdout": secret.say("json_result"), "env": {"DB_PASSWORD": secret.core}})
}

#[hermes::agent(name = secret.say("helper"), goal = secret.say("goal"), description = secret.say("helper_description"))]
fn helper(secret: &Secret) {
    look_up(secret);
}

#[hermes::retriever(source = secret.say("source"), query = secret.say("query"))]
fn look_up(secret: &Secret) {}

#[hermes::approval(subject = secret.say("subject"), request = secret.say("approval"))]
fn approve(secret: &Secret) {
    hermes::current().approval(secret.say("decision"));
}

#[hermes::embedding(model = "e", input = [secret.say("embedded")])]
fn embed(secret: &Secret) {}

#[hermes::tool(name = "panics")]
fn panics(secret: &Secret) {
    panic!("{}", secret.say("panic"));
}

/// An error whose cause holds the secret too.
struct Refused {
    shown: String,
    debugged: String,
    cause: Option<Box<Refused>>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.debugged)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let cause = self.cause.as_deref()?;
        Some(cause)
    }
}

fn refused(secret: &Secret, shown: &str, debugged: &str) -> Refused {
    Refused {
        shown: secret.say(shown),
        debugged: secret.say(debugged),
        cause: None,
    }
}

#[hermes::tool(name = "fails")]
fn fails(secret: &Secret) -> Result<(), Refused> {
    Err(refused(secret, "error", "error_debug"))
}

/// An error that has no `Display`.
struct Mute(String);

impl fmt::Debug for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mute").field(&self.0).finish()
    }
}

#[hermes::tool(name = "fails by debug")]
fn fails_by_debug(secret: &Secret) -> Result<(), Mute> {
    Err(Mute(secret.say("mute_error")))
}

#[hermes::chat(model = "fails")]
fn fails_by_chain(secret: &Secret) -> Result<(), Box<dyn std::error::Error>> {
    let cause = refused(secret, "cause", "cause_debug");
    Err(Box::new(Refused {
        shown: secret.marker("chat_error"),
        debugged: secret.say("chat_error_debug"),
        cause: Some(Box::new(cause)),
    }))
}

#[hermes::tool(name = "late", args = "x")]
fn late(secret: &Secret) {
    hermes::current()
        .output(secret.say("late_output"))
        .record("note", secret.say("late_value"))
        .record("db_password", secret.core.clone())
        .record("beside", secret.marker("late_named"))
        .record(secret.say("late_name"), "x")
        .end_reason(secret.say("end_reason").as_str())
        .error_class(secret.say("error_class").as_str());
}

fn held(secret: &Secret) {
    let session = hermes::session(secret.say("held_run")).start();
    let turn = session
        .turn()
        .user_message(secret.say("held_message"))
        .start();
    let chat = turn
        .chat(secret.say("held_model"))
        .provider(secret.say("held_provider"))
        .base_url(address(secret, "heldaddress"))
        .request(request(secret))
        .start();
    chat.output(secret.say("held_answer"))
        .response_id(secret.say("held_id"))
        .finish_reason(secret.say("finish_reason"));
    chat.end();
    let tool = turn
        .tool(secret.say("held_tool"))
        .args(json!({"x": secret.say("held_args"), "client_secret": secret.core}))
        .record("x-api-key", secret.core.clone())
        .record("beside", secret.marker("held_named"))
        .start();
    tool.fail(secret.say("held_error").as_str());
    let step = session.step(secret.say("held_step")).start();
    step.record("note", secret.say("held_value"));
    step.end();
    turn.end();
    session.end();
}

fn streamed(secret: &Secret) {
    let text = secret.say("streamed");
    let pieces: Vec<String> = text.chars().map(String::from).collect();
    let pieces: Vec<String> = pieces.chunks(5).map(<[String]>::concat).collect();
    let traced = stream::iter(pieces).traced(hermes::tool("stream"));
    traced.collect::<Vec<_>>().now_or_never().unwrap();

    let text = secret.say("streamed_chat");
    let chunks: Vec<Value> = text
        .chars()
        .map(|letter| json!({"id": "c", "object": "chat.completion.chunk", "model": "m",
            "choices": [{"index": 0, "delta": {"content": letter.to_string()}, "finish_reason": null}]}))
        .collect();
    let traced = stream::iter(chunks).traced(hermes::chat("m").provider("openai"));
    traced.collect::<Vec<_>>().now_or_never().unwrap();

    let failing: Vec<Result<String, String>> =
        vec![Ok("a".to_owned()), Err(secret.say("stream_error"))];
    let traced = stream::iter(failing).traced(hermes::tool("broken stream"));
    traced.collect::<Vec<_>>().now_or_never().unwrap();
}
