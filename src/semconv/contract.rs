//! Names that single libraries agreed on with nobody: rig's for a span that it fills, others' of spans.
//!
//! rig (0.42 and newer) makes no span of its own where the current one declares a marker and fourteen
//! fields, and records into it. These are the ones of them that our facts go by another name for; all
//! but the first are read as facts. The marker means nothing to anybody else, and is not exported.

/// The marker; its value means nothing.
pub const RIG_COMPLETION_PARENT: &str = "rig.completion_parent";
/// Read as the tokens written to the cache.
pub const RIG_CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Read as the reasoning tokens.
pub const RIG_REASONING_TOKENS: &str = "gen_ai.usage.reasoning_tokens";
/// Tokens of prompts that tools brought; part of the input, and kept nowhere.
pub const RIG_TOOL_USE_PROMPT_TOKENS: &str = "gen_ai.usage.tool_use_prompt_tokens";

/// The name of the span in which adk-rust records what a model call used.
pub(crate) const ADK_GENERATE: &str = "gen_ai.generate";
/// The same with its operation.
pub(crate) const ADK_CALL: &str = "gen_ai.call";
/// The name of langchain-rust's span of a model call.
pub(crate) const LANGCHAIN_GENERATE: &str = "llm.generate";
