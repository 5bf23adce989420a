//! `async_trait` turns a method into one that returns a boxed future; the order does not matter.
#![deny(warnings)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;

#[async_trait]
trait Model {
    async fn complete(&self, prompt: &str) -> Result<String, std::fmt::Error>;

    #[hermes::chat(model = "default", request = prompt, response)]
    async fn with_a_body(&self, prompt: &str) -> Result<String, std::fmt::Error> {
        self.complete(prompt).await
    }
}

struct Echo {
    model: String,
    calls: std::sync::Mutex<u32>,
}

#[async_trait]
impl Model for Echo {
    #[hermes::chat(model = self.model, request = prompt, response)]
    async fn complete(&self, prompt: &str) -> Result<String, std::fmt::Error> {
        if prompt.is_empty() {
            return Err(std::fmt::Error);
        }
        if let Ok(mut calls) = self.calls.lock() {
            *calls += 1;
        }
        Ok(prompt.to_uppercase())
    }
}

#[async_trait(?Send)]
trait Local {
    async fn generic<T: Clone>(&mut self, value: &T) -> T;
    async fn nothing(&self);
}

#[async_trait(?Send)]
impl Local for Echo {
    #[hermes::instrument]
    async fn generic<T: Clone>(&mut self, value: &T) -> T {
        self.model.clear();
        value.clone()
    }

    #[hermes::tool]
    async fn nothing(&self) {}
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

fn main() {
    let mut echo = Echo {
        model: "m".to_owned(),
        calls: 0.into(),
    };
    assert_eq!(block_on(echo.with_a_body("a")), Ok("A".to_owned()));
    assert_eq!(block_on(echo.complete("")), Err(std::fmt::Error));
    assert_eq!(block_on(echo.generic(&5)), 5);
    block_on(echo.nothing());
    assert_eq!(echo.calls.into_inner().ok(), Some(1));
}
