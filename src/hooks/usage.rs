//! What a call used, in the host's own shape, whose input leaves out what came from the cache, or in a provider's.

use serde_json::{Value, json};

use crate::record::Usage;
use crate::span::ModelResponse as _;

pub(super) fn read(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage.get(name).and_then(Value::as_i64);
    let is_hosts = ["cache_read_tokens", "cache_write_tokens"]
        .iter()
        .any(|name| usage.get(name).is_some());
    let (Some(input), true) = (count("input_tokens").or(count("prompt_tokens")), is_hosts) else {
        return json!({ "usage": usage }).usage();
    };
    let read = count("cache_read_tokens").unwrap_or(0);
    let write = count("cache_write_tokens").unwrap_or(0);
    let output = count("output_tokens")
        .or(count("completion_tokens"))
        .unwrap_or(0);
    let cached = read.saturating_add(write);
    let all = input.saturating_add(cached);
    // Said to be the whole, it is.
    let total = count("total_tokens").map(|total| total.saturating_sub(output));
    let is_whole = cached <= input && total == Some(input);
    let input = count("prompt_tokens").unwrap_or(if is_whole { input } else { all });
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        cache_read_tokens: read,
        cache_write_tokens: write,
        reasoning_tokens: count("reasoning_tokens").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_includes_what_came_from_the_cache() {
        let input = |usage: Value| read(&usage).unwrap().input_tokens;
        let own = json!({"input_tokens": 30, "output_tokens": 7, "cache_read_tokens": 60, "cache_write_tokens": 10});
        assert_eq!(input(own), 100);
        let both = json!({"prompt_tokens": 100, "input_tokens": 30, "output_tokens": 7, "cache_read_tokens": 70});
        assert_eq!(input(both), 100);
        let whole = json!({"input_tokens": 100, "output_tokens": 7, "cache_read_tokens": 70, "total_tokens": 107});
        assert_eq!(input(whole), 100);
        let anthropic =
            json!({"input_tokens": 30, "output_tokens": 7, "cache_read_input_tokens": 70});
        assert_eq!(input(anthropic), 100);
        let open_ai = json!({"prompt_tokens": 100, "completion_tokens": 7,
            "prompt_tokens_details": {"cached_tokens": 70}});
        assert_eq!(input(open_ai), 100);
        assert_eq!(read(&json!({})), None);
        assert_eq!(read(&json!("none")), None);
    }
}
