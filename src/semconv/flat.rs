//! Fields that hold a list piece by piece, each under a name of its own: `llm.input_messages.0.message.content`.

use super::Fact;

/// One piece of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlatField<'a> {
    /// What the list is.
    pub(crate) fact: Fact,
    /// Which of its items the piece belongs to.
    pub(crate) index: usize,
    /// The rest of the name: `role`, `content`, `tool_calls.0.function.name`.
    pub(crate) path: &'a str,
}

/// OpenInference's lists, and those of `OpenLLMetry`.
const LISTS: [(&str, Fact); 6] = [
    ("llm.input_messages.", Fact::InputMessages),
    ("llm.output_messages.", Fact::OutputMessages),
    ("gen_ai.prompt.", Fact::InputMessages),
    ("gen_ai.completion.", Fact::OutputMessages),
    ("retrieval.documents.", Fact::Documents),
    ("reranker.output_documents.", Fact::Documents),
];

/// What OpenInference puts between an item's number and what is said of it.
const WRAPPERS: [&str; 2] = ["message.", "document."];

/// The piece that a field of this name holds.
pub(crate) fn flat_field(name: &str) -> Option<FlatField<'_>> {
    let mut lists = LISTS.iter();
    let (fact, rest) = lists.find_map(|(list, fact)| Some((*fact, name.strip_prefix(list)?)))?;
    let (index, path) = rest.split_once('.')?;
    let index = index.parse().ok()?;
    let mut wrappers = WRAPPERS.iter();
    let inner = wrappers.find_map(|wrapper| path.strip_prefix(wrapper));
    Some(FlatField {
        fact,
        index,
        path: inner.unwrap_or(path),
    })
}

#[cfg(test)]
mod tests {
    use super::{FlatField, flat_field};
    use crate::semconv::Fact;

    #[test]
    fn pieces_are_told_from_other_fields() {
        let piece = |fact, index, path| Some(FlatField { fact, index, path });
        for (name, expected) in [
            (
                "llm.input_messages.1.message.content",
                piece(Fact::InputMessages, 1, "content"),
            ),
            (
                "gen_ai.completion.0.role",
                piece(Fact::OutputMessages, 0, "role"),
            ),
            (
                "retrieval.documents.10.document.score",
                piece(Fact::Documents, 10, "score"),
            ),
            ("llm.input_messages", None),
            ("llm.input_messages.x.message.content", None),
            ("gen_ai.prompt.0", None),
            ("order.0.id", None),
        ] {
            assert_eq!(flat_field(name), expected, "{name}");
        }
    }
}
