//! A model to try the agent with: an OpenAI-compatible endpoint on loopback that answers as a recorded
//! model did (see `recording/README.md`).

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::{Failure, recording};

/// How long the model thinks, so that the tree has something to show.
const THINKING: Duration = Duration::from_millis(120);

/// Starts the server on a free port; it runs as long as the program. Gives the base URL.
pub(crate) async fn start() -> Result<String, Failure> {
    let recording = recording::answers()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base_url = format!("http://{}/v1", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // One agent, one call at a time: there is no need to serve two at once. A caller that
            // hangs up has its own idea of what went wrong.
            let _ = serve(stream, &recording).await;
        }
    });
    Ok(base_url)
}

/// Answers one request.
async fn serve(stream: TcpStream, recording: &[Value]) -> Result<(), Failure> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse()?;
            }
            _ if line.trim().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let request: Value = serde_json::from_slice(&body)?;

    // How far the conversation is, the conversation tells.
    let messages = request["messages"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let said = messages
        .iter()
        .filter(|message| message["role"] == "assistant")
        .count();
    let answer = recording
        .get(said)
        .or(recording.last())
        .unwrap_or(&Value::Null)
        .to_string();
    tokio::time::sleep(THINKING).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.flush().await?)
}
