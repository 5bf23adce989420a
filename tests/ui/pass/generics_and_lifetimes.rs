//! Type parameters, const parameters, `where` clauses, `impl Trait` arguments, patterns.
#![deny(warnings)]

use std::fmt::{Debug, Display};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[hermes::tool(name, args = input)]
fn call<'a, T, E>(name: &str, input: &'a T) -> Result<&'a T, E>
where
    T: Display + ?Sized,
    E: Debug + From<std::fmt::Error>,
{
    if name.is_empty() {
        Err(std::fmt::Error)?;
    }
    Ok(input)
}

#[hermes::instrument]
fn array<const N: usize, T: Copy>(value: T) -> [T; N] {
    [value; N]
}

#[hermes::instrument(fields(left, right))]
fn pattern((left, right): (u32, u32), [first, ..]: [u32; 2]) -> u32 {
    left + right + first
}

#[hermes::retriever(query = query.as_ref())]
fn search(query: impl AsRef<str>, mut found: impl FnMut(&str)) {
    found(query.as_ref());
}

#[hermes::embedding(input = texts[0])]
async fn embed<'t, T>(texts: &'t [T]) -> Vec<&'t str>
where
    T: AsRef<str> + Display + Sync,
{
    texts.iter().map(AsRef::as_ref).collect()
}

#[hermes::instrument]
fn iterate<'a>(words: &'a [String]) -> impl Iterator<Item = &'a str> + 'a {
    words.iter().map(String::as_str)
}

#[hermes::instrument]
fn fallible(number: &str) -> Result<impl Display, Box<dyn std::error::Error>> {
    let number: i32 = number.parse()?;
    Ok(number)
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
    assert_eq!(call::<str, std::fmt::Error>("n", "x"), Ok("x"));
    assert_eq!(array::<2, _>('a'), ['a', 'a']);
    assert_eq!(pattern((1, 2), [3, 4]), 6);
    let mut seen = String::new();
    search("q", |query| seen.push_str(query));
    assert_eq!(seen, "q");
    let words = ["a".to_owned(), "b".to_owned()];
    assert_eq!(block_on(embed(&words)), ["a", "b"]);
    assert_eq!(iterate(&words).count(), 2);
    assert_eq!(
        fallible("7").map(|number| number.to_string()).ok(),
        Some("7".to_owned())
    );
}
