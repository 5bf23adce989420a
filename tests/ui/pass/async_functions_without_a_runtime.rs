//! Futures are polled by hand: the expansion asks for no runtime.
#![deny(warnings)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

#[derive(Debug)]
struct Failed;

impl From<std::num::ParseIntError> for Failed {
    fn from(_: std::num::ParseIntError) -> Failed {
        Failed
    }
}

#[hermes::session(id, model = "gpt-4o", platform = "cli")]
async fn run(id: &str) -> Result<u32, Failed> {
    let first = turn(id).await?;
    let second: u32 = "2".parse()?;
    Ok(first + second)
}

#[hermes::turn(user_message = text)]
async fn turn(text: &str) -> Result<u32, Failed> {
    yield_now().await;
    if text.is_empty() {
        return Err(Failed);
    }
    Ok(chat(text.len()).await)
}

#[hermes::chat(model = "m", message_count = count)]
async fn chat(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

#[hermes::instrument]
async fn nothing(log: &mut Vec<u32>) {
    yield_now().await;
    log.push(1);
}

async fn yield_now() {
    let mut first = true;
    std::future::poll_fn(move |_| {
        if std::mem::take(&mut first) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

fn is_send<T: Send>(value: T) -> T {
    value
}

fn main() {
    assert_eq!(block_on(is_send(run("abc"))).ok(), Some(5));
    assert!(block_on(run("")).is_err());
    let mut log = Vec::new();
    block_on(is_send(nothing(&mut log)));
    assert_eq!(log, [1]);
}
