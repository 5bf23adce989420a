//! The capture filter: what Hermes captures, and never what other layers see.
//!
//! Directives are in `RUST_LOG`'s grammar, `target[span{field=value}]=level`, separated by commas; a
//! bare span name (`hermes.tool`, `chat`) means that span. The most specific directive that applies
//! decides; `off` subtracts. Unlike `EnvFilter`, it can subtract by span and by field, and it sees
//! facts that are recorded late.

use std::borrow::Cow;

use regex::Regex;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;

use crate::record::{Facts, Value};
use crate::semconv::{Fact, Kind};

/// The directives in force; empty: everything of ours is captured.
#[derive(Debug, Default)]
pub(crate) struct CaptureFilter {
    directives: Vec<Directive>,
    /// What holds for a span that no directive speaks of.
    default: Option<LevelFilter>,
    /// The same as far as it was said, and not concluded.
    stated: Option<LevelFilter>,
}

#[derive(Debug)]
struct Directive {
    target: Option<String>,
    span: Option<SpanName>,
    fields: Vec<FieldMatch>,
    level: LevelFilter,
}

#[derive(Debug)]
enum SpanName {
    /// One of our kinds, by whatever name the span goes.
    Kind(Kind),
    /// `hermes.tool.{name}`.
    Tool(String),
    Other(String),
}

#[derive(Debug)]
struct FieldMatch {
    name: String,
    /// `None`: the field is there, whatever its value. Matches the whole value, as in `RUST_LOG`.
    value: Option<Regex>,
}

impl CaptureFilter {
    /// Reads a list of directives. What cannot be read is left out and named in the second part.
    pub(crate) fn parse(list: &str) -> (Self, Vec<String>) {
        let (mut filter, mut troubles) = (CaptureFilter::default(), Vec::new());
        for text in split(list)
            .into_iter()
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            match text.parse::<LevelFilter>() {
                Ok(level) => filter.stated = Some(level),
                Err(_) => match Directive::parse(text) {
                    Ok(directive) => filter.directives.push(directive),
                    Err(why) => troubles.push(format!("{text:?} {why}")),
                },
            }
        }
        filter.default = filter.stated;
        if filter.default.is_none() && !filter.directives.is_empty() {
            // Only subtractions: they subtract from everything. Else what is named is all there is.
            let only_subtracts = filter
                .directives
                .iter()
                .all(|directive| directive.level == LevelFilter::OFF);
            filter.default = Some(if only_subtracts {
                LevelFilter::TRACE
            } else {
                LevelFilter::OFF
            });
        }
        (filter, troubles)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.default.is_none()
    }

    /// Whether any directive asks for a field's value.
    #[inline]
    pub(crate) fn reads_fields(&self) -> bool {
        !self.is_empty() && self.directives.iter().any(Directive::reads_fields)
    }

    /// Whether spans of this callsite may be captured, before any value is known.
    pub(crate) fn may_keep(&self, metadata: &Metadata<'_>) -> bool {
        let Some(default) = self.default else {
            return true;
        };
        let kind = Kind::of_span_name(metadata.name());
        let with_fields = self.directives.iter().any(|directive| {
            directive.reads_fields()
                && directive.speaks_of(metadata, kind)
                && *metadata.level() <= directive.level
        });
        with_fields || {
            let level = self
                .deciding(|directive| {
                    !directive.reads_fields() && directive.speaks_of(metadata, kind)
                })
                .map_or(default, |directive| directive.level);
            // A kind that shows itself late may still be spoken of by a directive on spans.
            let may_be_named = kind.is_none()
                && self.directives.iter().any(|directive| {
                    directive.span.is_some() && *metadata.level() <= directive.level
                });
            *metadata.level() <= level || may_be_named
        }
    }

    /// Down to which level log records are made of events with this target; `None`: nothing is said of
    /// it. What is said of spans says nothing of events.
    #[cfg(feature = "otlp-logs")]
    pub(crate) fn level_of_events(&self, target: &str) -> Option<LevelFilter> {
        let is_of_targets =
            |directive: &Directive| directive.span.is_none() && directive.fields.is_empty();
        let speaks =
            |directive: &Directive| is_of_targets(directive) && directive.is_of_target(target);
        let named = self.deciding(speaks).map(|directive| directive.level);
        let is_all_there_is = self
            .directives
            .iter()
            .any(|directive| is_of_targets(directive) && directive.level != LevelFilter::OFF);
        named
            .or(self.stated)
            .or(is_all_there_is.then_some(LevelFilter::OFF))
    }

    /// Whether a span with these facts is captured.
    pub(crate) fn keeps(
        &self,
        metadata: &Metadata<'_>,
        kind: Option<Kind>,
        facts: &Facts,
        extra: &[(Cow<'static, str>, Value)],
    ) -> bool {
        let Some(default) = self.default else {
            return true;
        };
        let level = self
            .deciding(|directive| {
                directive.speaks_of(metadata, kind)
                    && directive.names_tool(facts)
                    && directive
                        .fields
                        .iter()
                        .all(|field| field.is_met(kind, facts, extra))
            })
            .map_or(default, |directive| directive.level);
        *metadata.level() <= level
    }

    /// The most specific of the directives that apply; of equals, the last.
    fn deciding(&self, applies: impl Fn(&Directive) -> bool) -> Option<&Directive> {
        self.directives
            .iter()
            .filter(|directive| applies(directive))
            .max_by_key(|directive| directive.specificity())
    }
}

impl Directive {
    fn parse(text: &str) -> Result<Self, String> {
        let (subject, level) = match level_at_end(text) {
            Some((subject, word)) => {
                let level = Some(word.trim()).filter(|word| !word.is_empty());
                let level = level.and_then(|word| word.parse().ok()).ok_or_else(|| {
                    format!(
                        "ends in {word:?}, which is no level (off, error, warn, info, debug, trace)"
                    )
                })?;
                (subject.trim(), level)
            }
            None => (text, LevelFilter::TRACE),
        };
        let (target, brackets) = match subject.split_once('[') {
            Some((target, rest)) => {
                let inside = rest
                    .strip_suffix(']')
                    .ok_or_else(|| "opens a [ that it does not close".to_owned())?;
                (target, inside)
            }
            None => (subject, ""),
        };
        if target.contains([']', '{', '}', '"', ' ']) {
            return Err("is not of the form target[span{field=value}]=level".to_owned());
        }
        let (span, fields) = match brackets.split_once('{') {
            Some((span, rest)) => {
                let inside = rest
                    .strip_suffix('}')
                    .ok_or_else(|| "opens a { that it does not close".to_owned())?;
                let fields = split(inside).into_iter().map(FieldMatch::parse);
                (span, fields.collect::<Result<Vec<_>, _>>()?)
            }
            None => (brackets, Vec::new()),
        };
        let mut directive = Directive {
            target: None,
            span: None,
            fields,
            level,
        };
        if let Some(name) = SpanName::of_ours(target) {
            directive.span = Some(name);
        } else if !target.is_empty() {
            directive.target = Some(target.to_owned());
        }
        if target.is_empty() && brackets.is_empty() {
            return Err("names neither a target nor a span".to_owned());
        }
        if !span.is_empty() {
            directive.span =
                Some(SpanName::of_ours(span).unwrap_or_else(|| SpanName::Other(span.to_owned())));
        }
        Ok(directive)
    }

    fn speaks_of(&self, metadata: &Metadata<'_>, kind: Option<Kind>) -> bool {
        let by_target = self.is_of_target(metadata.target());
        by_target
            && self.span.as_ref().is_none_or(|span| match span {
                SpanName::Kind(named) => kind == Some(*named),
                SpanName::Tool(_) => kind == Some(Kind::Tool),
                SpanName::Other(name) => metadata.is_span() && metadata.name() == name,
            })
    }

    fn is_of_target(&self, target: &str) -> bool {
        self.target.as_ref().is_none_or(|named| {
            target
                .strip_prefix(named.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    }

    /// Whether it takes a value to tell if the directive applies.
    fn reads_fields(&self) -> bool {
        !self.fields.is_empty() || matches!(self.span, Some(SpanName::Tool(_)))
    }

    fn names_tool(&self, facts: &Facts) -> bool {
        match &self.span {
            Some(SpanName::Tool(tool)) => facts.text(Fact::ToolName) == Some(tool),
            _ => true,
        }
    }

    /// Fields before span before the length of the target, as `RUST_LOG` has it.
    fn specificity(&self) -> (usize, u8, usize) {
        let span = match self.span {
            None => 0,
            Some(SpanName::Kind(_) | SpanName::Other(_)) => 1,
            Some(SpanName::Tool(_)) => 2,
        };
        (
            self.fields.len(),
            span,
            self.target.as_ref().map_or(0, String::len),
        )
    }
}

impl SpanName {
    fn of_ours(name: &str) -> Option<Self> {
        if let Some(tool) = Kind::tool_in_span_name(name) {
            return Some(SpanName::Tool(tool.to_owned()));
        }
        if name == "chat" {
            return Some(SpanName::Kind(Kind::Chat));
        }
        Kind::of_span_name(name).map(SpanName::Kind)
    }
}

impl FieldMatch {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (text.trim(), None),
        };
        if name.is_empty() {
            return Err("names no field before the =".to_owned());
        }
        let value = value
            .map(|value| Regex::new(&format!("^(?:{value})$")))
            .transpose()
            .map_err(|_| "holds a value that is neither a text nor a pattern".to_owned())?;
        Ok(FieldMatch {
            name: name.to_owned(),
            value,
        })
    }

    fn is_met(
        &self,
        kind: Option<Kind>,
        facts: &Facts,
        extra: &[(Cow<'static, str>, Value)],
    ) -> bool {
        let fact = Fact::named(&self.name).or_else(|| keyword(kind?, &self.name));
        let known = fact.and_then(|fact| facts.get(fact)).or_else(|| {
            extra
                .iter()
                .find(|(name, _)| *name == self.name)
                .map(|(_, value)| value)
        });
        match (known, &self.value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(known), Some(value)) => value.is_match(&known.to_text()),
        }
    }
}

/// The fact that a keyword of the macros states on a span of this kind.
fn keyword(kind: Kind, name: &str) -> Option<Fact> {
    Some(match (kind, name) {
        (Kind::Tool, "name") => Fact::ToolName,
        (Kind::Tool, "call_id") => Fact::ToolCallId,
        (Kind::Tool, "backend") => Fact::ToolBackend,
        (Kind::Tool, "result_class") => Fact::ToolResultClass,
        (Kind::Session, "id") => Fact::SessionId,
        (Kind::Session, "agent") | (Kind::Agent, "name") => Fact::AgentName,
        (Kind::Session | Kind::Agent | Kind::Turn, "model") => Fact::Model,
        (Kind::Session | Kind::Turn, "platform") => Fact::Platform,
        (Kind::Session, "entrypoint") => Fact::Entrypoint,
        (Kind::Turn, "index") => Fact::TurnIndex,
        (Kind::Retriever, "source") => Fact::DataSource,
        (kind, "model") if kind.has_model() => Fact::RequestModel,
        (kind, "provider") if kind.has_model() => Fact::Provider,
        _ => return None,
    })
}

/// Splits at commas that stand outside of brackets, braces and quotes.
fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut is_quoted, mut start) = (Vec::new(), 0_i32, false, 0);
    for (at, character) in list.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            '[' | '{' if !is_quoted => depth += 1,
            ']' | '}' if !is_quoted => depth -= 1,
            ',' if !is_quoted && depth <= 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// The `=level` after the subject; an `=` inside brackets belongs to a field.
fn level_at_end(text: &str) -> Option<(&str, &str)> {
    let from = text.rfind(']').map_or(0, |at| at + 1);
    let at = text[from..].find('=')? + from;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests;
