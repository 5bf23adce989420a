//! What others' spans and events say: plain `tracing`, rig's and genai's shapes, fields whose names tell.

use serde_json::json;
use tracing::field::Empty;
use tracing::{error, info, info_span, instrument, warn};

use crate::agent::address;
use crate::secret::Secret;

pub(crate) fn run(secret: &Secret) {
    events(secret);
    session(secret);
}

#[hermes::session(id = "others")]
fn session(secret: &Secret) {
    events_inside(secret);
    rig(secret);
    genai(secret);
    plain(secret);
    instrumented(
        &secret.say("instrumented"),
        &secret.core,
        &secret.marker("instrumented_named"),
        &secret.say("instrumented_error"),
    )
    .unwrap_err();
}

/// Events that no span is around.
fn events(secret: &Secret) {
    info!("{}", secret.say("event_outside"));
    warn!(target: "somebody::elses", note = secret.say("field_outside"), "x");
}

#[hermes::tool(name = "logs")]
fn events_inside(secret: &Secret) {
    info!("{}", secret.say("event"));
    info!(target: "somebody::elses", note = secret.say("event_field"), "x");
    info!(note = ?Some(secret.say("event_debug")), shown = %secret.say("event_display"), "x");
    info!(
        db_password = secret.core,
        api_key = ?secret.core,
        client.secret = %secret.core,
        db.password = secret.core,
        beside = secret.marker("event_named"),
        "x"
    );
    error!(
        error = &std::io::Error::other(secret.say("event_error")) as &dyn std::error::Error,
        "x"
    );
    let said = messages(secret, "event_messages");
    info!(
        gen_ai.input.messages = said,
        "gen_ai.client.inference.operation.details"
    );
}

fn messages(secret: &Secret, input: &str) -> String {
    json!([{"role": "user", "content": secret.say(input), "parts": [{"type": "tool_call", "name": "t",
        "arguments": {"password": secret.core}}]}])
    .to_string()
}

fn rig(secret: &Secret) {
    let agent = info_span!(
        target: "rig::agent",
        "invoke_agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.name = secret.say("rig_agent"),
        gen_ai.system_instructions = secret.say("rig_system"),
        gen_ai.prompt = secret.say("rig_prompt"),
        gen_ai.completion = Empty,
    );
    agent.in_scope(|| {
        let chat = info_span!(
            target: "rig::completions",
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = "openai",
            gen_ai.request.model = secret.say("rig_model"),
            gen_ai.response.id = Empty,
            gen_ai.input.messages = messages(secret, "rig_input"),
            gen_ai.output.messages = Empty,
        );
        chat.record("gen_ai.output.messages", messages(secret, "rig_output"));
        chat.record("gen_ai.response.id", secret.say("rig_id"));
        let arguments =
            json!({"x": secret.say("rig_args"), "access_token": secret.core}).to_string();
        let tool = info_span!(
            target: "rig::agent",
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = secret.say("rig_tool"),
            gen_ai.tool.call.arguments = arguments,
            gen_ai.tool.call.result = Empty,
        );
        tool.record("gen_ai.tool.call.result", secret.say("rig_result"));
    });
    agent.record("gen_ai.completion", secret.say("rig_completion"));
}

fn genai(secret: &Secret) {
    let chat = info_span!(
        target: "genai::client",
        "genai.chat",
        gen_ai.operation.name = "chat",
        gen_ai.system = "anthropic",
        gen_ai.request.model = "m",
        otel.name = secret.say("genai_name"),
        server.address = address(secret, "genaiaddress"),
        unheard_of = secret.say("genai_unknown"),
        anthropic_api_key = secret.core,
        beside = secret.marker("genai_named"),
    );
    chat.in_scope(|| {
        info!(
            note = secret.say("genai_event"),
            admin_password = secret.core,
            "x"
        );
    });
}

/// A span that no table knows: it goes by on the wire alone.
fn plain(secret: &Secret) {
    let span = info_span!(
        "http.request",
        otel.name = secret.say("plain_name"),
        otel.status_code = "error",
        otel.status_description = secret.say("plain_status"),
        url.full = address(secret, "plainurl"),
        http.route = secret.say("plain_route"),
        db.password = secret.core,
        authorization = secret.core,
        user_password = ?secret.core,
        note = secret.say("plain_field"),
        beside = secret.marker("plain_named"),
    );
    span.in_scope(|| {
        info!(
            note = secret.say("plain_event"),
            webhook_secret = secret.core,
            "x"
        );
        warn!("{}", secret.say("plain_message"));
    });
}

#[instrument(skip(error), err(Debug), ret, fields(gen_ai.operation.name = "execute_tool", gen_ai.tool.name = "traced"))]
fn instrumented(
    argument: &str,
    access_token: &str,
    beside: &str,
    error: &str,
) -> Result<(), String> {
    let _ = (argument, access_token, beside);
    Err(error.to_owned())
}
