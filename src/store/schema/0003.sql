-- Content once: agents repeat their whole history with every call, and a store keeps each message of it once.

-- Every text that is content, redacted and cut as it is kept. `hash` finds it again, and decides nothing:
-- two texts are one where they are equal.
CREATE TABLE tel_texts (
    id INTEGER PRIMARY KEY,
    hash INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX tel_texts_by_hash ON tel_texts (hash);

-- Lists of texts that grow at their end. A list is its last link, and `before` the link before that, 0 at
-- the beginning: of two lists that begin alike, the beginning is there once.
CREATE TABLE tel_links (
    id INTEGER PRIMARY KEY,
    before INTEGER NOT NULL,
    text INTEGER NOT NULL,
    UNIQUE (before, text)
);
CREATE INDEX tel_links_by_text ON tel_links (text);

-- What a span says: `place` is that of the attribute, -1 where it is `extra_json`, -2 for `events_json`;
-- the column is '' then. Where it is a JSON list of objects, each of them is a text.
CREATE TABLE tel_contents (
    span INTEGER NOT NULL,
    place INTEGER NOT NULL,
    is_list INTEGER NOT NULL,
    link INTEGER NOT NULL,
    PRIMARY KEY (span, place)
) WITHOUT ROWID;
CREATE INDEX tel_contents_by_link ON tel_contents (link);

-- Links that nobody may say any more, with the span that said them: whoever prunes looks at them.
CREATE TABLE tel_loose_links (
    link INTEGER PRIMARY KEY,
    span INTEGER
);

CREATE TRIGGER tel_contents_go_with_their_span AFTER DELETE ON tel_span_rows BEGIN
    INSERT OR IGNORE INTO tel_loose_links SELECT link, span FROM tel_contents WHERE span = OLD.id;
    DELETE FROM tel_contents WHERE span = OLD.id;
END;

-- The words of `tel_texts`, by its `id`, and not the texts again; of a message, the role that says them.
CREATE VIRTUAL TABLE tel_search USING fts5(words, role, content='', contentless_delete=1);

CREATE VIEW tel_content_texts AS
SELECT
    content.span AS row,
    content.place AS place,
    iif(content.is_list, (
        WITH RECURSIVE item (id, depth) AS (
            SELECT content.link, 0
            UNION ALL
            SELECT link.before, item.depth + 1
            FROM item JOIN tel_links AS link ON link.id = item.id WHERE link.before <> 0
        )
        SELECT '[' || group_concat(text, ',') || ']' FROM (
            SELECT said.text AS text FROM item
            JOIN tel_links AS link ON link.id = item.id
            JOIN tel_texts AS said ON said.id = link.text
            ORDER BY item.depth DESC
        )
    ), (
        SELECT said.text FROM tel_links AS link
        JOIN tel_texts AS said ON said.id = link.text WHERE link.id = content.link
    )) AS text
FROM tel_contents AS content;

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
    (SELECT CASE
        WHEN span.extra_json IS NULL THEN known
        WHEN span.extra_json = '' THEN json_patch(
            (SELECT text FROM tel_content_texts WHERE row = span.id AND place = -1), known)
        ELSE json_patch(span.extra_json, known)
    END FROM (
        SELECT json_group_object(attribute.name, CASE attribute.source
            WHEN 'value' THEN span.attr_values -> attribute.place
            WHEN 'content' THEN (SELECT text FROM tel_content_texts WHERE row = span.id AND place = attribute.place)
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
    iif(span.events_json = '',
        (SELECT text FROM tel_content_texts WHERE row = span.id AND place = -2), span.events_json) AS events_json
FROM tel_span_rows AS span
LEFT JOIN tel_scopes AS scope ON scope.id = span.scope
LEFT JOIN tel_shapes AS shape ON shape.id = span.shape
LEFT JOIN tel_writers AS writer ON writer.id = span.writer;
