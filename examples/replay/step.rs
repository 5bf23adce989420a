//! One step of a recorded session: what the model said, and the tools that ran because of it.

use std::fmt;

use hermes::ResultClass;
use serde_json::{Value, json};

/// A message of the model, and what the agent did about it.
#[derive(Default)]
pub(crate) struct Step {
    /// What came of the model call; `None` where the message has no record of one.
    pub(crate) outcome: Option<Result<Value, Exception>>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) at: Option<f64>,
    pub(crate) tool_calls: Vec<ToolCall>,
    /// How many messages the model had got by then.
    pub(crate) message_count: usize,
}

/// A tool that the model asked for.
pub(crate) struct ToolCall {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) arguments: String,
    pub(crate) result: Option<ToolResult>,
}

/// What a tool gave back.
pub(crate) struct ToolResult {
    pub(crate) call_id: Option<String>,
    pub(crate) output: String,
    pub(crate) return_code: Option<i64>,
    pub(crate) exception: Option<Exception>,
    pub(crate) at: Option<f64>,
}

/// An exception of Python.
#[derive(Debug)]
pub(crate) struct Exception {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Exception {}

impl Step {
    /// Gives a tool's result to the call it belongs to.
    pub(crate) fn give(&mut self, result: ToolResult) {
        let id = result.call_id.as_deref();
        let mut open = self
            .tool_calls
            .iter_mut()
            .filter(|call| call.result.is_none());
        // Commands that the model wrote as text have no ids; they are answered in order.
        if let Some(call) = open.find(|call| id.is_none() || call.id.as_deref() == id) {
            call.result = Some(result);
        }
    }
}

impl ToolCall {
    /// The tools that a message asks for: by the chat API, by the Responses API, or as text.
    pub(crate) fn all_in(message: &Value) -> Vec<ToolCall> {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let call = |name: &Value, id: &Value, arguments: &Value| ToolCall {
            name: name.as_str().unwrap_or("bash").to_owned(),
            id: id.as_str().map(str::to_owned),
            arguments: text(arguments),
            result: None,
        };
        let mut calls = Vec::new();
        for asked in list(&message["tool_calls"]) {
            let function = &asked["function"];
            calls.push(call(
                &function["name"],
                &asked["id"],
                &function["arguments"],
            ));
        }
        for asked in list(&message["output"]) {
            if asked["type"] == "function_call" {
                calls.push(call(&asked["name"], &asked["call_id"], &asked["arguments"]));
            }
        }
        if calls.is_empty() {
            for asked in list(&message["extra"]["actions"]) {
                let arguments = json!({ "command": asked["command"] });
                calls.push(call(&Value::Null, &asked["tool_call_id"], &arguments));
            }
        }
        calls
    }

    pub(crate) fn result_class(&self) -> ResultClass {
        let Some(result) = &self.result else {
            return ResultClass::Ok;
        };
        match &result.exception {
            Some(exception) if exception.message.to_lowercase().contains("timed out") => {
                ResultClass::Timeout
            }
            None if result.return_code.is_none_or(|code| code == 0) => ResultClass::Ok,
            _ => ResultClass::Error,
        }
    }
}

impl ToolResult {
    /// What a tool gave back, if this message is about that.
    pub(crate) fn of(message: &Value) -> Option<ToolResult> {
        let extra = &message["extra"];
        let is_result = message["role"] == "tool"
            || message["type"] == "function_call_output"
            || extra.get("returncode").is_some();
        let info = text(&extra["exception_info"]);
        let id = message["tool_call_id"]
            .as_str()
            .or_else(|| message["call_id"].as_str());
        let output = if message["output"].is_null() {
            &message["content"]
        } else {
            &message["output"]
        };
        is_result.then(|| ToolResult {
            call_id: id.map(str::to_owned),
            output: text(output),
            return_code: extra["returncode"].as_i64(),
            exception: (!info.is_empty()).then(|| Exception {
                name: extra["exception_type"]
                    .as_str()
                    .unwrap_or("error")
                    .to_owned(),
                message: info,
            }),
            at: extra["timestamp"].as_f64(),
        })
    }
}

/// Text as it is, other things as JSON, and nothing for nothing.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
