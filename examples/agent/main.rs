//! A small coding agent: it looks around in a folder, runs commands, changes a file and reports.
//!
//! Run with `cargo run --example agent`, or with a task of your own as the argument. Without further
//! ado a loopback server answers as a recorded model did, so it needs no network; with `OPENAI_BASE_URL`
//! and `OPENAI_API_KEY` (and `OPENAI_MODEL`) any OpenAI-compatible endpoint does the thinking. Mind
//! that its commands then run on this machine, in a temporary folder but with your rights.
//!
//! One sees the answer, then the session as a tree: model calls with their tokens, tools, and a
//! search that found nothing. Add `HERMES_OTEL_CAPTURE_CONTENT=local` to keep what was said.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to its user"
)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use hermes::{EndReason, RunFilter, Telemetry};
use serde_json::{Value, json};

mod recording;
mod server;
mod tools;

const DEFAULT_TASK: &str = "Rule L060 says: Use 'COALESCE' instead of 'IFNULL' or 'NVL'. \
                            Let it name the one that was found.";
const SYSTEM: &str = "You are a coding agent. You work in one folder, with the tools you are given. \
                      Look before you change anything, check your work, then say briefly what you did.";
const MOST_CALLS: usize = 20;

type Failure = Box<dyn Error + Send + Sync>;

struct Agent {
    client: reqwest::Client,
    base_url: String,
    api_key: String,
    model: String,
    provider: &'static str,
    folder: PathBuf,
}

impl Agent {
    #[hermes::session(id = id, model = self.model, platform = "cli", agent = "coding-agent")]
    async fn run(&self, id: &str, task: &str) -> Result<String, Failure> {
        self.answer(task).await
    }

    #[hermes::turn(user_message = task, response)]
    async fn answer(&self, task: &str) -> Result<String, Failure> {
        let mut messages = vec![
            json!({ "role": "system", "content": SYSTEM }),
            json!({ "role": "user", "content": task }),
        ];
        for _ in 0..MOST_CALLS {
            let request =
                json!({ "model": self.model, "messages": messages, "tools": tools::definitions() });
            let response = self.complete(&request).await?;
            let message = response
                .pointer("/choices/0/message")
                .ok_or("the model sent no message")?;
            messages.push(message.clone());
            let calls = message["tool_calls"]
                .as_array()
                .map_or(&[][..], Vec::as_slice);
            if calls.is_empty() {
                return Ok(message["content"].as_str().unwrap_or_default().to_owned());
            }
            for call in calls {
                let text = |pointer| {
                    call.pointer(pointer)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                };
                let (id, name) = (text("/id"), text("/function/name"));
                let used = tools::use_tool(&self.folder, id, name, text("/function/arguments"));
                // What went wrong is told to the model: it may know another way.
                let result = used.await.unwrap_or_else(|error| format!("Error: {error}"));
                messages.push(json!({ "role": "tool", "tool_call_id": id, "content": result }));
            }
        }
        hermes::current().end_reason(EndReason::MaxIterations);
        Err(format!("there is no answer after {MOST_CALLS} model calls").into())
    }

    #[hermes::chat(model = self.model, provider = self.provider, base_url = self.base_url, request, response)]
    async fn complete(&self, request: &Value) -> Result<Value, Failure> {
        let url = format!("{}/chat/completions", self.base_url.trim_end_matches('/'));
        let call = self
            .client
            .post(url)
            .bearer_auth(&self.api_key)
            .json(request);
        let response = call.send().await?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("HTTP {status}: {}", response.text().await?).into());
        }
        Ok(response.json().await?)
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let telemetry = hermes::init()?;
    let folder = tools::working_copy()?;
    let agent = agent_from_env(folder.path().canonicalize()?).await?;
    let task = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let task = if task.is_empty() { DEFAULT_TASK } else { &task };
    let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed()?;
    let id = format!("agent-{}-{}", since_epoch.as_secs(), std::process::id());

    println!("> {task}\n");
    let outcome = agent.run(&id, task).await;
    match &outcome {
        Ok(answer) => println!("{answer}\n"),
        Err(error) => println!("It did not work out: {error}\n"),
    }
    if let Err(error) = show(&telemetry, &id) {
        eprintln!("There is no trace to show: {error}");
    }
    Ok(ExitCode::from(u8::from(outcome.is_err())))
}

/// Prints the session as the store has it.
fn show(telemetry: &Telemetry, id: &str) -> Result<(), hermes::Error> {
    if let Err(error) = telemetry.flush(Duration::from_secs(5)) {
        eprintln!("{error}");
    }
    let store = telemetry.store()?;
    for run in store.runs(&RunFilter::session(id))? {
        println!("{}", store.tree(run.trace_id)?);
    }
    println!("It is kept in {}", store.path().display());
    Ok(())
}

async fn agent_from_env(folder: PathBuf) -> Result<Agent, Failure> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let client = reqwest::Client::builder().timeout(Duration::from_secs(120));
    let Some(base_url) = variable("OPENAI_BASE_URL") else {
        println!("OPENAI_BASE_URL is not set: a recorded model answers, whatever the task.\n");
        return Ok(Agent {
            // A proxy, where the environment names one, does not know this machine's ports.
            client: client.no_proxy().build()?,
            base_url: server::start().await?,
            api_key: String::new(),
            model: "deepseek-chat".to_owned(),
            provider: "deepseek",
            folder,
        });
    };
    Ok(Agent {
        client: client.build()?,
        base_url,
        api_key: variable("OPENAI_API_KEY").unwrap_or_default(),
        model: variable("OPENAI_MODEL").unwrap_or_else(|| "gpt-4o-mini".to_owned()),
        provider: "openai",
        folder,
    })
}
