//! Parameters that are there on some platforms only, patterns in them, and every owner that a method may be called on.
#![deny(warnings)]

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

struct Point {
    x: u8,
    y: u8,
}

#[hermes::tool(args = path)]
fn open(
    path: &str,
    #[cfg(unix)] mode: u32,
    #[cfg(not(unix))] _share: u8,
    #[allow(unused_variables)] rest: u8,
) -> usize {
    #[cfg(unix)]
    let _ = mode;
    path.len()
}

#[hermes::instrument(fields(x))]
async fn destructured(Point { x, y: up }: Point, mut list: Vec<u8>, _: u8) -> usize {
    list.push(x + up);
    list.len()
}

#[hermes::instrument]
#[must_use = "it is the answer"]
fn answer() -> u8 {
    42
}

#[hermes::instrument]
fn nothing() {
    if answer() == 1 {
        return;
    }
    let _ = answer();
}

#[hermes::instrument]
fn unfinished(is_late: bool) -> u8 {
    if is_late { panic!("too late") } else { std::process::exit(0) }
}

impl Point {
    #[hermes::tool(call_id = self.x)]
    fn shared(self: Rc<Self>) -> u8 {
        self.x
    }

    #[hermes::tool(call_id = self.y)]
    async fn counted(self: &Arc<Self>) -> u8 {
        self.y
    }

    #[hermes::tool]
    async fn owned(self: Arc<Self>) -> u8 {
        self.x
    }

    #[hermes::tool]
    async fn pinned(self: Pin<Box<Self>>) -> u8 {
        self.x
    }

    #[hermes::chat(model = "m")]
    fn generic<const N: usize>(&mut self, run: impl FnOnce(&mut Self) -> [u8; N] + Send) -> [u8; N] {
        run(self)
    }
}

/// Methods that a trait wants to be futures of a kind.
trait Model {
    fn complete(&self, prompt: &str) -> impl Future<Output = usize> + Send;
    async fn later(&self) -> u8;
}

impl Model for Point {
    #[hermes::chat(model = "m")]
    async fn complete(&self, prompt: &str) -> usize {
        prompt.len()
    }

    #[hermes::chat(model = "m")]
    async fn later(&self) -> u8 {
        self.x
    }
}

fn main() {
    #[cfg(unix)]
    assert_eq!(open("ab", 0o600, 1), 2);
    drop(destructured(Point { x: 1, y: 2 }, Vec::new(), 3));
    nothing();
    let _ = unfinished as fn(bool) -> u8;
    assert_eq!(Rc::new(Point { x: 1, y: 2 }).shared(), 1);
    let point = Arc::new(Point { x: 1, y: 2 });
    drop(point.counted());
    drop(Arc::clone(&point).owned());
    drop(point.complete("p"));
    drop(point.later());
    drop(Box::pin(Point { x: 1, y: 2 }).pinned());
    assert_eq!(Point { x: 1, y: 2 }.generic(|point| [point.y; 2]), [2, 2]);
}
