//! `crate = ...` says where hermes is.
#![deny(warnings)]

extern crate hermes as watcher;

mod vendored {
    pub use hermes as telemetry;
}

#[watcher::tool(crate = watcher, args = path, result)]
fn read_file(path: &str) -> String {
    path.to_owned()
}

#[watcher::instrument(chat, crate = ::watcher, model = "m", base_url = "https://api.example.com")]
async fn complete() {}

#[vendored::telemetry::instrument(crate = crate::vendored::telemetry)]
fn step() {}

fn main() {
    assert_eq!(read_file("a"), "a");
    drop(complete());
    step();
}
