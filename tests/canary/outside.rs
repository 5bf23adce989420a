//! What comes from around the agent: a host's hooks, streams of events, what happens outside of spans, other processes.

use std::collections::HashMap;

use futures_util::{FutureExt, StreamExt, stream};
use hermes::collector::{AgentEvent, Phase, TraceCollector};
use hermes::hooks::Hooks;
use hermes::{Kind, event, propagation};
use serde_json::{Value, json};

use crate::agent::address;
use crate::search::percent_encoded;
use crate::secret::Secret;

pub(crate) fn run(secret: &Secret) {
    hooks(secret);
    collected(secret);
    happenings(secret);
    carried(secret);
}

fn hooks(secret: &Secret) {
    let hooks = Hooks::new();
    let id = format!("hooks {}", secret.number);
    let call = |name: &str, more: Value| {
        let mut told = json!({"session_id": id, "turn_id": "t", "platform": secret.say("hook_platform"),
            "model": secret.say("hook_model"), "provider": "openai", "base_url": address(secret, "hookaddress")});
        let told_too = more.as_object().unwrap().clone();
        told.as_object_mut().unwrap().extend(told_too);
        assert!(hooks.call(name, &told), "{name}");
    };
    call("on_session_start", json!({}));
    call(
        "pre_llm_call",
        json!({"user_message": secret.say("hook_message"), "conversation_history": [], "is_first_turn": true}),
    );
    call(
        "pre_api_request",
        json!({"api_request_id": "r", "api_call_count": 1}),
    );
    call(
        "post_api_request",
        json!({"api_request_id": "r", "api_call_count": 1, "finish_reason": "stop", "response_model": secret.say("hook_answered")}),
    );
    call(
        "pre_api_request",
        json!({"api_request_id": "f", "api_call_count": 2}),
    );
    call(
        "api_request_error",
        json!({"api_request_id": "f", "api_call_count": 2, "error_type": "Refused", "error_message": secret.say("hook_refused"),
            "error": {"type": "Refused", "message": secret.say("hook_refused")}}),
    );
    let arguments = json!({"cmd": secret.say("hook_args"), "password": secret.core});
    call(
        "pre_tool_call",
        json!({"tool_name": secret.say("hook_tool"), "tool_call_id": "c", "args": arguments}),
    );
    call(
        "pre_approval_request",
        json!({"command": secret.say("hook_command"), "description": secret.say("hook_approval"), "surface": "cli"}),
    );
    call(
        "post_approval_response",
        json!({"command": secret.say("hook_command"), "choice": "deny", "surface": "cli"}),
    );
    call(
        "post_tool_call",
        json!({"tool_name": secret.say("hook_tool"), "tool_call_id": "c", "args": arguments,
            "result": secret.say("hook_result"), "status": "error", "error_type": "E", "error_message": secret.say("hook_error")}),
    );
    call(
        "post_llm_call",
        json!({"assistant_response": secret.say("hook_answer")}),
    );
    call(
        "on_session_end",
        json!({"completed": true, "interrupted": false}),
    );
    call("on_session_finalize", json!({}));
}

fn collected(secret: &Secret) {
    let told = |kind, phase, id: &str| AgentEvent::new(kind, phase, id).session("collected");
    let events = vec![
        AgentEvent::new(Kind::Session, Phase::Start, "collected").name("m"),
        told(Kind::Turn, Phase::Start, "t").content(json!(secret.say("collected_message"))),
        told(Kind::Chat, Phase::Start, "c")
            .name(secret.say("collected_model"))
            .content(json!([{"role": "user", "content": secret.say("collected_question")}])),
        told(Kind::Chat, Phase::Delta, "c").content(json!(secret.say("collected_piece"))),
        told(Kind::Chat, Phase::End, "c"),
        told(Kind::Tool, Phase::Start, "x")
            .name(secret.say("collected_tool"))
            .content(json!({"x": secret.say("collected_args"), "secret": secret.core})),
        told(Kind::Tool, Phase::Error, "x")
            .error_type("Refused")
            .error_message(secret.say("collected_error")),
        told(Kind::Turn, Phase::End, "t").content(json!(secret.say("collected_answer"))),
        AgentEvent::new(Kind::Session, Phase::End, "collected"),
    ];
    let wrapped = TraceCollector::new().wrap_stream(stream::iter(events));
    wrapped.collect::<Vec<_>>().now_or_never().unwrap();
}

fn happenings(secret: &Secret) {
    let say = |input| secret.say(input);
    event::gateway(say("gateway"), say("gateway_way"), say("gateway_result"));
    event::cron(say("cron"), say("cron_result"));
    event::skill(say("skill_action"), say("skill"));
    event::memory(say("memory"), say("memory_result"));
    event::feedback(say("feedback"));
    event::error(
        say("happened_class").as_str(),
        say("happened"),
        say("happened_recovery"),
    );
}

/// What another process sends along.
fn carried(secret: &Secret) {
    let core = percent_encoded(&secret.core);
    let trace = format!("{:032x}", secret.number + 1);
    let session = percent_encoded(&secret.say("baggage"));
    for traceparent in [
        format!("00-{trace}-00000000000000aa-01"),
        secret.core.clone(),
    ] {
        let carrier = HashMap::from([
            ("traceparent".to_owned(), traceparent),
            ("tracestate".to_owned(), trace_state(secret)),
            (
                "baggage".to_owned(),
                format!(
                    "{core}=x,password={core},hermes.session.id={session},note={core};api_key={core}"
                ),
            ),
        ]);
        let _attached = propagation::attach(&carrier);
        hermes::step(secret.marker("carried")).start().end();
    }
}

/// As itself where that is enough to know it and may stand there, else under a name that tells.
fn trace_state(secret: &Secret) -> String {
    let marker = secret.marker("tracestate");
    let is_value = |byte: u8| byte.is_ascii_graphic() && byte != b',' && byte != b'=';
    let encoded = percent_encoded(&secret.core);
    // What is longer stands in no list that W3C would take.
    if encoded.len() > 256 {
        format!("{marker}=1")
    } else if secret.is_known_alone() && secret.core.bytes().all(is_value) {
        format!("{marker}={}", secret.core)
    } else {
        format!("{marker}=1,password={encoded}")
    }
}
