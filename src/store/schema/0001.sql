-- The first schema. Never edited after release: a change is a new file beside this one.
--
-- Ids are lower-case hex, times are nanoseconds since the Unix epoch, an unknown number is NULL.
-- Times come before texts and the long texts last: SQLite walks a row from its left.

-- "HRMS": tells a store of ours from another program's database.
PRAGMA application_id = 1213353299;

-- One row per run, there from the run's first span on, counted up as its spans end.
CREATE TABLE tel_runs (
    run_id TEXT PRIMARY KEY NOT NULL,
    trace_id TEXT NOT NULL,
    session_id TEXT,
    profile_id TEXT,
    entrypoint TEXT,
    platform TEXT,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,
    end_reason TEXT,
    model_call_count INTEGER NOT NULL DEFAULT 0,
    tool_call_count INTEGER NOT NULL DEFAULT 0,
    error_count INTEGER NOT NULL DEFAULT 0,
    estimated_cost_usd REAL,
    cost_status TEXT,
    schema_v INTEGER NOT NULL DEFAULT 1,
    status TEXT NOT NULL,
    agent_name TEXT,
    model TEXT,
    turn_count INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    writer_id TEXT
);
CREATE INDEX tel_runs_by_start ON tel_runs (start_ns);
CREATE INDEX tel_runs_by_session ON tel_runs (session_id, start_ns);
CREATE INDEX tel_runs_by_trace ON tel_runs (trace_id);
CREATE INDEX tel_runs_open ON tel_runs (writer_id) WHERE end_ns IS NULL;

-- One row per span, there from its start on. W3C promises that a span id is unique within its trace
-- and no further, and imported traces make use of that; with the trace id in front, the one index
-- finds a span, finds a trace, and grows at its end.
CREATE TABLE tel_spans (
    id INTEGER PRIMARY KEY,
    span_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    parent_span_id TEXT,
    wire_parent_span_id TEXT,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,
    status TEXT NOT NULL,
    kind TEXT NOT NULL,
    otel_kind TEXT NOT NULL,
    span_name TEXT NOT NULL,
    name TEXT NOT NULL,
    error_type TEXT,
    error_class TEXT,
    status_message TEXT,
    writer_id TEXT,
    links_json TEXT,
    attrs_json TEXT NOT NULL,
    events_json TEXT,
    UNIQUE (trace_id, span_id)
);
CREATE INDEX tel_spans_by_run ON tel_spans (run_id);
CREATE INDEX tel_spans_open ON tel_spans (writer_id) WHERE end_ns IS NULL;

-- One row per chat span that has ended; `id` is that of its span.
CREATE TABLE tel_model_calls (
    id INTEGER PRIMARY KEY,
    span_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    provider TEXT,
    model TEXT,
    base_url TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    latency_ms INTEGER,
    ttft_ms INTEGER,
    estimated_cost_usd REAL,
    cost_status TEXT,
    cost_source TEXT,
    end_reason TEXT NOT NULL,
    retry_count INTEGER NOT NULL DEFAULT 0,
    response_model TEXT,
    response_id TEXT,
    finish_reason TEXT,
    status TEXT NOT NULL,
    error_class TEXT,
    api_call_number INTEGER
);
CREATE INDEX tel_model_calls_by_run ON tel_model_calls (run_id);

-- One row per tool span that has ended; `id` is that of its span.
CREATE TABLE tel_tool_calls (
    id INTEGER PRIMARY KEY,
    span_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    tool_name TEXT,
    backend TEXT,
    duration_ms INTEGER,
    result_class TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0,
    approval TEXT,
    status TEXT NOT NULL,
    error_class TEXT,
    call_id TEXT
);
CREATE INDEX tel_tool_calls_by_run ON tel_tool_calls (run_id);

-- What the row of a call that still runs will say, should its process die; `id` is that of its span.
CREATE TABLE tel_open_calls (
    id INTEGER PRIMARY KEY,
    provider TEXT,
    model TEXT,
    base_url TEXT,
    api_call_number INTEGER,
    tool_name TEXT,
    backend TEXT,
    call_id TEXT,
    retry_count INTEGER NOT NULL DEFAULT 0
);

-- One row per chat or tool span that failed.
CREATE TABLE tel_error_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT,
    ts_ns INTEGER NOT NULL,
    error_class TEXT,
    subsystem TEXT,
    recovery TEXT,
    span_id TEXT
);
CREATE UNIQUE INDEX tel_error_events_by_span ON tel_error_events (run_id, span_id);

CREATE TABLE tel_gateway_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT,
    ts_ns INTEGER NOT NULL,
    platform TEXT,
    direction TEXT,
    result TEXT,
    voice INTEGER DEFAULT 0,
    attachments INTEGER DEFAULT 0
);
CREATE TABLE tel_cron_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT,
    ts_ns INTEGER NOT NULL,
    kind TEXT,
    result TEXT
);
CREATE TABLE tel_skill_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT,
    ts_ns INTEGER NOT NULL,
    action TEXT,
    skill_name TEXT
);
CREATE TABLE tel_memory_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT,
    ts_ns INTEGER NOT NULL,
    action TEXT,
    result TEXT
);
CREATE TABLE tel_feedback_events (
    id INTEGER PRIMARY KEY,
    run_id TEXT,
    ts_ns INTEGER NOT NULL,
    kind TEXT
);

-- Who writes. `closed_ns` is NULL while the writer may be alive; its lock file tells.
CREATE TABLE tel_writers (
    writer_id TEXT PRIMARY KEY NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT,
    started_ns INTEGER NOT NULL,
    last_seen_ns INTEGER NOT NULL,
    closed_ns INTEGER,
    version TEXT NOT NULL
);
CREATE INDEX tel_writers_open ON tel_writers (writer_id) WHERE closed_ns IS NULL;

-- What each writer lost, by reason, counted since it started.
CREATE TABLE tel_losses (
    writer_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (writer_id, reason)
);

-- The one key of this store's redaction tokens: the same secret gets the same token in one store,
-- and another one in another.
CREATE TABLE tel_redaction (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    key BLOB NOT NULL
);
INSERT INTO tel_redaction (id, key) VALUES (1, randomblob(16));

-- Spans that OTLP has not taken yet, as far as anyone knows; `id` is that of the span. The writer that
-- has one in hand stands beside it, and nobody where that writer has ended. `is_ready` is 0 while the
-- span is still with the exporter of that writer; `exits` are the ways out by which it is still owed.
CREATE TABLE tel_outbox (
    id INTEGER PRIMARY KEY,
    exits INTEGER NOT NULL,
    may_carry_content INTEGER NOT NULL,
    is_ready INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    writer_id TEXT
);
CREATE INDEX tel_outbox_free ON tel_outbox (id) WHERE writer_id IS NULL;
