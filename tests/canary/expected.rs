//! Where what went in must come out, less its secrets: the table of all ways in.

use std::collections::{BTreeMap, BTreeSet};

use crate::secret::Fed;
use crate::ways_out::WaysOut;
use crate::wire;

/// Ways in, and the ways out in which the markers of all their secrets are found: `s`tore and the one rebuilt of the log,
/// `l`og of events, `m`emory (batches, recent traces), `o`tlp, `r`ecords of events over OTLP, `c`onsole. A capital: in some
/// profiles, for not each has a name for it. What is kept as a word of a closed list, such as a class of errors, is in
/// none: its text goes nowhere.
#[rustfmt::skip]
const INPUTS: &[(&str, &str)] = &[
    ("address", "slmorc"), ("agent", "slmOC"), ("answer_id", "slmOrc"), ("answer_model", "slmorc"),
    ("approval", "slmOC"), ("asked_args", "slmORC"), ("baggage", "slmOC"), ("broken_question", "slmORC"),
    ("broken_system", "slmORC"), ("brokenhost", "slmorc"), ("call_id", "slmOC"), ("carried", "slmoc"),
    ("cause", "slmorc"), ("cause_debug", ""), ("chat_answer", "slmORC"), ("chat_error", "slmorc"),
    ("chat_error_debug", ""), ("collected_answer", "slmOC"), ("collected_args", "slmOC"), ("collected_error", "slmoc"),
    ("collected_message", "slmOC"), ("collected_model", "slmorc"), ("collected_piece", "slmORC"),
    ("collected_question", "slmORC"), ("collected_tool", "slmoc"), ("cron", "sl"), ("cron_result", "sl"),
    ("decision", "slmOC"), ("embedded", "slmOC"), ("end_reason", ""), ("error", "slmoc"), ("error_class", ""),
    ("error_debug", ""), ("event", "slmorc"), ("event_debug", "slmorc"), ("event_display", "slmorc"),
    ("event_error", "slmorc"), ("event_field", "slmorc"), ("event_messages", "slmorc"), ("event_named", "slmorc"),
    ("event_outside", "rc"), ("feedback", "sl"), ("field_outside", "rc"), ("finish_reason", "slmorc"), ("gateway", "sl"),
    ("gateway_result", "sl"), ("gateway_way", "sl"), ("genai_event", "slmorc"), ("genai_name", ""),
    ("genai_named", "slmorc"), ("genai_unknown", "slmorc"), ("genaiaddress", "slmorc"), ("goal", "slmOC"),
    ("happened", "sl"), ("happened_class", ""), ("happened_recovery", "sl"), ("held_answer", "slmORC"),
    ("held_args", "slmOC"), ("held_error", "slmoc"), ("held_id", "slmOrc"), ("held_message", "slmOC"),
    ("held_model", "slmorc"), ("held_named", "slmoc"), ("held_provider", "slmorc"), ("held_run", "slmorc"),
    ("held_step", "slmoc"), ("held_tool", "slmoc"), ("held_value", "slmoc"), ("heldaddress", "slmorc"),
    ("helper", "slmoc"), ("helper_description", "slmOC"), ("history_args", "slmORC"), ("history_result", "slmORC"),
    ("hook_answer", "slmOC"), ("hook_answered", "slmorc"), ("hook_approval", "slmOC"), ("hook_args", "slmOC"),
    ("hook_command", "slmOC"), ("hook_error", "slmoc"), ("hook_message", "slmOC"), ("hook_model", "slmorc"),
    ("hook_platform", "slmOC"), ("hook_refused", "slmorc"), ("hook_result", "slmOC"), ("hook_tool", "slmoc"),
    ("hookaddress", "slmorc"), ("instrumented", "slmoc"), ("instrumented_error", "slmorc"),
    ("instrumented_named", "slmoc"), ("json_args", "slmOC"), ("json_result", "slmOC"), ("late_name", "slmoc"),
    ("late_named", "slmoc"), ("late_output", "slmOC"), ("late_value", "slmoc"), ("memory", "sl"),
    ("memory_result", "sl"), ("model", "slmorc"), ("mute_error", "slmoc"), ("panic", "slmoc"),
    ("plain_event", "slmorc"), ("plain_field", "slmoc"), ("plain_message", "slmorc"), ("plain_name", "slmoc"),
    ("plain_named", "slmoc"), ("plain_route", "slmoc"), ("plain_status", "slmoc"), ("plainurl", "slmoc"),
    ("platform", "slmOC"), ("query", "slmOC"), ("reasoning", "slmORC"), ("refused_question", "slmORC"),
    ("refused_system", "slmORC"), ("refusedhost", "slmorc"), ("resource", "orc"), ("resource_in_code", "orc"),
    ("resource_key", "orc"), ("rig_agent", "slmoc"), ("rig_args", "slmOC"), ("rig_completion", "slmOC"),
    ("rig_id", "slmOrc"), ("rig_input", "slmORC"), ("rig_model", "slmorc"), ("rig_output", "slmORC"),
    ("rig_prompt", "slmOC"), ("rig_result", "slmOC"), ("rig_system", "slmOC"), ("rig_tool", "slmoc"),
    ("run_id", "slmorc"), ("skill", "sl"), ("skill_action", "sl"), ("source", "slmoc"), ("stop", "slmOrc"),
    ("stream_error", "slmoc"), ("streamed", "slmOC"), ("streamed_chat", "slmORC"), ("subject", "slmOC"),
    ("system", "slmORC"), ("tool_args", "slmOC"), ("tool_definition", "slmORC"), ("tool_description", "slmOC"),
    ("tool_name", "slmoc"), ("tool_result", "slmOC"), ("tracestate", "o"), ("turn_answer", "slmOC"),
    ("user_message", "slmOC"), ("user_part", "slmORC"), ("wire_answer", "slmORC"), ("wire_failure", "slmorc"),
    ("wire_id", "slmOrc"), ("wire_model", "slmorc"), ("wire_question", "slmORC"), ("wire_refusal", "slmorc"),
    ("wire_system", "slmORC"), ("wirehost", "slmorc"),
];

/// What is told of a session that goes on when its process ends.
pub(crate) const OPEN: [&str; 2] = ["open_run", "open_value"];
/// What is told before and in a panic.
pub(crate) const CRASHED: [&str; 3] = ["crash_run", "crash_args", "crash_panic"];

/// What did not come out where it should have.
pub(crate) struct Missing {
    /// Of one profile.
    told: Vec<String>,
    /// What came out whole, for what does so in some profiles.
    arrived: BTreeSet<(String, char)>,
}

/// Compares what was found of one profile with the table, in both directions.
pub(crate) fn missing(profile: &str, fed: &Fed, ways_out: &WaysOut<'_>) -> Missing {
    let mut missing = Missing {
        told: Vec::new(),
        arrived: BTreeSet::new(),
    };
    let table: BTreeMap<&str, &str> = INPUTS.iter().copied().collect();
    let none = BTreeSet::new();
    for input in fed.keys().filter(|input| !table.contains_key(&input[..])) {
        missing
            .told
            .push(format!("{profile}: {input} is not in the table"));
    }
    for (place, way, found) in places(ways_out) {
        for (input, places) in INPUTS {
            let (fed, found) = (fed.get(*input), found.get(*input).unwrap_or(&none));
            let told = |what| format!("{profile}: {input}: {} {what} {way}", found.len());
            if places.to_ascii_lowercase().contains(place) {
                if fed == Some(found) {
                    missing.arrived.insert(((*input).to_owned(), place));
                } else if places.contains(place) || !found.is_empty() {
                    missing.told.push(told("in"));
                }
            } else if !found.is_empty() {
                missing.told.push(told("not expected in"));
            }
        }
        for input in found.keys().filter(|input| !table.contains_key(&input[..])) {
            let told = format!("{profile}: {input} is in {way} and not in the table");
            missing.told.push(told);
        }
    }
    missing
}

/// What is missing of single profiles, and what is so of all.
pub(crate) fn missing_everywhere<'m>(
    profiles: impl Iterator<Item = &'m Missing>,
) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    let mut arrived = BTreeSet::new();
    for missing in profiles {
        told.extend(missing.told.iter().cloned());
        arrived.extend(missing.arrived.iter().cloned());
    }
    for (input, places) in INPUTS {
        for place in places.to_ascii_lowercase().chars() {
            if !arrived.contains(&((*input).to_owned(), place)) {
                told.insert(format!("{input}: in {place} of no profile"));
            }
        }
    }
    told
}

/// The ways out that the table speaks of, by its letters.
fn places(ways_out: &WaysOut<'_>) -> Vec<(char, &'static str, Fed)> {
    let mut logs = ways_out.markers(wire::LOGS_OVER_HTTP);
    logs.extend(ways_out.markers(wire::LOGS_OVER_GRPC));
    let mut places = vec![('r', "log records", logs)];
    for (place, way) in [
        ('s', "store, read"),
        ('s', "rebuilt store, read"),
        ('l', "events"),
        ('m', "live.txt"),
        ('m', "recent.txt"),
        ('o', wire::SPANS_OVER_HTTP),
        ('o', wire::SPANS_OVER_GRPC),
        ('c', "console"),
    ] {
        places.push((place, way, ways_out.markers(way)));
    }
    places
}
