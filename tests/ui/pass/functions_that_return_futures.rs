//! `impl Future` and boxed futures: the returned future is recorded, not the call that made it.
#![deny(warnings)]

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

#[hermes::chat(model = "m", response)]
fn complete(prompt: String) -> impl Future<Output = Result<String, std::fmt::Error>> + Send {
    let upper = prompt.to_uppercase();
    async move {
        if upper.is_empty() {
            Err(std::fmt::Error)
        } else {
            Ok(upper)
        }
    }
}

#[hermes::instrument]
fn boxed<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = &'a str> + Send + 'a>> {
    if text.is_empty() {
        return Box::pin(async { "nothing" });
    }
    Box::pin(async move { text })
}

#[hermes::instrument]
fn half_boxed(count: u32) -> Pin<Box<impl Future<Output = u32>>> {
    Box::pin(async move { count })
}

#[hermes::instrument]
fn unnamed_output<T: Clone>(value: &T) -> impl Future<Output = impl Clone> + use<'_, T> {
    async move { value.clone() }
}

trait Store {
    fn load(&mut self, key: &str) -> impl Future<Output = Option<u32>> + Send;
    fn save(&mut self) -> Pin<Box<dyn Future<Output = u32> + '_>>;
}

struct Memory(u32);

impl Memory {
    fn next(&mut self) -> impl Future<Output = u32> {
        self.0 += 1;
        async { self.0 }
    }
}

impl Store for Memory {
    #[hermes::tool(args = key)]
    fn load(&mut self, key: &str) -> impl Future<Output = Option<u32>> + Send {
        self.0 += 1;
        let known = !key.is_empty();
        async move { known.then_some(self.0) }
    }

    #[hermes::tool]
    fn save(&mut self) -> Pin<Box<dyn Future<Output = u32> + '_>> {
        Box::pin(self.next())
    }
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
    assert_eq!(block_on(complete("a".to_owned())), Ok("A".to_owned()));
    assert_eq!(block_on(boxed("b")), "b");
    assert_eq!(block_on(boxed("")), "nothing");
    assert_eq!(block_on(half_boxed(3)), 3);
    let text = "c".to_owned();
    let _same = block_on(unnamed_output(&text)).clone();
    let mut memory = Memory(0);
    assert_eq!(block_on(memory.load("k")), Some(1));
    assert_eq!(block_on(memory.save()), 2);
}
