//! The agent's hands: three tools, and the folder they work in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{Failure, recording};

const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// The part of a project that the recorded task is about, in a temporary folder.
pub(crate) fn working_copy() -> Result<tempfile::TempDir, Failure> {
    let folder = tempfile::tempdir()?;
    for (path, text) in recording::files()? {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        std::fs::write(path, text)?;
    }
    Ok(folder)
}

/// The tools as the model is told of them.
pub(crate) fn definitions() -> Value {
    let tool = |name: &str, description: &str, argument: &str| {
        json!({ "type": "function", "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": { argument: { "type": "string" } },
                "required": [argument]
            }
        }})
    };
    json!([
        tool("list_dir", "Lists the files of a folder.", "path"),
        tool("read_file", "Reads a text file.", "path"),
        tool(
            "run_command",
            "Runs a command in a shell and gives back exit code and output.",
            "command"
        ),
    ])
}

/// Does what the model asks for. What it returns tells hermes whether it worked: an `Err` is an
/// error, and so is JSON with an `exit_code` that is not 0.
#[hermes::tool(name = name, call_id = id, args = arguments, result)]
pub(crate) async fn use_tool(
    folder: &Path,
    id: &str,
    name: &str,
    arguments: &str,
) -> Result<String, Failure> {
    let arguments: Value = serde_json::from_str(arguments)?;
    let argument = |key: &str| {
        arguments[key]
            .as_str()
            .ok_or_else(|| format!("the argument `{key}` is missing"))
    };
    match name {
        "list_dir" => list_dir(&inside(folder, argument("path")?)?),
        "read_file" => Ok(std::fs::read_to_string(inside(folder, argument("path")?)?)?),
        "run_command" => run_command(folder, argument("command")?).await,
        _ => Err(format!("there is no tool `{name}`").into()),
    }
}

fn list_dir(path: &Path) -> Result<String, Failure> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names.join("\n"))
}

async fn run_command(folder: &Path, command: &str) -> Result<String, Failure> {
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg(command)
        .current_dir(folder)
        .kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND_TIMEOUT, shell.output())
        .await
        .map_err(|_| format!("the command timed out after {COMMAND_TIMEOUT:?}"))??;
    let result = json!({
        "exit_code": output.status.code().unwrap_or(-1),
        "stdout": String::from_utf8_lossy(&output.stdout),
        "stderr": String::from_utf8_lossy(&output.stderr),
    });
    Ok(result.to_string())
}

/// The path, if it is in the folder: the model has no business elsewhere.
fn inside(folder: &Path, path: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(path).canonicalize()?;
    if path.starts_with(folder) {
        Ok(path)
    } else {
        Err("that is outside the working copy".into())
    }
}
