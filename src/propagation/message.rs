//! MCP: the context goes in the `_meta` of a request's parameters.

use serde_json::{Map, Value};

use super::{current, extract, inject_context};
use crate::record::TraceContext;

/// Where MCP keeps what is about a message and not part of it.
const META: &str = "_meta";

/// Writes the context of the code that runs into the `_meta` of a request's `params`, which is made
/// where there is none or `null` ([the convention][mcp]). `params` that are neither an object nor `null` stay as
/// they are.
///
/// ```
/// use serde_json::json;
///
/// #[hermes::tool]
/// fn call() {
///     let mut params = json!({ "name": "search", "arguments": { "q": "rust" } });
///     hermes::propagation::inject_meta(&mut params);
///     // send `tools/call` with these
/// }
/// # call();
/// ```
///
/// [mcp]: https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/
pub fn inject_meta(params: &mut Value) {
    let Some(context) = current() else { return };
    if params.is_null() {
        *params = Value::Object(Map::new());
    }
    if let Value::Object(params) = params {
        let meta = params.entry(META).or_insert(Value::Null);
        inject_context(&context, meta);
    }
}

/// The context in the `_meta` of a request's `params`; empty where there is none.
#[must_use]
pub fn extract_meta(params: &Value) -> TraceContext {
    params.get(META).map(extract).unwrap_or_default()
}
