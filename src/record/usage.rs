//! Tokens of one model call in one normal form: inclusive totals, with their parts.

/// What a model call used, in tokens.
///
/// `input_tokens` includes the cached tokens read and written, `output_tokens` includes reasoning:
/// the other fields are parts of these two, not extras (OpenTelemetry `GenAI` conventions; where a
/// provider's own number excludes the cached tokens, as Anthropic's does, they are added).
///
/// ```
/// use hermes::Usage;
///
/// let usage = Usage { input_tokens: 1200, cache_read_tokens: 1000, output_tokens: 80, ..Default::default() };
/// assert_eq!(usage.total_tokens(), 1280);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// All tokens sent to the model, cached ones included.
    pub input_tokens: i64,
    /// All tokens the model produced, reasoning included.
    pub output_tokens: i64,
    /// The part of the input that came from the provider's cache.
    pub cache_read_tokens: i64,
    /// The part of the input that was written to the provider's cache.
    pub cache_write_tokens: i64,
    /// The part of the output that was reasoning.
    pub reasoning_tokens: i64,
}

impl Usage {
    /// Input and output together.
    #[must_use]
    pub const fn total_tokens(&self) -> i64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }
}
