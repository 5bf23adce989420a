-- The first schema. Never edited after release: a change is a new file beside this one.
--
-- Ids are lower-case hex, times are nanoseconds since the Unix epoch, an unknown number is NULL.
-- Times come before texts and the long texts last: SQLite walks a row from its left.

-- "HRMS": tells a store of ours from another program's database.
PRAGMA application_id = 1213353299;

-- Which run and which trace a span belongs to, as one small number: nearly always, all spans of a run
-- share it. `session_id` is what the first of them said.
CREATE TABLE tel_scopes (
    id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    trace_id TEXT NOT NULL,
    session_id TEXT
);
CREATE INDEX tel_scopes_by_run ON tel_scopes (run_id);
CREATE INDEX tel_scopes_by_trace ON tel_scopes (trace_id);

-- One row per run, there from the run's first span on, counted up as its spans end; `tel_runs` shows it.
-- `id` is that of its scope: of its root's, once that is known.
CREATE TABLE tel_run_rows (
    id INTEGER PRIMARY KEY,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,
    status TEXT NOT NULL,
    writer INTEGER,
    model_call_count INTEGER NOT NULL DEFAULT 0,
    tool_call_count INTEGER NOT NULL DEFAULT 0,
    error_count INTEGER NOT NULL DEFAULT 0,
    turn_count INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    estimated_cost_usd REAL,
    cost_status TEXT,
    schema_v INTEGER NOT NULL DEFAULT 1,
    session_id TEXT,
    profile_id TEXT,
    entrypoint TEXT,
    platform TEXT,
    end_reason TEXT,
    agent_name TEXT,
    model TEXT
);
CREATE INDEX tel_run_rows_by_start ON tel_run_rows (start_ns);
CREATE INDEX tel_run_rows_by_session ON tel_run_rows (session_id, start_ns) WHERE session_id IS NOT NULL;
CREATE INDEX tel_run_rows_open ON tel_run_rows (writer) WHERE end_ns IS NULL;

-- The joins of the views are outer ones so that a query pays for those tables alone whose columns it
-- names.
CREATE VIEW tel_runs AS
SELECT
    scope.run_id AS run_id,
    scope.trace_id AS trace_id,
    run.session_id AS session_id,
    run.profile_id AS profile_id,
    run.entrypoint AS entrypoint,
    run.platform AS platform,
    run.start_ns AS start_ns,
    run.end_ns AS end_ns,
    run.end_reason AS end_reason,
    run.model_call_count AS model_call_count,
    run.tool_call_count AS tool_call_count,
    run.error_count AS error_count,
    run.estimated_cost_usd AS estimated_cost_usd,
    run.cost_status AS cost_status,
    run.schema_v AS schema_v,
    run.status AS status,
    run.agent_name AS agent_name,
    run.model AS model,
    run.turn_count AS turn_count,
    run.input_tokens AS input_tokens,
    run.output_tokens AS output_tokens,
    writer.writer_id AS writer_id
FROM tel_run_rows AS run
LEFT JOIN tel_scopes AS scope ON scope.id = run.id
LEFT JOIN tel_writers AS writer ON writer.id = run.writer;

-- What the spans of one kind that say the same things have in common. `name` is how their names begin;
-- `attributes` tells one shape from another.
CREATE TABLE tel_shapes (
    id INTEGER PRIMARY KEY,
    span_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    otel_kind TEXT NOT NULL,
    operation TEXT,
    name TEXT NOT NULL,
    attributes TEXT NOT NULL,
    UNIQUE (span_name, attributes)
);

-- The attributes of a shape: each a name, and the column that has its value. Those in `attr_values` have
-- a place there.
CREATE TABLE tel_attributes (
    shape INTEGER NOT NULL,
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    place INTEGER,
    PRIMARY KEY (shape, name)
) WITHOUT ROWID;

-- One row per span, there from its start on; `tel_spans`, `tel_model_calls` and `tel_tool_calls` show
-- it. Nothing is said twice: what the row does not say, its scope and its shape do.
--
-- W3C promises that a span id is unique within its trace and no further, and imported traces make use
-- of that. With the scope in front, the one index finds a span, a run and a trace, and grows at its end,
-- whatever the ids are. `step` is 1 for a model call and 2 for a tool call.
CREATE TABLE tel_span_rows (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    span_id TEXT NOT NULL,
    parent_span_id TEXT,
    wire_parent TEXT, -- NULL where it is the parent, '' where there is none.
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,
    status TEXT NOT NULL,
    step INTEGER,
    shape INTEGER NOT NULL,
    writer INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    ttft_ms INTEGER,
    retry_count INTEGER,
    api_call_number INTEGER,
    cost_usd REAL,
    cost_status TEXT,
    cost_source TEXT,
    provider TEXT,
    model TEXT,
    response_model TEXT,
    finish_reason TEXT,
    tool_name TEXT,
    result_class TEXT,
    backend TEXT,
    approval TEXT,
    error_class TEXT,
    error_type TEXT,
    response_id TEXT,
    call_id TEXT,
    base_url TEXT,
    name TEXT, -- NULL where the shape and the model or tool give it.
    session_id TEXT, -- NULL where it is the scope's.
    status_message TEXT,
    attr_values TEXT,
    extra_json TEXT,
    links_json TEXT,
    events_json TEXT,
    UNIQUE (scope, span_id)
);
CREATE INDEX tel_span_rows_open ON tel_span_rows (writer) WHERE end_ns IS NULL;

CREATE VIEW tel_spans AS
SELECT
    span.id AS id,
    span.span_id AS span_id,
    scope.trace_id AS trace_id,
    scope.run_id AS run_id,
    span.parent_span_id AS parent_span_id,
    nullif(coalesce(span.wire_parent, span.parent_span_id), '') AS wire_parent_span_id,
    coalesce(span.name, shape.name || coalesce(span.model, span.tool_name, '')) AS name,
    shape.kind AS kind,
    shape.otel_kind AS otel_kind,
    shape.span_name AS span_name,
    span.start_ns AS start_ns,
    span.end_ns AS end_ns,
    span.status AS status,
    coalesce(span.session_id, scope.session_id) AS session_id,
    span.error_type AS error_type,
    span.error_class AS error_class,
    span.status_message AS status_message,
    writer.writer_id AS writer_id,
    span.links_json AS links_json,
    (SELECT iif(span.extra_json IS NULL, known, json_patch(span.extra_json, known)) FROM (
        SELECT json_group_object(attribute.name, CASE attribute.source
            WHEN 'value' THEN span.attr_values -> attribute.place
            WHEN 'session' THEN coalesce(span.session_id, scope.session_id)
            WHEN 'kind' THEN shape.kind
            WHEN 'operation' THEN shape.operation
            WHEN 'error_type' THEN span.error_type
            WHEN 'provider' THEN span.provider
            WHEN 'model' THEN span.model
            WHEN 'response_model' THEN span.response_model
            WHEN 'response_id' THEN span.response_id
            WHEN 'finish_reason' THEN json_array(span.finish_reason)
            WHEN 'input_tokens' THEN span.input_tokens
            WHEN 'output_tokens' THEN span.output_tokens
            WHEN 'cache_read_tokens' THEN span.cache_read_tokens
            WHEN 'cache_write_tokens' THEN span.cache_write_tokens
            WHEN 'reasoning_tokens' THEN span.reasoning_tokens
            WHEN 'retry_count' THEN span.retry_count
            WHEN 'api_call_number' THEN span.api_call_number
            WHEN 'cost_usd' THEN span.cost_usd
            WHEN 'cost_status' THEN span.cost_status
            WHEN 'cost_source' THEN span.cost_source
            WHEN 'tool_name' THEN span.tool_name
            WHEN 'backend' THEN span.backend
            WHEN 'approval' THEN span.approval
            WHEN 'call_id' THEN span.call_id
            WHEN 'result_class' THEN span.result_class
        END) AS known
        FROM tel_attributes AS attribute WHERE attribute.shape = span.shape
    )) AS attrs_json,
    span.events_json AS events_json
FROM tel_span_rows AS span
LEFT JOIN tel_scopes AS scope ON scope.id = span.scope
LEFT JOIN tel_shapes AS shape ON shape.id = span.shape
LEFT JOIN tel_writers AS writer ON writer.id = span.writer;

-- The chat spans that have ended.
CREATE VIEW tel_model_calls AS
SELECT
    span.id AS id,
    span.span_id AS span_id,
    scope.run_id AS run_id,
    span.start_ns AS start_ns,
    span.provider AS provider,
    span.model AS model,
    span.base_url AS base_url,
    span.input_tokens AS input_tokens,
    span.output_tokens AS output_tokens,
    span.cache_read_tokens AS cache_read_tokens,
    span.cache_write_tokens AS cache_write_tokens,
    span.reasoning_tokens AS reasoning_tokens,
    (max(span.end_ns - span.start_ns, 0) + 500000) / 1000000 AS latency_ms,
    span.ttft_ms AS ttft_ms,
    span.cost_usd AS estimated_cost_usd,
    span.cost_status AS cost_status,
    span.cost_source AS cost_source,
    CASE span.status WHEN 'ok' THEN 'completed' WHEN 'error' THEN 'failed' ELSE span.status END AS end_reason,
    span.retry_count AS retry_count,
    span.response_model AS response_model,
    span.response_id AS response_id,
    span.finish_reason AS finish_reason,
    span.status AS status,
    span.error_class AS error_class,
    span.api_call_number AS api_call_number
FROM tel_span_rows AS span
LEFT JOIN tel_scopes AS scope ON scope.id = span.scope
WHERE span.step = 1 AND span.end_ns IS NOT NULL;

-- The tool spans that have ended.
CREATE VIEW tel_tool_calls AS
SELECT
    span.id AS id,
    span.span_id AS span_id,
    scope.run_id AS run_id,
    span.start_ns AS start_ns,
    span.tool_name AS tool_name,
    span.backend AS backend,
    (max(span.end_ns - span.start_ns, 0) + 500000) / 1000000 AS duration_ms,
    span.result_class AS result_class,
    span.retry_count AS retry_count,
    span.approval AS approval,
    span.status AS status,
    span.error_class AS error_class,
    span.call_id AS call_id
FROM tel_span_rows AS span
LEFT JOIN tel_scopes AS scope ON scope.id = span.scope
WHERE span.step = 2 AND span.end_ns IS NOT NULL;

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
    id INTEGER PRIMARY KEY,
    writer_id TEXT NOT NULL UNIQUE,
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

-- Runs that are on their way out: their spans go next, some at a time.
CREATE TABLE tel_pruning (
    run_id TEXT PRIMARY KEY NOT NULL
);

-- Spans that OTLP has not taken yet, as far as anyone knows; `id` is that of the span. The writer that
-- has one in hand stands beside it, and nobody where that writer has ended. `is_ready` is 0 while the
-- span is still with the exporter of that writer, 1 when it may be sent from here, and 2 while it is not
-- decided whether its trace leaves; `exits` are the ways out by which it is still owed.
CREATE TABLE tel_outbox (
    id INTEGER PRIMARY KEY,
    exits INTEGER NOT NULL,
    may_carry_content INTEGER NOT NULL,
    is_ready INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    writer INTEGER
);
CREATE INDEX tel_outbox_free ON tel_outbox (id) WHERE writer IS NULL;
