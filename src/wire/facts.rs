//! Back from attributes to facts: what the store holds of a span, as the record that it was.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::record::{Facts, Value};
use crate::semconv::{self, Form, Kind, Naming};

/// The facts that attributes state which were written under this naming at full length, and the fields
/// that no table knows.
pub(crate) fn facts(
    kind: Kind,
    attributes: &Map<String, Json>,
    naming: Naming,
) -> (Facts, Vec<(Cow<'static, str>, Value)>) {
    let mut facts = Facts::default();
    let mut derived = Vec::new();
    for row in semconv::attributes(kind, naming) {
        derived.push(row.name);
        // The other forms say less than the fact, and stand beside one of these.
        if matches!(row.form, Form::Raw | Form::Cut(_))
            && let Some(value) = attributes.get(row.name).and_then(value)
        {
            facts.set_default(row.fact, value);
        }
    }
    let extra = attributes
        .iter()
        .filter(|(name, _)| !derived.contains(&name.as_str()))
        .filter_map(|(name, json)| Some((Cow::Owned(name.clone()), value(json)?)));
    (facts, extra.collect())
}

/// A value as it was before it became JSON; `None` for what no value becomes.
pub(crate) fn value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64()?),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::Texts(
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()?,
        ),
        Json::Null | Json::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::facts;
    use crate::record::Value;
    use crate::semconv::{self, Fact, Form, Kind, Naming, Profile};

    const STORED: Naming = Naming {
        profile: Profile::Hermes,
        openinference: false,
    };

    #[test]
    fn the_raw_value_counts_and_not_what_was_made_of_it() {
        let Json::Object(attributes) = json!({
            "gen_ai.provider.name": "gcp.gemini",
            "gen_ai.system": "gemini",
            "hermes.provider": "Google",
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 3,
            "hermes.cost_usd": 0.5,
            "order.id": 7,
            "odd": null,
        }) else {
            panic!()
        };
        let (facts, extra) = facts(Kind::Chat, &attributes, STORED);
        assert_eq!(facts.text(Fact::Provider), Some("Google"));
        assert_eq!(
            facts.get(Fact::FinishReasons),
            Some(&Value::from(vec!["stop"]))
        );
        assert_eq!(facts.int(Fact::InputTokens), Some(3));
        assert_eq!(facts.get(Fact::CostUsd), Some(&Value::Double(0.5)));
        assert_eq!(extra, [("order.id".into(), Value::Int(7))]);
    }

    #[test]
    fn whatever_a_profile_exports_can_be_had_back_from_the_store() {
        let mut missing = Vec::new();
        for kind in Kind::ALL {
            for profile in Profile::ALL {
                for openinference in [false, true] {
                    let naming = Naming {
                        profile,
                        openinference,
                    };
                    for row in semconv::attributes(kind, naming) {
                        let is_kept = matches!(row.form, Form::Const(_))
                            || semconv::attributes(kind, STORED).any(|kept| {
                                kept.fact == row.fact
                                    && matches!(kept.form, Form::Raw | Form::Cut(_))
                            });
                        if !is_kept && !missing.contains(&(kind, row.fact)) {
                            missing.push((kind, row.fact));
                        }
                    }
                }
            }
        }
        assert_eq!(missing, []);
    }
}
