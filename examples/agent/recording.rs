//! What a model was recorded to answer, told in the words of this agent's tools.
//!
//! The session is one of `tests/data` (model `deepseek-chat`, agent mini-swe-agent, MIT licence): its
//! answers with their ids, words, arguments and usage. That agent had one tool, `bash`; here it is
//! `run_command`, a plain `cat FILE` is `read_file` and a plain `ls -la FOLDER` is `list_dir`.

use serde_json::{Value, json};

use crate::Failure;

const SESSION: &str = include_str!(concat!(
    "../../tests/data/deepseek_lite_dev__sqlfluff__sqlfluff-2419",
    "__sqlfluff__sqlfluff-2419.traj.json"
));
/// Of its 41 answers those that make a short story: look around, read, search, change, report.
const TOLD: [usize; 7] = [0, 1, 13, 18, 23, 26, 40];

/// Complete answers of `/chat/completions`, one after the other.
pub(crate) fn answers() -> Result<Vec<Value>, Failure> {
    let mut answers: Vec<_> = recorded()?.into_iter().map(|(answer, _)| answer).collect();
    // The recorded agent submits by a last call; this one is done when the model calls nothing.
    if let Some(choice) = answers.last_mut().map(|answer| &mut answer["choices"][0]) {
        choice["message"]["tool_calls"] = Value::Null;
        choice["finish_reason"] = json!("stop");
    }
    Ok(answers)
}

/// The files that the model reads, as the recorded agent showed them: path and text.
pub(crate) fn files() -> Result<Vec<(String, String)>, Failure> {
    let mut files = Vec::new();
    for (answer, output) in recorded()? {
        let function = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
        if function["name"] == "read_file" {
            let arguments: Value =
                serde_json::from_str(function["arguments"].as_str().unwrap_or("null"))?;
            files.push((
                arguments["path"].as_str().unwrap_or_default().to_owned(),
                output,
            ));
        }
    }
    Ok(files)
}

/// The answers that are told, each with what came of its call.
fn recorded() -> Result<Vec<(Value, String)>, Failure> {
    let session: Value = serde_json::from_str(SESSION)?;
    let messages = session["messages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let is_answer = |at: &usize| messages[*at].pointer("/extra/response/choices").is_some();
    let answered: Vec<usize> = (0..messages.len()).filter(is_answer).collect();
    let told = TOLD
        .iter()
        .filter_map(|&number| answered.get(number))
        .map(|&at| {
            let mut answer = messages[at]["extra"]["response"].clone();
            for call in answer
                .pointer_mut("/choices/0/message/tool_calls")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                in_our_tools(&mut call["function"])?;
            }
            let output = messages
                .get(at + 1)
                .and_then(|message| message["content"].as_str());
            let output = output
                .and_then(|text| text.split_once("<output>\n"))
                .map_or("", |(_, text)| text);
            Ok((answer, output.trim_end_matches("</output>").to_owned()))
        });
    told.collect()
}

fn in_our_tools(function: &mut Value) -> Result<(), Failure> {
    let arguments: Value = serde_json::from_str(function["arguments"].as_str().unwrap_or("null"))?;
    let command = arguments["command"].as_str().unwrap_or_default();
    let (name, arguments) = match command.split(' ').collect::<Vec<_>>()[..] {
        ["cat", path] => ("read_file", json!({ "path": path })),
        ["ls", "-la", path] => ("list_dir", json!({ "path": path })),
        _ => ("run_command", arguments),
    };
    *function = json!({ "name": name, "arguments": arguments.to_string() });
    Ok(())
}
