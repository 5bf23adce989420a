//! What a conversation takes in the store with content on: recorded sessions, each call with all of its history.

use std::path::Path;

use hermes::ContentCapture;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Hermes, SOON};

/// How often a history goes on where it ended, so that it is long enough to tell how the store grows.
const TIMES: [usize; 4] = [1, 2, 4, 8];

/// What lies in the store of one conversation.
struct Taken {
    turns: i64,
    /// The messages of every call, added up.
    said: i64,
    /// The pages of the content, its index of words left out.
    content: i64,
    words: i64,
}

/// Prints the bytes of every recorded session, played through and then on and on.
pub(crate) fn print() {
    println!("\nbytes in the store with content on; said: the messages of every call, added up");
    println!("   turns        said     content  of it   words   session");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".traj.json"))
        .collect();
    files.sort();
    for path in files {
        let recorded: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let messages = recorded["messages"].as_array().unwrap();
        for times in TIMES {
            let taken = take(messages, times);
            if taken.turns == 0 {
                continue;
            }
            println!(
                "{:>8} {:>11} {:>11} {:>5.1}% {:>7}   {} times {times}",
                taken.turns,
                taken.said,
                taken.content,
                percent(taken.content, taken.said),
                taken.words,
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .split("__")
                    .nth(1)
                    .unwrap(),
            );
        }
    }
}

fn take(messages: &[Value], times: usize) -> Taken {
    let hermes = Hermes::set_up(|builder| builder.capture_content(ContentCapture::Local));
    tracing::dispatcher::with_default(&hermes.dispatch, || {
        let session = hermes::session("conversation").start();
        let mut history: Vec<Value> = Vec::new();
        for (round, message) in
            (0..times).flat_map(|round| messages.iter().map(move |said| (round, said)))
        {
            let mut message = message.clone();
            if round > 0
                && let Some(Value::String(text)) = message.get_mut("content")
            {
                // Nobody says the same words over and over.
                text.insert_str(0, &format!("{round}: "));
            }
            if message["role"] == "assistant" {
                let request = json!({ "model": "m", "messages": history });
                session.chat("m").request(&request).start().end();
                hermes.telemetry.flush(SOON).unwrap();
            }
            history.push(message);
        }
        session.end();
    });
    let folder = hermes.close();
    let store = Connection::open(folder.path().join("store.db")).unwrap();
    let number = |sql: &str| {
        store
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let pages = |names: &str| {
        number(&format!(
            "SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE {names}"
        ))
    };
    Taken {
        turns: number("SELECT count(*) FROM tel_model_calls"),
        said: number(
            "SELECT coalesce(sum(length(CAST(attrs_json ->> '$.\"gen_ai.input.messages\"' AS BLOB))), 0)
                FROM tel_spans",
        ),
        content: pages(
            "name LIKE 'tel_texts%' OR name LIKE 'tel_links%' OR name LIKE '%tel_links_1'
                OR name LIKE 'tel_contents%'",
        ),
        words: pages("name LIKE 'tel_search%'"),
    }
}

fn percent(part: i64, whole: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    percent
}
