//! The agent that is replayed: the functions of mini-swe-agent, annotated, with a record for a mind.

use std::thread::sleep;
use std::time::{Duration, Instant};

use hermes::ResultClass;
use serde_json::Value;

use crate::session::Session;
use crate::step::{Exception, Step, ToolCall};

/// Replays a session, at full speed or at so many times the recorded pace.
pub(crate) fn replay(session: &Session, speed: Option<f64>) -> Result<(), &Exception> {
    let pace = Pace {
        speed,
        began: Instant::now(),
        first: session.began,
    };
    Agent { session, pace }.run()
}

struct Agent<'a> {
    session: &'a Session,
    pace: Pace,
}

impl<'a> Agent<'a> {
    #[hermes::session(
        id = self.session.id,
        model = self.session.model,
        platform = "cli",
        agent = "mini-swe-agent"
    )]
    fn run(&self) -> Result<(), &'a Exception> {
        hermes::current().end_reason(self.session.end_reason);
        self.answer().inspect_err(|exception| name(exception))?;
        Ok(())
    }

    #[hermes::turn(user_message = self.session.task, response)]
    fn answer(&self) -> Result<&'a str, &'a Exception> {
        for step in &self.session.steps {
            if let Some(outcome) = &step.outcome {
                self.complete(step, outcome)
                    .inspect_err(|exception| name(exception))?;
            }
            for call in &step.tool_calls {
                // What goes wrong in a tool is for the model to deal with.
                let _ = self.use_tool(call);
            }
        }
        Ok(&self.session.submission)
    }

    #[hermes::chat(
        model = self.session.model,
        provider = self.session.provider,
        request = self.session.request(step),
        response
    )]
    fn complete(
        &self,
        step: &Step,
        outcome: &'a Result<Value, Exception>,
    ) -> Result<&'a Value, &'a Exception> {
        self.pace.wait_until(step.at);
        if let Some(cost) = step.cost_usd {
            hermes::current().cost_usd(cost);
        }
        outcome.as_ref().inspect_err(|exception| name(exception))
    }

    #[hermes::tool(name = call.name, call_id = call.id, args = call.arguments)]
    fn use_tool(&self, call: &'a ToolCall) -> Result<(), &'a Exception> {
        let class = call.result_class();
        hermes::current().result_class(class);
        // The call that submits ends the session: nothing comes back.
        let Some(result) = &call.result else {
            return Ok(());
        };
        self.pace.wait_until(result.at);
        hermes::current().output(&result.output);
        match &result.exception {
            Some(exception) => {
                if class == ResultClass::Error {
                    name(exception);
                }
                Err(exception)
            }
            None => Ok(()),
        }
    }
}

/// Tells the exception's own name: the type of the Rust error says nothing, it is always the same.
fn name(exception: &Exception) {
    hermes::current().record("error.type", exception.name.clone());
}

/// When what happened then is to happen now.
struct Pace {
    /// Times the recorded pace; `None` is full speed.
    speed: Option<f64>,
    began: Instant,
    /// The first recorded time, in seconds since the Unix epoch.
    first: Option<f64>,
}

impl Pace {
    fn wait_until(&self, at: Option<f64>) {
        let (Some(speed), Some(first), Some(at)) = (self.speed, self.first, at) else {
            return;
        };
        let due = Duration::try_from_secs_f64((at - first) / speed).ok();
        if let Some(due) = due.and_then(|due| self.began.checked_add(due)) {
            sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}
