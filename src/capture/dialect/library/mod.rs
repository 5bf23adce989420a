//! The built-in dialects: one row per kind of span whose library does not say all by itself.
//!
//! Read from the libraries' sources and from running them. A library that states
//! `gen_ai.operation.name` and has names of its own for nothing needs no row: genai's chats,
//! embeddings and tools, agent-framework's spans, most of goose's.

mod agent;
mod framework;

use std::sync::LazyLock;

use super::Dialect;
use super::Meaning::{Is, Milliseconds, Usage};
use crate::semconv::Fact;

/// Every built-in dialect. Of several that speak of a span the first counts.
pub(in crate::capture) fn built_in() -> &'static [Dialect] {
    static BUILT_IN: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
        [
            framework::rig(),
            framework::genai(),
            framework::adk(),
            framework::swiftide(),
            agent::goose(),
            agent::codex(),
            framework::langchain(),
            framework::auto_agents(),
            agent::claude_code(),
            langfuse(),
            vercel(),
        ]
        .concat()
    });
    &BUILT_IN
}

/// Those that hear events. Few: where another layer's filter is a dynamic one, every event of the
/// process is looked up here.
pub(in crate::capture) fn built_in_for_events() -> &'static [Dialect] {
    static HEARING: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
        let hears = |dialect: &&Dialect| !dialect.events.is_empty() || dialect.about_tool.is_some();
        built_in().iter().filter(hears).cloned().collect()
    });
    &HEARING
}

/// Langfuse's events, whoever sends them, and what its attributes say of a call beside the conventions' names.
fn langfuse() -> Vec<Dialect> {
    vec![
        langfuse_events(Dialect::new("")),
        Dialect::new("")
            .declares("langfuse.observation.usage_details")
            .means("langfuse.observation.usage_details", Usage),
    ]
}

/// Vercel's SDK tells times in milliseconds.
fn vercel() -> Vec<Dialect> {
    vec![Dialect::new("").declares("ai.operationId").means(
        "ai.response.msToFirstChunk",
        Milliseconds(Fact::TimeToFirstChunk),
    )]
}

fn langfuse_events(row: Dialect) -> Dialect {
    row.hears("langfuse.model", Is(Fact::RequestModel))
        .hears("langfuse.usage", Usage)
        .hears("langfuse.input", Is(Fact::UserMessage))
        .hears("langfuse.output", Is(Fact::AssistantResponse))
        .hears("langfuse.status_message", Is(Fact::ErrorText))
}

impl Dialect {
    fn about_tool(mut self, field: &'static str) -> Self {
        self.about_tool = Some(field);
        self
    }

    fn failure(mut self, message: &'static str, error_type: Option<&'static str>) -> Self {
        self.failures.push((message, error_type));
        self
    }

    fn states_fact(mut self, fact: Fact, value: &'static str) -> Self {
        self.stated.push((fact, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::built_in;

    #[test]
    fn no_row_stands_in_the_shadow_of_another() {
        let mut seen = HashSet::new();
        for row in built_in() {
            for name in &row.names {
                let is_new = seen.insert((&row.target, name, &row.declared));
                assert!(is_new, "{} {name} stands twice", row.target);
            }
        }
    }

    #[test]
    fn no_row_goes_by_a_name_alone() {
        for row in built_in() {
            assert!(
                !row.target.is_empty() || row.names.is_empty() || !row.declared.is_empty(),
                "{:?} of any library",
                row.names
            );
        }
    }
}
