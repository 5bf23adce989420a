//! The file format: a trajectory of mini-swe-agent (`mini-swe-agent-1.1`) read into plain structs.
//!
//! The format is what the agent's Python objects happen to serialise to, and differs with model and
//! version. So everything but the list of messages may be missing.

use std::path::Path;

use hermes::EndReason;
use serde_json::{Map, Value, json};

use crate::step::{Exception, Step, ToolCall, ToolResult, text};

/// A recorded session.
pub(crate) struct Session {
    pub(crate) file: String,
    pub(crate) id: String,
    pub(crate) exit_status: Option<String>,
    pub(crate) end_reason: EndReason,
    pub(crate) model: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) task: String,
    pub(crate) submission: String,
    pub(crate) steps: Vec<Step>,
    /// When the first model call began, in seconds since the Unix epoch.
    pub(crate) began: Option<f64>,
    /// All messages as the model got them, and the parameters that went with them.
    messages: Vec<Value>,
    parameters: Map<String, Value>,
}

impl Session {
    /// Reads a file; an error says what is wrong with it and what to do.
    pub(crate) fn read(path: &Path) -> Result<Session, String> {
        let bytes = std::fs::read(path)
            .map_err(|error| format!("it cannot be read: {error}; check the path"))?;
        let file: Value = serde_json::from_slice(&bytes).map_err(|error| {
            format!("it is not JSON: {error}; record it again, or leave it out")
        })?;
        let format = text(&file["trajectory_format"]);
        let messages = file["messages"]
            .as_array()
            .filter(|_| format.is_empty() || format.starts_with("mini-swe-agent-1"));
        let messages = messages.ok_or(
            "it is not a trajectory of format mini-swe-agent-1.1 with a list of `messages`; \
             give a NAME.traj.json as mini-swe-agent writes it",
        )?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Session::of(&name, &file["info"], messages))
    }

    fn of(file: &str, info: &Value, messages: &[Value]) -> Session {
        let exit = messages
            .iter()
            .rfind(|message| message["role"] == "exit")
            .unwrap_or(&Value::Null);
        let exit_status = [info, &exit["extra"]]
            .iter()
            .find_map(|info| info["exit_status"].as_str());
        let (end_reason, is_exception) = ending(exit_status.unwrap_or_default());
        let config = &info["config"]["model"];
        let model = config["model_name"].as_str().map(str::to_owned);
        let user = messages.iter().find(|message| message["role"] == "user");
        let mut session = Session {
            file: file.to_owned(),
            id: file
                .trim_end_matches(".json")
                .trim_end_matches(".traj")
                .to_owned(),
            exit_status: exit_status.map(str::to_owned),
            end_reason,
            provider: provider(model.as_deref(), &info["config"]),
            model,
            task: user.map(|user| text(&user["content"])).unwrap_or_default(),
            submission: text(&info["submission"]),
            steps: Vec::new(),
            began: None,
            messages: Vec::new(),
            parameters: config["model_kwargs"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
        };
        for message in messages {
            session.take(message);
        }
        if is_exception {
            let said = [
                &exit["extra"]["exception_str"],
                &info["exception_str"],
                &exit["content"],
            ];
            let message = said.into_iter().map(text).find(|text| !text.is_empty());
            let name = session.exit_status.clone().unwrap_or_default();
            session.steps.push(Step {
                outcome: Some(Err(Exception {
                    message: message.unwrap_or_else(|| name.clone()),
                    name,
                })),
                message_count: session.messages.len(),
                ..Step::default()
            });
        }
        let first = session
            .steps
            .iter()
            .find_map(|step| step.outcome.as_ref()?.as_ref().ok());
        session.began = first.and_then(|response| {
            response["created"]
                .as_f64()
                .or_else(|| response["created_at"].as_f64())
        });
        session
    }

    /// Takes the next message: the model's begins a step, a tool's result goes to its call.
    fn take(&mut self, message: &Value) {
        let extra = &message["extra"];
        // The Responses API's answer is the message itself.
        let is_response = message["object"] == "response";
        if is_response || message["role"] == "assistant" {
            let response = if is_response {
                message
            } else {
                &extra["response"]
            };
            self.steps.push(Step {
                outcome: response.is_object().then(|| Ok(response.clone())),
                cost_usd: extra["cost"].as_f64(),
                at: extra["timestamp"].as_f64(),
                tool_calls: ToolCall::all_in(message),
                message_count: self.messages.len(),
            });
        } else if let (Some(result), Some(step)) = (ToolResult::of(message), self.steps.last_mut())
        {
            step.give(result);
        }
        if message["role"] != "exit" {
            let output = message["output"].as_array().filter(|_| is_response);
            let mut sent = output.cloned().unwrap_or_else(|| vec![message.clone()]);
            for message in sent.iter_mut().filter_map(Value::as_object_mut) {
                message.remove("extra");
            }
            self.messages.append(&mut sent);
        }
    }

    /// The request of a step's model call.
    pub(crate) fn request(&self, step: &Step) -> Value {
        let mut request = json!({ "messages": self.messages[..step.message_count] });
        if let Value::Object(request) = &mut request {
            request.extend(self.parameters.clone());
        }
        request
    }
}

/// Why the session ended, and whether an exception ended it: what is none of the agent's own words
/// is the name of an exception's class.
fn ending(exit_status: &str) -> (EndReason, bool) {
    match exit_status {
        "Submitted" => (EndReason::Completed, false),
        "LimitsExceeded" => (EndReason::MaxIterations, false),
        "TimeExceeded" => (EndReason::Timeout, false),
        "RepeatedFormatError" => (EndReason::Failed, false),
        // The file was written while the session ran, and never again.
        "" | "UserInterruption" | "KeyboardInterrupt" => (EndReason::Interrupted, false),
        "Timeout" => (EndReason::Timeout, true),
        _ => (EndReason::Failed, true),
    }
}

/// Who served the model: the class that called it says, or the model's name before the slash.
fn provider(model: Option<&str>, config: &Value) -> Option<String> {
    let class = text(&config["model_type"]).to_lowercase();
    let routers = ["openrouter", "portkey", "requesty"];
    let router = routers.into_iter().find(|router| class.contains(router));
    let stated = config["model"]["model_kwargs"]["custom_llm_provider"].as_str();
    let named = || model?.split_once('/').map(|(provider, _)| provider);
    router.or(stated).or_else(named).map(str::to_owned)
}
