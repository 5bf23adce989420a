//! `spawn` and `spawn_blocking` of tokio, inside the span they are called in.

use std::future::Future;

use tokio::task::{self, JoinHandle};

use super::{in_current, in_current_fn};

/// Spawns a task on the current tokio runtime that stays inside the current span:
/// `tokio::spawn(hermes::in_current(future))`.
///
/// # Panics
///
/// Outside of a tokio runtime, as `tokio::spawn` does.
///
/// ```
/// #[hermes::tool]
/// async fn search() {
///     hermes::spawn(look_into("a.rs")).await.ok();
/// }
///
/// #[hermes::instrument]
/// async fn look_into(file: &'static str) {
///     println!("{file}");
/// }
/// # tokio::runtime::Runtime::new().unwrap().block_on(search());
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(in_current(future))
}

/// Runs a closure on tokio's threads for blocking work, inside the current span.
///
/// # Panics
///
/// Outside of a tokio runtime, as `tokio::task::spawn_blocking` does.
#[track_caller]
pub fn spawn_blocking<F, T>(code: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    task::spawn_blocking(in_current_fn(code))
}
