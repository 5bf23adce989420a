//! Inference and coercion inside the body go by the signature, as without the attribute.
#![deny(warnings)]

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[hermes::tool]
fn unsized_result(word: bool) -> Box<dyn Debug> {
    if word {
        return Box::new("word");
    }
    Box::new(1)
}

#[hermes::tool]
async fn unsized_later(word: bool) -> Box<dyn Debug> {
    if word {
        return Box::new("word");
    }
    Box::new(1)
}

#[hermes::tool]
async fn only_an_error() -> Result<(), Box<dyn Error + Send + Sync>> {
    let _number: u8 = "1".parse()?;
    Err("refused")?;
    Ok(())
}

#[hermes::tool]
async fn collected() -> Result<Vec<u8>, std::num::ParseIntError> {
    ["1", "2"].iter().map(|text| text.parse()).collect()
}

#[hermes::tool]
fn function_pointer() -> fn(u8) -> u8 {
    |count| count + 1
}

#[hermes::tool]
async fn slice(bytes: &[u8; 2]) -> &[u8] {
    bytes
}

#[hermes::tool]
fn defaulted<T: Default>() -> T {
    Default::default()
}

#[hermes::tool]
async fn closure() -> impl Fn(u8) -> u8 {
    |count| count + 1
}

#[hermes::tool]
fn always_fails() -> Result<u8, std::fmt::Error> {
    Err(std::fmt::Error)
}

#[hermes::tool]
#[must_use]
fn inner_items() -> u8 {
    #![allow(non_upper_case_globals)]
    const one: u8 = 1;
    fn two() -> u8 {
        2
    }
    one + two()
}

#[hermes::tool]
async fn unit() {
    let _ = 1;
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
    assert_eq!(format!("{:?}", unsized_result(true)), "\"word\"");
    assert_eq!(format!("{:?}", block_on(unsized_later(false))), "1");
    assert!(block_on(only_an_error()).is_err());
    assert_eq!(block_on(collected()), Ok(vec![1, 2]));
    assert_eq!(function_pointer()(1), 2);
    assert_eq!(block_on(slice(&[1, 2])), [1, 2]);
    assert_eq!(defaulted::<u8>(), 0);
    assert_eq!(block_on(closure())(1), 2);
    assert!(always_fails().is_err());
    assert_eq!(inner_items(), 3);
    block_on(unit());
}
