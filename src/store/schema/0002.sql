-- Lineage: runs and spans below those of other processes, sub-agents, and what people were waited for.

-- The nearest ancestor in another process, which is the stored parent where that process shares the store.
ALTER TABLE tel_span_rows ADD COLUMN remote_parent TEXT;
-- How much of the time was spent waiting for somebody's leave.
ALTER TABLE tel_span_rows ADD COLUMN wait_ms INTEGER;
-- The nearest ancestor of the run's root, in whichever process.
ALTER TABLE tel_run_rows ADD COLUMN parent_span_id TEXT;

DROP VIEW tel_runs;
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
    writer.writer_id AS writer_id,
    (
        SELECT around.run_id FROM tel_scopes AS around
        JOIN tel_span_rows AS parent ON parent.scope = around.id AND parent.span_id = run.parent_span_id
        WHERE around.trace_id = scope.trace_id AND around.run_id <> scope.run_id LIMIT 1
    ) AS parent_run_id,
    run.parent_span_id AS parent_span_id
FROM tel_run_rows AS run
LEFT JOIN tel_scopes AS scope ON scope.id = run.id
LEFT JOIN tel_writers AS writer ON writer.id = run.writer;

DROP VIEW tel_spans;
CREATE VIEW tel_spans AS
SELECT
    span.id AS id,
    span.span_id AS span_id,
    scope.trace_id AS trace_id,
    scope.run_id AS run_id,
    coalesce(span.parent_span_id, (
        SELECT far.span_id FROM tel_scopes AS elsewhere
        JOIN tel_span_rows AS far ON far.scope = elsewhere.id AND far.span_id = span.remote_parent
        WHERE elsewhere.trace_id = scope.trace_id LIMIT 1
    )) AS parent_span_id,
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

DROP VIEW tel_tool_calls;
-- The tool spans that have ended. Waiting for leave is not work, and not in their duration.
CREATE VIEW tel_tool_calls AS
SELECT
    span.id AS id,
    span.span_id AS span_id,
    scope.run_id AS run_id,
    span.start_ns AS start_ns,
    span.tool_name AS tool_name,
    span.backend AS backend,
    max((max(span.end_ns - span.start_ns, 0) + 500000) / 1000000 - coalesce(span.wait_ms, 0), 0)
        AS duration_ms,
    span.result_class AS result_class,
    span.retry_count AS retry_count,
    span.approval AS approval,
    span.status AS status,
    span.error_class AS error_class,
    span.call_id AS call_id,
    span.wait_ms AS wait_ms
FROM tel_span_rows AS span
LEFT JOIN tel_scopes AS scope ON scope.id = span.scope
WHERE span.step = 2 AND span.end_ns IS NOT NULL;

-- Every agent: the sessions, and the sub-agents inside of them.
CREATE VIEW tel_agents AS
SELECT
    id, span_id, trace_id, run_id, parent_span_id, session_id, span_name, start_ns, end_ns, status,
    attrs_json ->> '$."gen_ai.agent.name"' AS agent_name,
    attrs_json ->> '$."gen_ai.agent.id"' AS agent_id,
    attrs_json ->> '$."hermes.subagent.role"' AS role,
    coalesce(attrs_json ->> '$."hermes.subagent.depth"', 0) AS depth,
    attrs_json ->> '$."hermes.subagent.parent_name"' AS parent_name,
    attrs_json ->> '$."hermes.subagent.parent_id"' AS parent_id,
    attrs_json ->> '$."hermes.subagent.parent_span_id"' AS parent_agent_span_id,
    attrs_json ->> '$."hermes.subagent.parent_session_id"' AS parent_session_id
FROM tel_spans WHERE span_name IN ('hermes.session', 'hermes.agent');
