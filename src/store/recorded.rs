//! What the store gives back: one struct per table, each field with its column.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::column::stored;
use crate::record::{EndReason, ErrorClass, ResultClass, RunId, SpanId, Status, TraceId};

stored! {
    /// One run of an agent: an outermost session span and what happened in it.
    Run from tel_runs {
        /// The id of the run.
        run_id: RunId = run_id,
        /// The trace it is part of.
        trace_id: TraceId = trace_id,
        /// The session it belongs to.
        session_id: Option<String> = session_id,
        /// The profile it ran under.
        profile_id: Option<String> = profile_id,
        /// Through which door the agent was reached: `cli`, `gateway`, `api` and so on.
        entrypoint: Option<String> = entrypoint,
        /// The platform it ran on.
        platform: Option<String> = platform,
        /// When it started, in nanoseconds since the Unix epoch.
        start_ns: i64 = start_ns,
        /// When it ended; `None` while it runs.
        end_ns: Option<i64> = end_ns,
        /// Why it ended.
        end_reason: Option<EndReason> = end_reason,
        /// Model calls that have ended, failed ones included.
        model_call_count: i64 = model_call_count,
        /// Tool calls that have ended, failed ones included.
        tool_call_count: i64 = tool_call_count,
        /// Model and tool calls that failed.
        error_count: i64 = error_count,
        /// The known costs of its model calls together; `None` where none is known.
        estimated_cost_usd: Option<f64> = estimated_cost_usd,
        /// How sure that is: the least sure of `known`, `included`, `estimated`, `unknown`.
        cost_status: Option<String> = cost_status,
        /// The version of the schema that the row was first written in.
        schema_v: i64 = schema_v,
        /// How it is doing, or how it went.
        status: Status = status,
        /// The name of the agent.
        agent_name: Option<String> = agent_name,
        /// The model it was started with.
        model: Option<String> = model,
        /// Turns that have ended.
        turn_count: i64 = turn_count,
        /// Tokens sent to models, cached ones included.
        input_tokens: i64 = input_tokens,
        /// Tokens that models produced, reasoning included.
        output_tokens: i64 = output_tokens,
        /// The writer that recorded it.
        writer_id: Option<String> = writer_id,
        /// The run that it is below: of another session in the same trace, or of another process that
        /// shares the store.
        parent_run_id: Option<RunId> = parent_run_id,
        /// The span that it is below, in whichever process.
        parent_span_id: Option<SpanId> = parent_span_id,
    }
}

stored! {
    /// A span as the store keeps it.
    RecordedSpan from tel_spans {
        /// The W3C span id, the same as on OTLP.
        span_id: SpanId = span_id,
        /// The W3C trace id, the same as on OTLP.
        trace_id: TraceId = trace_id,
        /// The run it belongs to.
        run_id: RunId = run_id,
        /// The nearest stored ancestor, of another process too where that one shares the store.
        parent_span_id: Option<SpanId> = parent_span_id,
        /// The parent on OTLP, which may be a span of another library.
        wire_parent_span_id: Option<SpanId> = wire_parent_span_id,
        /// The exported name: `chat gpt-4o`, for instance.
        name: String = name,
        /// The `tracing` name of its kind: `hermes.chat`, for instance.
        span_name: String = span_name,
        /// `hermes.span.kind`: AGENT, CHAIN, LLM, TOOL, EMBEDDING, RETRIEVER or RERANKER.
        kind: String = kind,
        /// The `OTel` span kind: CLIENT or INTERNAL.
        otel_kind: String = otel_kind,
        /// When it started, in nanoseconds since the Unix epoch.
        start_ns: i64 = start_ns,
        /// When it ended; `None` while it runs.
        end_ns: Option<i64> = end_ns,
        /// How it is doing, or how it went.
        status: Status = status,
        /// `error.type`, where it failed.
        error_type: Option<String> = error_type,
        /// Why it failed, coarsely.
        error_class: Option<ErrorClass> = error_class,
        /// The text of its error, redacted.
        status_message: Option<String> = status_message,
        /// Its attributes, under the names of profile `hermes`.
        attributes: Map<String, Value> = attrs_json,
        /// What happened inside it.
        events: Vec<SpanEvent> = events_json,
        /// Spans it follows from.
        links: Vec<(TraceId, SpanId)> = links_json,
        /// The writer that recorded it.
        writer_id: Option<String> = writer_id,
    }
}

stored! {
    /// A model call that has ended.
    ModelCall from tel_model_calls {
        /// Its span.
        span_id: SpanId = span_id,
        /// The run it belongs to.
        run_id: RunId = run_id,
        /// When it started, in nanoseconds since the Unix epoch.
        start_ns: i64 = start_ns,
        /// Who was asked.
        provider: Option<String> = provider,
        /// The model as requested.
        model: Option<String> = model,
        /// Where the provider was reached.
        base_url: Option<String> = base_url,
        /// Tokens sent, cached ones included.
        input_tokens: Option<i64> = input_tokens,
        /// Tokens produced, reasoning included.
        output_tokens: Option<i64> = output_tokens,
        /// The part of the input that came from the provider's cache.
        cache_read_tokens: Option<i64> = cache_read_tokens,
        /// The part of the input that was written to the provider's cache.
        cache_write_tokens: Option<i64> = cache_write_tokens,
        /// The part of the output that was reasoning.
        reasoning_tokens: Option<i64> = reasoning_tokens,
        /// How long it took, in milliseconds.
        latency_ms: Option<i64> = latency_ms,
        /// How long the first chunk took, in milliseconds.
        ttft_ms: Option<i64> = ttft_ms,
        /// Its cost; `None` where nobody knows.
        estimated_cost_usd: Option<f64> = estimated_cost_usd,
        /// How sure that is: `known`, `included`, `estimated` or `unknown`.
        cost_status: Option<String> = cost_status,
        /// Where the cost comes from.
        cost_source: Option<String> = cost_source,
        /// `completed`, `failed`, `cancelled` or `interrupted`.
        end_reason: String = end_reason,
        /// How often it had been tried before.
        retry_count: i64 = retry_count,
        /// The model that answered.
        response_model: Option<String> = response_model,
        /// The provider's id of the answer.
        response_id: Option<String> = response_id,
        /// Why the model stopped; several are joined by commas.
        finish_reason: Option<String> = finish_reason,
        /// How it went.
        status: Status = status,
        /// Why it failed, coarsely.
        error_class: Option<ErrorClass> = error_class,
        /// Its number within the turn, from 1.
        api_call_number: Option<i64> = api_call_number,
    }
}

stored! {
    /// A tool call that has ended.
    ToolCall from tel_tool_calls {
        /// Its span.
        span_id: SpanId = span_id,
        /// The run it belongs to.
        run_id: RunId = run_id,
        /// When it started, in nanoseconds since the Unix epoch.
        start_ns: i64 = start_ns,
        /// The name of the tool.
        tool_name: Option<String> = tool_name,
        /// What ran it.
        backend: Option<String> = backend,
        /// How long it took, in milliseconds.
        duration_ms: Option<i64> = duration_ms,
        /// What became of it, as the model sees it; `None` where nothing came back.
        result_class: Option<ResultClass> = result_class,
        /// How often it had been tried before.
        retry_count: i64 = retry_count,
        /// What the user said when asked for leave.
        approval: Option<String> = approval,
        /// How it went.
        status: Status = status,
        /// Why it failed, coarsely.
        error_class: Option<ErrorClass> = error_class,
        /// The model's id of the call.
        call_id: Option<String> = call_id,
        /// How much of the time was spent waiting for leave, in milliseconds; not in `duration_ms`.
        wait_ms: Option<i64> = wait_ms,
    }
}

stored! {
    /// A failure in a run.
    ErrorEvent from tel_error_events {
        /// Its number in the store.
        id: i64 = id,
        /// The run it belongs to.
        run_id: Option<RunId> = run_id,
        /// When it happened, in nanoseconds since the Unix epoch.
        ts_ns: i64 = ts_ns,
        /// Why, coarsely.
        error_class: Option<ErrorClass> = error_class,
        /// Where: `model_api`, `tool` or `agent`.
        subsystem: Option<String> = subsystem,
        /// What was done about it: `retried` or `none`.
        recovery: Option<String> = recovery,
        /// The span that failed.
        span_id: Option<SpanId> = span_id,
    }
}

stored! {
    /// A message that came or went through a platform.
    GatewayEvent from tel_gateway_events {
        /// Its number in the store.
        id: i64 = id,
        /// The run it belongs to.
        run_id: Option<RunId> = run_id,
        /// When it happened, in nanoseconds since the Unix epoch.
        ts_ns: i64 = ts_ns,
        /// The platform: `telegram`, for instance.
        platform: Option<String> = platform,
        /// `inbound` or `outbound`.
        direction: Option<String> = direction,
        /// What came of it.
        result: Option<String> = result,
        /// Whether it was spoken.
        voice: bool = voice,
        /// How many files came with it.
        attachments: i64 = attachments,
    }
}

stored! {
    /// Something that a timed job did.
    CronEvent from tel_cron_events {
        /// Its number in the store.
        id: i64 = id,
        /// The run it belongs to.
        run_id: Option<RunId> = run_id,
        /// When it happened, in nanoseconds since the Unix epoch.
        ts_ns: i64 = ts_ns,
        /// Which job.
        kind: Option<String> = kind,
        /// What came of it.
        result: Option<String> = result,
    }
}

stored! {
    /// A use or a change of a skill.
    SkillEvent from tel_skill_events {
        /// Its number in the store.
        id: i64 = id,
        /// The run it belongs to.
        run_id: Option<RunId> = run_id,
        /// When it happened, in nanoseconds since the Unix epoch.
        ts_ns: i64 = ts_ns,
        /// What was done.
        action: Option<String> = action,
        /// With which skill.
        skill_name: Option<String> = skill_name,
    }
}

stored! {
    /// A use or a change of the memory.
    MemoryEvent from tel_memory_events {
        /// Its number in the store.
        id: i64 = id,
        /// The run it belongs to.
        run_id: Option<RunId> = run_id,
        /// When it happened, in nanoseconds since the Unix epoch.
        ts_ns: i64 = ts_ns,
        /// What was done.
        action: Option<String> = action,
        /// What came of it.
        result: Option<String> = result,
    }
}

stored! {
    /// What the user said of it.
    FeedbackEvent from tel_feedback_events {
        /// Its number in the store.
        id: i64 = id,
        /// The run it belongs to.
        run_id: Option<RunId> = run_id,
        /// When it happened, in nanoseconds since the Unix epoch.
        ts_ns: i64 = ts_ns,
        /// `thumbs_up`, for instance.
        kind: Option<String> = kind,
    }
}

stored! {
    /// An agent: a session, or a sub-agent inside of one.
    Agent from tel_agents {
        /// Its span.
        span_id: SpanId = span_id,
        /// The trace it is part of.
        trace_id: TraceId = trace_id,
        /// The run it belongs to.
        run_id: RunId = run_id,
        /// The nearest stored ancestor.
        parent_span_id: Option<SpanId> = parent_span_id,
        /// Its session.
        session_id: Option<String> = session_id,
        /// When it started, in nanoseconds since the Unix epoch.
        start_ns: i64 = start_ns,
        /// When it ended; `None` while it runs.
        end_ns: Option<i64> = end_ns,
        /// How it is doing, or how it went.
        status: Status = status,
        /// Its name.
        agent_name: Option<String> = agent_name,
        /// Its own id.
        agent_id: Option<String> = agent_id,
        /// What it is to the agent around it.
        role: Option<String> = role,
        /// How many agents are around it in its process; a session of its own is at 0.
        depth: i64 = depth,
        /// The name of the agent around it.
        parent_name: Option<String> = parent_name,
        /// The id of the agent around it.
        parent_id: Option<String> = parent_id,
        /// The span of the agent around it.
        parent_agent_span_id: Option<SpanId> = parent_agent_span_id,
        /// The session around it, where it has one of its own.
        parent_session_id: Option<String> = parent_session_id,
    }
}

/// Something that happened inside a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpanEvent {
    /// Its name: `exception`, for instance.
    pub name: String,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Its attributes.
    pub attributes: Map<String, Value>,
}

impl Serialize for SpanEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("SpanEvent", 3)?;
        object.serialize_field("name", &self.name)?;
        object.serialize_field("time_ns", &self.time_ns)?;
        object.serialize_field("attributes", &self.attributes)?;
        object.end()
    }
}

impl Run {
    /// How long it took; `None` while it runs.
    #[must_use]
    pub fn duration_ns(&self) -> Option<i64> {
        self.end_ns
            .map(|end_ns| end_ns.saturating_sub(self.start_ns).max(0))
    }
}

impl RecordedSpan {
    /// How long it took; `None` while it runs.
    #[must_use]
    pub fn duration_ns(&self) -> Option<i64> {
        self.end_ns
            .map(|end_ns| end_ns.saturating_sub(self.start_ns).max(0))
    }
}
