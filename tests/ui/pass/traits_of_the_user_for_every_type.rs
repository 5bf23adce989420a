//! Traits that the user implements for every type have methods of any name; none of them gets in the way.
#![deny(warnings)]

use std::error::Error;
use std::fmt::Debug;

use futures_util::stream::{self, Stream};
use hermes::propagation::TraceContext;

/// Methods by the names that an expansion might use, for everything there is.
trait Everything {
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
    fn message(&self) -> u8 {
        1
    }
    fn split(&self) -> (u8, u8) {
        (1, 2)
    }
    fn verdict(&self) -> bool {
        true
    }
    fn parent(&self) -> u8 {
        2
    }
    fn to_json(&self) -> u8 {
        3
    }
    fn to_content(&self) -> u8 {
        4
    }
    fn to_field(&self) -> u8 {
        5
    }
    fn read_into(&self, _into: &mut u8) {}
    fn as_value(&self) -> u8 {
        6
    }
    fn content(&self, _fact: u8) {}
    fn failed(&self) -> bool {
        false
    }
    fn returned(&self) -> bool {
        true
    }
    fn again(&self) -> bool {
        true
    }
    fn base_url(&self) -> u8 {
        7
    }
    fn request(&self) -> u8 {
        8
    }
    fn is_disabled(&self) -> u8 {
        9
    }
}

impl<T: ?Sized> Everything for T {}

#[hermes::tool(name = name, args = path, call_id = 7, result)]
fn read_file(name: &str, path: &str) -> Result<String, std::io::Error> {
    Ok(format!("{name}{path}"))
}

#[hermes::chat(model = model, base_url = "http://localhost", request, response)]
async fn complete(model: String, request: &serde_json::Value) -> Result<serde_json::Value, Box<dyn Error>> {
    drop(model);
    Ok(request.clone())
}

#[hermes::chat(stream)]
fn talk() -> Result<impl Stream<Item = Result<u8, std::fmt::Error>>, std::fmt::Error> {
    Ok(stream::iter([Ok(1)]))
}

#[hermes::instrument(parent = remote, follows_from = [remote], fields(what = ?remote))]
fn below(remote: &TraceContext) -> impl Debug {
    remote.type_name().len()
}

fn main() {
    assert_eq!(read_file("a", "b").ok().as_deref(), Some("ab"));
    drop(complete("m".to_owned(), &serde_json::Value::Null));
    assert!(talk().is_ok());
    drop(hermes::traced!(stream::iter(["a"]), hermes::chat("m")));
    below(&TraceContext::default());
    let all = (1.message(), 1.split(), 1.verdict(), 1.parent(), 1.to_json(), 1.to_content());
    assert_eq!(all, (1, (1, 2), true, 2, 3, 4));
    1.read_into(&mut 1);
    1.content(1);
    let rest = (1.to_field(), 1.as_value(), 1.failed(), 1.returned(), 1.again(), 1.base_url());
    assert_eq!((rest, 1.request(), 1.is_disabled()), ((5, 6, false, true, true, 7), 8, 9));
}
