//! Reads one argument out of a host's JSON, in any of the forms that hosts write it in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    match find(arguments, name)? {
        Value::Number(number) => since_epoch(number.as_f64()?),
        Value::String(text) => match text.trim().parse() {
            Ok(number) => since_epoch(number),
            Err(_) => rfc_3339(text.trim()),
        },
        _ => None,
    }
}

fn since_epoch(number: f64) -> Option<SystemTime> {
    let seconds = match number {
        number if number >= 1e17 => number / 1e9,
        number if number >= 1e14 => number / 1e6,
        number if number >= 1e11 => number / 1e3,
        number => number,
    };
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    // What is before 1971 is a clock that counts from the start of something else.
    (since.as_secs() > 31_536_000).then(|| UNIX_EPOCH.checked_add(since))?
}

/// `2026-11-21T10:20:30.5Z`, `2026-11-21 10:20:30+02:00`.
fn rfc_3339(text: &str) -> Option<SystemTime> {
    let (date, rest) = (text.get(..10)?, text.get(11..)?);
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (clock, offset) = if let Some(clock) = rest.strip_suffix(['Z', 'z']) {
        (clock, 0)
    } else {
        let (clock, offset) = rest.split_at_checked(rest.rfind(['+', '-'])?)?;
        let (hours, minutes) = match offset[1..].split_once(':') {
            Some(parts) => parts,
            None => offset[1..].split_at_checked(2)?,
        };
        let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().unwrap_or(0);
        let sign = if offset.starts_with('-') { -1 } else { 1 };
        (clock, sign * minutes * 60)
    };
    let mut clock = clock.split(':');
    let hours: i64 = clock.next()?.parse().ok()?;
    let minutes: i64 = clock.next()?.parse().ok()?;
    let seconds: f64 = clock.next().unwrap_or("0").parse().ok()?;
    let is_time = (0..24).contains(&hours)
        && (0..60).contains(&minutes)
        && (0.0..61.0).contains(&seconds)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (1970..=2262).contains(&year);
    if !is_time {
        return None;
    }
    let whole = days_since_epoch(year, month, day) * 86_400 + hours * 3_600 + minutes * 60 - offset;
    let whole = Duration::from_secs(u64::try_from(whole).ok()?);
    UNIX_EPOCH.checked_add(whole + Duration::try_from_secs_f64(seconds).ok()?)
}

/// The usual count (`days_from_civil`): years begin in March, so that the leap day is the last one.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        ] {
            assert_eq!(seconds(&none), None, "{none}");
        }
    }

    #[test]
    fn arguments_are_found_where_hosts_put_them() {
        let told = json!({"session_id": "", "tool_input": {"a": 1}, "n": "4", "yes": 1,
            "extra": {"task_id": 7, "session_id": "s"}});
        assert_eq!(text(&told, "session_id"), None, "it is said to be empty");
        assert_eq!(text(&told, "task_id").as_deref(), Some("7"));
        assert_eq!(json(&told, "args"), Some(json!({"a": 1})));
        assert_eq!(int(&told, "n"), Some(4));
        assert_eq!(truth(&told, "yes"), Some(true));
        assert_eq!(text(&json!([1, 2]), "task_id"), None);
    }
}
