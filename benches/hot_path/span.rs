//! The span that every subscriber is given: twelve typed fields, six at its creation and six late.

use std::hint::black_box;

use tracing::field::Empty;
use tracing::{info_span, record_all};

/// How the six late fields are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// In one call, `record_all!`.
    Batched,
    /// In six calls of `Span::record`.
    Separate,
}

impl Form {
    pub(crate) const ALL: [Form; 2] = [Form::Batched, Form::Separate];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Form::Batched => "batched",
            Form::Separate => "separate",
        }
    }
}

/// The values of the fields: five texts, four whole numbers, two amounts and a truth value.
///
/// Whole numbers are `i64`, since unsigned ones become texts on OTLP.
#[derive(Clone, Copy)]
struct Values {
    operation: &'static str,
    provider: &'static str,
    request_model: &'static str,
    max_tokens: i64,
    temperature: f64,
    stream: bool,
    response_model: &'static str,
    response_id: &'static str,
    input_tokens: i64,
    output_tokens: i64,
    cache_read_tokens: i64,
    first_chunk_s: f64,
}

const VALUES: Values = Values {
    operation: "chat",
    provider: "openai",
    request_model: "gpt-4o",
    max_tokens: 4_096,
    temperature: 0.7,
    stream: true,
    response_model: "gpt-4o-2024-08-06",
    response_id: "chatcmpl-9f3b2c7e41d84a6c",
    input_tokens: 1_843,
    output_tokens: 212,
    cache_read_tokens: 1_024,
    first_chunk_s: 0.412,
};

/// Runs `body` inside an entered span, the parent of the spans that are measured.
pub(crate) fn in_parent<T>(body: impl FnOnce() -> T) -> T {
    let _turn = info_span!("hermes.turn", hermes.session.id = "bench").entered();
    body()
}

/// Opens, enters, fills and closes `count` spans.
pub(crate) fn spans(form: Form, count: usize) {
    let values = black_box(VALUES);
    match form {
        Form::Batched => (0..count).for_each(|_| batched(&values)),
        Form::Separate => (0..count).for_each(|_| separate(&values)),
    }
}

macro_rules! open {
    ($values:expr) => {
        info_span!(
            "hermes.chat",
            gen_ai.operation.name = $values.operation,
            gen_ai.provider.name = $values.provider,
            gen_ai.request.model = $values.request_model,
            gen_ai.request.max_tokens = $values.max_tokens,
            gen_ai.request.temperature = $values.temperature,
            gen_ai.request.stream = $values.stream,
            gen_ai.response.model = Empty,
            gen_ai.response.id = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
        )
    };
}

#[inline(never)]
fn batched(values: &Values) {
    let span = open!(values);
    let _entered = span.enter();
    record_all!(
        span,
        gen_ai.response.model = values.response_model,
        gen_ai.response.id = values.response_id,
        gen_ai.usage.input_tokens = values.input_tokens,
        gen_ai.usage.output_tokens = values.output_tokens,
        gen_ai.usage.cache_read.input_tokens = values.cache_read_tokens,
        gen_ai.response.time_to_first_chunk = values.first_chunk_s,
    );
}

#[inline(never)]
fn separate(values: &Values) {
    let span = open!(values);
    let _entered = span.enter();
    span.record("gen_ai.response.model", values.response_model);
    span.record("gen_ai.response.id", values.response_id);
    span.record("gen_ai.usage.input_tokens", values.input_tokens);
    span.record("gen_ai.usage.output_tokens", values.output_tokens);
    span.record(
        "gen_ai.usage.cache_read.input_tokens",
        values.cache_read_tokens,
    );
    span.record("gen_ai.response.time_to_first_chunk", values.first_chunk_s);
}
