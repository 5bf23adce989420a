//! Reads one argument out of a host's JSON, in any of the forms that hosts write it in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, civil};
use serde_json::Value;

/// Other names for the same thing: hosts that run a command for each hook use them.
const ALIASES: &[(&str, &[&str])] = &[
    ("args", &["tool_input", "arguments"]),
    ("result", &["tool_response", "tool_output"]),
    ("tool_call_id", &["tool_use_id"]),
    ("request_messages", &["messages"]),
];

/// The value under this name; what is not at the top may be among the `extra` arguments.
fn find<'a>(arguments: &'a Value, name: &str) -> Option<&'a Value> {
    let aliases = ALIASES.iter().find(|(known, _)| *known == name);
    let names = || {
        std::iter::once(name).chain(
            aliases
                .into_iter()
                .flat_map(|(_, more)| more.iter().copied()),
        )
    };
    [Some(arguments), arguments.get("extra")]
        .into_iter()
        .flatten()
        .find_map(|object| {
            names().find_map(|name| object.get(name).filter(|value| !value.is_null()))
        })
}

/// A word. Ids that are numbers are words as well.
pub(super) fn text(arguments: &Value, name: &str) -> Option<String> {
    match find(arguments, name)? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn json(arguments: &Value, name: &str) -> Option<Value> {
    find(arguments, name).cloned()
}

pub(super) fn int(arguments: &Value, name: &str) -> Option<i64> {
    let number = number(arguments, name)?;
    #[expect(clippy::cast_possible_truncation, reason = "counts are small")]
    let whole = number as i64;
    Some(whole)
}

pub(super) fn number(arguments: &Value, name: &str) -> Option<f64> {
    let number = match find(arguments, name)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

pub(super) fn truth(arguments: &Value, name: &str) -> Option<bool> {
    match find(arguments, name)? {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => number.as_f64().map(|number| number != 0.0),
        Value::String(text) => match text.trim() {
            "true" | "True" | "1" => Some(true),
            "false" | "False" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A number is seconds since the Unix epoch, or, where that would be in the far future, milliseconds,
/// microseconds or nanoseconds. A text without an offset says no time: whose would it be?
pub(super) fn time(arguments: &Value, name: &str) -> Option<SystemTime> {
    match moment(find(arguments, name)?)? {
        Moment::Of(time) => Some(time),
        Moment::Since(_) | Moment::Somewhere(_) => None,
    }
}

/// A stated number of seconds, else those between two moments of a clock of the host's own.
pub(super) fn seconds(arguments: &Value, name: &str) -> Option<f64> {
    number(arguments, name).or_else(|| between(arguments))
}

/// The same in milliseconds.
pub(super) fn millis(arguments: &Value, name: &str) -> Option<f64> {
    number(arguments, name).or_else(|| Some(between(arguments)? * 1e3))
}

/// Where two moments cannot be told, what lies between them may be.
fn between(arguments: &Value) -> Option<f64> {
    let started = moment(find(arguments, "started_at")?)?;
    let ended = moment(find(arguments, "ended_at")?)?;
    let seconds = match (started, ended) {
        (Moment::Since(started), Moment::Since(ended)) => ended - started,
        (Moment::Somewhere(started), Moment::Somewhere(ended)) => {
            ended.duration_since(started).as_secs_f64()
        }
        _ => return None,
    };
    (seconds >= 0.0).then_some(seconds)
}

/// What a host may mean by a time.
enum Moment {
    Of(SystemTime),
    /// Seconds since the start of something: the host's process, its machine.
    Since(f64),
    /// What a clock on some wall shows.
    Somewhere(civil::DateTime),
}

fn moment(value: &Value) -> Option<Moment> {
    match value {
        Value::Number(number) => since(number.as_f64()?),
        Value::String(text) => {
            let text = text.trim();
            if let Ok(number) = text.parse() {
                return since(number);
            }
            match text.parse::<Timestamp>() {
                Ok(time) => Some(Moment::Of(time.into())).filter(is_possible),
                Err(_) => text.parse().ok().map(Moment::Somewhere),
            }
        }
        _ => None,
    }
}

fn since(number: f64) -> Option<Moment> {
    let seconds = match number {
        number if number >= 1e17 => number / 1e9,
        number if number >= 1e14 => number / 1e6,
        number if number >= 1e11 => number / 1e3,
        number => number,
    };
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    let time = UNIX_EPOCH.checked_add(since).map(Moment::Of);
    let time = time.filter(is_possible);
    // A clock that counts from the start of something else.
    time.or_else(|| (number < EARLIEST.as_secs_f64()).then_some(Moment::Since(number)))
}

/// September 2001, where seconds since the epoch began to have ten digits, and the end of 2099. What lies
/// outside was stated by a clock that means something else, and would be in every span around it.
const EARLIEST: Duration = Duration::from_secs(1_000_000_000);
const LATEST: Duration = Duration::from_secs(4_102_444_800);

fn is_possible(moment: &Moment) -> bool {
    let Moment::Of(time) = moment else {
        return true;
    };
    let since = time.duration_since(UNIX_EPOCH);
    since.is_ok_and(|since| (EARLIEST..LATEST).contains(&since))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::seconds as seconds_of;
    use super::{UNIX_EPOCH, Value, int, json as json_of, millis, text, time, truth};

    fn seconds(value: &Value) -> Option<f64> {
        let time = time(&json!({ "at": value }), "at")?;
        Some(time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64())
    }

    #[test]
    fn times_come_in_many_forms() {
        let then = Some(1_700_000_000.5);
        assert_eq!(seconds(&json!(1_700_000_000.5)), then);
        assert_eq!(seconds(&json!("1700000000.5")), then);
        assert_eq!(seconds(&json!(1_700_000_000_500_i64)), then);
        assert_eq!(seconds(&json!(1_700_000_000_500_000_000_i64)), then);
        assert_eq!(seconds(&json!("2023-11-14T22:13:20.5Z")), then);
        assert_eq!(seconds(&json!("2023-11-15T00:13:20.5+02:00")), then);
        assert_eq!(seconds(&json!("2023-11-14 17:13:20.5-0500")), then);
        assert_eq!(
            seconds(&json!("2024-02-29T00:00:00Z")),
            Some(1_709_164_800.0)
        );
        for none in [
            json!("2023-11-14T22:13:20.5"),
            json!("yesterday"),
            json!(""),
            json!(12.5),
            json!(-1),
            json!(null),
            json!(true),
            json!("ü023-11-14T22:13:20Zü"),
            json!("2023-11-14T22:13:20+é1"),
            json!("9999-99-99T99:99:99Z"),
            json!("2023-02-29T00:00:00Z"),
            json!("2023-11-14T22:13:20+99:99"),
            json!("9999-12-31T23:59:59Z"),
            // Days, in milliseconds; hours, in nanoseconds.
            json!(500_000_000),
            json!(50_000_000_000_000_i64),
        ] {
            assert_eq!(seconds(&none), None, "{none}");
        }
    }

    #[test]
    fn what_lies_between_is_known_where_the_moments_are_not() {
        let took = |started: Value, ended: Value| {
            seconds_of(
                &json!({ "started_at": started, "ended_at": ended }),
                "api_duration",
            )
        };
        assert_eq!(took(json!(100.25), json!(142.75)), Some(42.5));
        assert_eq!(took(json!("100"), json!(142)), Some(42.0));
        let (naive, later) = ("2026-11-21T23:59:59.5", "2026-11-22 00:00:01");
        assert_eq!(took(json!(naive), json!(later)), Some(1.5));
        assert_eq!(took(json!(later), json!(naive)), None);
        assert_eq!(took(json!(100), json!(naive)), None);
        let both = json!({"started_at": 1, "ended_at": 2, "duration_ms": 5});
        assert_eq!(millis(&both, "duration_ms"), Some(5.0));
        assert_eq!(millis(&both, "other"), Some(1_000.0));
    }

    #[test]
    fn arguments_are_found_where_hosts_put_them() {
        let told = json!({"session_id": "", "tool_input": {"a": 1}, "n": "4", "yes": 1,
            "extra": {"task_id": 7, "session_id": "s"}});
        assert_eq!(text(&told, "session_id"), None, "it is said to be empty");
        assert_eq!(text(&told, "task_id").as_deref(), Some("7"));
        assert_eq!(json_of(&told, "args"), Some(json!({"a": 1})));
        assert_eq!(int(&told, "n"), Some(4));
        assert_eq!(truth(&told, "yes"), Some(true));
        assert_eq!(text(&json!([1, 2]), "task_id"), None);
    }
}
