//! Child processes: the context goes in environment variables.

use std::borrow::Cow;
use std::process::Command;

use super::{BAGGAGE, Extract, Inject, TRACEPARENT, TRACESTATE, extract, inject};
use crate::record::TraceContext;

/// Tells a child process the context of the code that runs, in `TRACEPARENT`, `TRACESTATE` and
/// `BAGGAGE` ([OpenTelemetry's convention][otel]).
///
/// Without a context nothing changes: the child inherits the variables that this process was started
/// with, if any.
///
/// ```
/// use std::process::Command;
///
/// #[hermes::tool]
/// fn run() {
///     let mut command = Command::new("true");
///     hermes::propagation::inject_env(&mut command);
///     // start it; in the child, `extract_env` reads what was put in
/// }
/// # run();
/// ```
///
/// [otel]: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
pub fn inject_env(command: &mut Command) {
    inject(&mut Environment(command));
}

/// The context that this process was started with; empty where there is none.
///
/// ```no_run
/// let remote = hermes::propagation::extract_env();
/// let _parent = hermes::propagation::attach(&remote);
/// // what starts here now is a child of the span that started this process
/// ```
#[must_use]
pub fn extract_env() -> TraceContext {
    extract(&Inherited)
}

const VARIABLES: [(&str, &str); 3] = [
    (TRACEPARENT, "TRACEPARENT"),
    (TRACESTATE, "TRACESTATE"),
    (BAGGAGE, "BAGGAGE"),
];

fn variable(key: &str) -> Option<&'static str> {
    let named = VARIABLES.iter().find(|(known, _)| *known == key);
    named.map(|(_, variable)| *variable)
}

/// What a child will be started with.
struct Environment<'c>(&'c mut Command);

impl Inject for Environment<'_> {
    fn set(&mut self, key: &'static str, value: Option<String>) {
        let Some(variable) = variable(key) else {
            return;
        };
        match value {
            Some(value) => self.0.env(variable, value),
            None => self.0.env_remove(variable),
        };
    }
}

/// What this process was started with.
struct Inherited;

impl Extract for Inherited {
    fn values_of(&self, key: &str) -> Vec<Cow<'_, str>> {
        let value = variable(key).and_then(|variable| std::env::var(variable).ok());
        value.map(Cow::Owned).into_iter().collect()
    }
}
