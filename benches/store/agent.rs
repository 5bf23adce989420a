//! A made-up agent that works as fast as it can: sessions of a realistic shape, or model calls alone.

use std::thread::sleep;
use std::time::Duration;

use hermes::Telemetry;
use tracing::field::Empty;
use tracing::info_span;

/// The queue that Hermes comes with holds this many records.
const QUEUE: usize = 8_192;
/// How many sessions' spans are made between two looks at the queue.
const LOOK: u64 = 4;

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Sessions of two turns, each of three model calls and three tool calls.
    Sessions,
    /// One session after another of 100 model calls with twelve fields each, and nothing else.
    Chats,
    /// Model calls with twelve fields, each outside any session and so a run of its own.
    LoneChats,
}

impl Mix {
    /// The spans of one unit of work.
    pub(crate) const fn spans(self) -> u64 {
        match self {
            Mix::Sessions => 15,
            Mix::Chats => 101,
            Mix::LoneChats => 1,
        }
    }

    /// One unit of work.
    fn work(self, number: u64) {
        match self {
            Mix::Sessions => session(number),
            Mix::Chats => {
                let id = format!("session-{number}");
                let _session = info_span!("hermes.session", hermes.session.id = id).entered();
                (0..100).for_each(|call| twelve_fields(number, call));
            }
            Mix::LoneChats => twelve_fields(number, 0),
        }
    }
}

/// Records so many spans or a few more, and waits whenever half the queue is full; returns how many.
pub(crate) fn record(telemetry: &Telemetry, mix: Mix, spans: u64) -> u64 {
    let mut recorded = 0;
    let mut number = 0;
    while recorded < spans {
        if number % LOOK == 0 || mix.spans() > LOOK {
            wait_for_room(telemetry);
        }
        mix.work(number);
        number += 1;
        recorded += mix.spans();
    }
    recorded
}

/// Records without a look at the queue, which has to be large enough.
pub(crate) fn record_at_once(mix: Mix, spans: u64) -> u64 {
    let units = spans.div_ceil(mix.spans());
    (0..units).for_each(|number| mix.work(number));
    units * mix.spans()
}

fn wait_for_room(telemetry: &Telemetry) {
    while telemetry.stats().queue_depth > QUEUE / 2 {
        sleep(Duration::from_millis(1));
    }
}

fn session(number: u64) {
    let id = format!("0192f3a4-5b6c-7d8e-9f00-{number:012x}");
    let _session = info_span!(
        "hermes.session",
        hermes.session.id = id,
        hermes.model = "gpt-4o",
        hermes.platform = "telegram",
        gen_ai.agent.name = "librarian",
    )
    .entered();
    for _ in 0..2 {
        let _turn = info_span!("hermes.turn").entered();
        for call in 0..3 {
            chat(number, call);
            tool(number, call);
        }
    }
}

/// A model call with eighteen fields.
fn chat(number: u64, call: u64) {
    let span = info_span!(
        "hermes.chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = "gpt-4o",
        hermes.base_url = "https://api.openai.com/v1",
        hermes.api_mode = "chat_completions",
        hermes.message_count = 12,
        hermes.tool_count = 9,
        gen_ai.request.temperature = 0.5,
        gen_ai.request.max_tokens = 4096,
        gen_ai.response.model = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        hermes.assistant_content_chars = Empty,
        hermes.assistant_tool_call_count = Empty,
    );
    let _entered = span.enter();
    let id = format!("chatcmpl-{:024x}", number * 64 + call);
    let tokens = 1200 + (number % 900).cast_signed();
    tracing::record_all!(
        span,
        gen_ai.response.model = "gpt-4o-2024-08-06",
        gen_ai.response.id = id,
        gen_ai.response.finish_reasons = "tool_calls",
        gen_ai.response.time_to_first_chunk = 0.251,
        gen_ai.usage.input_tokens = tokens,
        gen_ai.usage.output_tokens = 80,
        gen_ai.usage.cache_read.input_tokens = 1000,
        gen_ai.usage.reasoning.output_tokens = 16,
        hermes.assistant_content_chars = 412,
        hermes.assistant_tool_call_count = 1,
    );
}

fn tool(number: u64, call: u64) {
    let id = format!("call_{:020x}", number * 64 + call);
    let span = info_span!(
        "hermes.tool",
        gen_ai.tool.name = "read_file",
        gen_ai.tool.call.id = id,
        gen_ai.tool.type = "function",
        hermes.tool.backend = "local",
        hermes.tool.result_class = Empty,
    );
    let _entered = span.enter();
    span.record("hermes.tool.result_class", "ok");
}

/// A model call with twelve fields.
fn twelve_fields(number: u64, call: u64) {
    let span = info_span!(
        "hermes.chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = "gpt-4o",
        hermes.api_mode = "chat_completions",
        hermes.message_count = 12,
        gen_ai.response.model = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_write.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
    );
    let _entered = span.enter();
    let id = format!("chatcmpl-{:024x}", number * 128 + call);
    tracing::record_all!(
        span,
        gen_ai.response.model = "gpt-4o-2024-08-06",
        gen_ai.response.id = id,
        gen_ai.response.finish_reasons = "stop",
        gen_ai.usage.input_tokens = 1200,
        gen_ai.usage.output_tokens = 80,
        gen_ai.usage.cache_read.input_tokens = 1000,
        gen_ai.usage.cache_write.input_tokens = 0,
        gen_ai.usage.reasoning.output_tokens = 16,
    );
}
