//! From facts to attributes: the rows of the table that apply, each in its form.

use std::borrow::Cow;

use serde_json::json;

use super::message;
use crate::policy::cut_value;
use crate::record::{Facts, SpanRecord, Value};
use crate::semconv::{
    self, Attribute, Fact, Form, Naming, Sensitivity, openinference_provider, openinference_system,
    provider_name, provider_system,
};

type Named = (Cow<'static, str>, Value);

/// Whether values are cut to the lengths that exported attributes have.
#[derive(Clone, Copy, PartialEq)]
enum Length {
    Full,
    Exported,
}

/// Every attribute of the span as it leaves the process under this naming, content among them where
/// the record holds it.
pub(crate) fn attributes(record: &SpanRecord, naming: Naming) -> Vec<Named> {
    rendered(record, naming, |_| true, true, Length::Exported)
}

/// Every attribute at the length at which the record holds it: the store's form.
pub(crate) fn full_attributes(record: &SpanRecord, naming: Naming) -> Vec<Named> {
    rendered(record, naming, |_| true, true, Length::Full)
}

/// The attributes that carry content.
pub(crate) fn content_attributes(record: &SpanRecord, naming: Naming) -> Vec<Named> {
    rendered(
        record,
        naming,
        |fact| fact.sensitivity() == Sensitivity::Content,
        true,
        Length::Exported,
    )
}

/// The attributes that carry none.
pub(crate) fn attributes_without_content(record: &SpanRecord, naming: Naming) -> Vec<Named> {
    rendered(
        record,
        naming,
        |fact| fact.sensitivity() == Sensitivity::Plain,
        false,
        Length::Exported,
    )
}

fn rendered(
    record: &SpanRecord,
    naming: Naming,
    wanted: impl Fn(Fact) -> bool,
    with_extra: bool,
    length: Length,
) -> Vec<Named> {
    let mut attributes = Vec::with_capacity(32);
    for row in semconv::attributes(record.kind, naming).filter(|row| wanted(row.fact)) {
        if row.form == Form::FlatMessages {
            if let Some(messages) = record.facts.text(row.fact) {
                message::flatten(row.name, messages, &mut attributes);
            }
        } else if let Some(value) = value(row, &record.facts, length) {
            attributes.push((Cow::Borrowed(row.name), value));
        }
    }
    if with_extra {
        for (name, value) in &record.extra {
            if !attributes.iter().any(|(taken, _)| taken == name) {
                attributes.push((name.clone(), value.clone()));
            }
        }
    }
    attributes
}

/// The value that a row makes of the facts; `None` where there is nothing to say.
fn value(row: &Attribute, facts: &Facts, length: Length) -> Option<Value> {
    if let Form::Const(text) = row.form {
        return Some(Value::Text(Cow::Borrowed(text)));
    }
    if row.form == Form::Parameters {
        return parameters(facts);
    }
    let known = facts.get(row.fact)?;
    match row.form {
        Form::Raw => Some(known.clone()),
        Form::Cut(_) if length == Length::Full => Some(known.clone()),
        Form::Cut(chars) => Some(Value::from(cut_value(known.to_text(), chars).into_owned())),
        Form::Provider => Some(Value::from(provider_name(known.as_str()?))),
        Form::System => Some(Value::from(provider_system(known.as_str()?))),
        Form::OpenInferenceProvider => Some(Value::from(openinference_provider(known.as_str()?))),
        Form::OpenInferenceSystem => openinference_system(known.as_str()?).map(Value::from),
        Form::First => match known {
            Value::Texts(texts) => texts.first().map(Value::from),
            other => Some(other.clone()),
        },
        Form::AnyModel => Some(facts.get(Fact::ResponseModel).unwrap_or(known).clone()),
        Form::TotalTokens => {
            let output = facts.int(Fact::OutputTokens).unwrap_or(0);
            known
                .as_int()
                .map(|input| Value::Int(input.saturating_add(output)))
        }
        Form::Mime(mime) => Some(Value::Text(Cow::Borrowed(mime))),
        Form::Object(key) => Some(Value::from(message::object(key, &known.to_text()))),
        Form::Message(role) => Some(Value::from(message::single(role, &known.to_text()))),
        Form::Const(_) | Form::Parameters | Form::FlatMessages => None,
    }
}

/// `llm.invocation_parameters`: the request's parameters as one JSON object.
fn parameters(facts: &Facts) -> Option<Value> {
    const PARAMETERS: [(&str, Fact); 8] = [
        ("temperature", Fact::Temperature),
        ("top_p", Fact::TopP),
        ("top_k", Fact::RequestTopK),
        ("max_tokens", Fact::MaxTokens),
        ("frequency_penalty", Fact::FrequencyPenalty),
        ("presence_penalty", Fact::PresencePenalty),
        ("seed", Fact::Seed),
        ("stream", Fact::Stream),
    ];
    let mut object = json!({});
    for (name, fact) in PARAMETERS {
        if let Some(value) = facts.get(fact) {
            object[name] = super::json_value(value.clone());
        }
    }
    let is_empty = object.as_object().is_none_or(serde_json::Map::is_empty);
    (!is_empty).then(|| Value::from(object.to_string()))
}
