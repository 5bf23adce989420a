//! Reads the token counts of every provider into one normal form: totals that include their parts.

use serde_json::Value;

use crate::record::Usage;

use super::shape;

/// The usage a response reports; `None` when it reports no count at all, for a zero would be made up.
pub(super) fn usage(body: &Value) -> Option<Usage> {
    let usage = body.get("usage").filter(|usage| usage.is_object());
    let usage = usage.or_else(|| shape::at(body, "x_groq.usage"));
    usage
        .and_then(read_usage)
        .or_else(|| read_gemini(body))
        .or_else(|| read_ollama(body))
        .or_else(|| read_cohere(body.get("meta")?))
}

/// What the call cost in US dollars, where the provider says so: `OpenRouter`, and Perplexity within an object.
pub(super) fn cost_usd(body: &Value) -> Option<f64> {
    let usage = body.get("usage")?;
    let amount = |path: &str| {
        let amount = shape::at(usage, path).and_then(Value::as_f64);
        amount.filter(|amount| amount.is_finite() && *amount >= 0.0)
    };
    // With a key of one's own, OpenRouter's cost is its fee alone.
    let is_own_key = usage.get("is_byok").and_then(Value::as_bool) == Some(true);
    let upstream = amount("cost_details.upstream_inference_cost").filter(|_| is_own_key);
    amount("cost")
        .map(|cost| cost + upstream.unwrap_or(0.0))
        .or_else(|| amount("cost.total_cost"))
}

/// The `usage` object of `OpenAI` (both APIs) and everything compatible, and of Anthropic.
fn read_usage(usage: &Value) -> Option<Usage> {
    if usage.get("tokens").is_some() || usage.get("billed_units").is_some() {
        return read_cohere(usage);
    }
    if usage.get("inputTokens").is_some() || usage.get("outputTokens").is_some() {
        return read_converse(usage);
    }
    let chat = usage.get("prompt_tokens").is_some() || usage.get("completion_tokens").is_some();
    let input = count(
        usage,
        if chat {
            &["prompt_tokens"]
        } else {
            &["input_tokens"]
        },
    );
    let output = count(
        usage,
        if chat {
            &["completion_tokens"]
        } else {
            &["output_tokens"]
        },
    );
    let read = count(
        usage,
        &[
            "prompt_tokens_details.cached_tokens",
            "input_tokens_details.cached_tokens",
            "cache_read_input_tokens",
            "prompt_cache_hit_tokens",
            "cached_tokens",
        ],
    );
    let write = count(
        usage,
        &[
            "cache_creation_input_tokens",
            "prompt_tokens_details.cache_write_tokens",
            "prompt_tokens_details.cache_creation_tokens",
            "input_tokens_details.cache_write_tokens",
        ],
    );
    let reasoning = count(
        usage,
        &[
            "completion_tokens_details.reasoning_tokens",
            "output_tokens_details.reasoning_tokens",
            "output_tokens_details.thinking_tokens",
            "reasoning_tokens",
        ],
    );
    let total = count(usage, &["total_tokens"]);
    // Rerankers and some embedding models count nothing but the total, which is what they read.
    let is_uncounted = [
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
    ]
    .iter()
    .all(|key| usage.get(key).is_none());
    let input = input.or(total.filter(|_| is_uncounted));
    input.or(output).or(read).or(write)?;
    // Anthropic's API is the one that reports the cached tokens beside the input instead of inside it.
    let beside = !chat
        && (usage.get("cache_read_input_tokens").is_some()
            || usage.get("cache_creation_input_tokens").is_some());
    Some(whole_of(&Counts {
        input,
        output,
        read,
        write,
        reasoning,
        total,
        beside,
    }))
}

fn read_gemini(body: &Value) -> Option<Usage> {
    let usage = body
        .get("usageMetadata")
        .or_else(|| body.get("usage_metadata"))
        .filter(|usage| usage.is_object())?;
    let prompt = count(usage, &["promptTokenCount", "prompt_token_count"]);
    let tools = count(
        usage,
        &["toolUsePromptTokenCount", "tool_use_prompt_token_count"],
    );
    let said = count(usage, &["candidatesTokenCount", "candidates_token_count"]);
    let thought = count(usage, &["thoughtsTokenCount", "thoughts_token_count"]);
    prompt.or(said).or(thought)?;
    Some(Usage {
        input_tokens: sum(prompt, tools),
        output_tokens: sum(said, thought),
        cache_read_tokens: count(
            usage,
            &["cachedContentTokenCount", "cached_content_token_count"],
        )
        .unwrap_or(0),
        cache_write_tokens: 0,
        reasoning_tokens: thought.unwrap_or(0),
    })
}

/// Bedrock's Converse counts the cached tokens beside the input, as Anthropic does.
fn read_converse(usage: &Value) -> Option<Usage> {
    let input = count(usage, &["inputTokens"]);
    let output = count(usage, &["outputTokens"]);
    input.or(output)?;
    Some(whole_of(&Counts {
        input,
        output,
        read: count(usage, &["cacheReadInputTokens", "cacheReadInputTokenCount"]),
        write: count(
            usage,
            &["cacheWriteInputTokens", "cacheWriteInputTokenCount"],
        ),
        reasoning: None,
        total: None,
        beside: true,
    }))
}

/// Cohere tells what the model read and what is paid for; only some answers have the first.
fn read_cohere(told: &Value) -> Option<Usage> {
    let input = count(told, &["tokens.input_tokens", "billed_units.input_tokens"]);
    let output = count(
        told,
        &["tokens.output_tokens", "billed_units.output_tokens"],
    );
    input.or(output)?;
    Some(Usage {
        input_tokens: input.unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        cache_read_tokens: count(told, &["cached_tokens"]).unwrap_or(0),
        ..Usage::default()
    })
}

fn read_ollama(body: &Value) -> Option<Usage> {
    let (input, output) = (
        count(body, &["prompt_eval_count"]),
        count(body, &["eval_count"]),
    );
    input.or(output)?;
    Some(Usage {
        input_tokens: input.unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        ..Usage::default()
    })
}

struct Counts {
    input: Option<i64>,
    output: Option<i64>,
    read: Option<i64>,
    write: Option<i64>,
    reasoning: Option<i64>,
    total: Option<i64>,
    beside: bool,
}

/// Makes the parts parts of their wholes, also where the provider counts them beside.
fn whole_of(counts: &Counts) -> Usage {
    let (mut input, mut output) = (counts.input.unwrap_or(0), counts.output.unwrap_or(0));
    let cached = sum(counts.read, counts.write);
    let reasoning = counts.reasoning.unwrap_or(0);
    // Parts larger than their whole cannot be inside it; xAI shows by its total that reasoning is counted beside.
    let summed = input.saturating_add(output).saturating_add(reasoning);
    if reasoning > output || (reasoning > 0 && counts.total == Some(summed)) {
        output = output.saturating_add(reasoning);
    }
    if counts.beside || cached > input {
        input = input.saturating_add(cached);
    }
    Usage {
        input_tokens: input,
        output_tokens: output,
        cache_read_tokens: counts.read.unwrap_or(0),
        cache_write_tokens: counts.write.unwrap_or(0),
        reasoning_tokens: reasoning,
    }
}

/// The first of these that is a count; negative numbers are garbage, not counts.
fn count(value: &Value, paths: &[&str]) -> Option<i64> {
    paths.iter().find_map(|path| {
        shape::at(value, path)
            .and_then(shape::whole)
            .filter(|count| *count >= 0)
    })
}

fn sum(one: Option<i64>, other: Option<i64>) -> i64 {
    one.unwrap_or(0).saturating_add(other.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::response::ModelResponse;
    use serde_json::json;

    fn counts(counts: [i64; 5]) -> Usage {
        let [
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens,
        ] = counts;
        Usage {
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens,
        }
    }

    #[test]
    fn usage_of_every_dialect() {
        let cases = [
            (
                json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}}),
                Some(counts([10, 5, 4, 0, 0])),
            ),
            (
                json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 3}, "prompt_cache_hit_tokens": 4}}),
                Some(counts([10, 5, 3, 0, 0])),
            ),
            (
                json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": null, "completion_tokens_details": null}}),
                Some(counts([10, 5, 0, 0, 0])),
            ),
            // xAI counts reasoning beside the completion.
            (
                json!({"usage": {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "completion_tokens_details": {"reasoning_tokens": 94}}}),
                Some(counts([32, 103, 0, 0, 94])),
            ),
            (
                json!({"usage": {"input_tokens": 21, "output_tokens": 393, "output_tokens_details": {"thinking_tokens": 200}}}),
                Some(counts([21, 393, 0, 0, 200])),
            ),
            // LiteLLM passes Anthropic's names on, but with the input already whole.
            (
                json!({"usage": {"prompt_tokens": 1209, "completion_tokens": 3, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 188}}),
                Some(counts([1209, 3, 1000, 188, 0])),
            ),
            (
                json!({"object": "list", "data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
                Some(counts([8, 0, 0, 0, 0])),
            ),
            (
                json!({"choices": [], "x_groq": {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}}),
                Some(counts([1, 2, 0, 0, 0])),
            ),
            (
                json!({"type": "response.completed", "response": {"usage": {"input_tokens": 3, "output_tokens": 4}}}),
                Some(counts([3, 4, 0, 0, 0])),
            ),
            (
                json!({"type": "message_start", "message": {"usage": {"input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 1}}}),
                Some(counts([10, 1, 7, 0, 0])),
            ),
            (
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}}),
                Some(counts([0, 15, 0, 0, 0])),
            ),
            (
                json!({"usage": {"input_tokens": 12.0, "output_tokens": -4}}),
                Some(counts([12, 0, 0, 0, 0])),
            ),
            (
                json!({"usage": {"input_tokens": i64::MAX, "cache_read_input_tokens": i64::MAX, "output_tokens": 1}}),
                Some(counts([i64::MAX, 1, i64::MAX, 0, 0])),
            ),
            (
                json!({"usage": {"input_tokens": "many", "output_tokens": null}}),
                None,
            ),
            (json!({"usage": {"prompt_tokens": -1}}), None),
            (json!({"usage": {}}), None),
            (json!({"usage": null}), None),
            (json!({"usage": [1]}), None),
            (json!({"usageMetadata": {"totalTokenCount": 4}}), None),
            (json!({"prompt_eval_count": -1}), None),
            (json!({"model": "m"}), None),
            (json!([]), None),
            (Value::Null, None),
        ];
        for (body, expected) in cases {
            assert_eq!(body.usage(), expected, "{body}");
        }
    }
}
