//! The expansion leans on no import and hides no name of the user's.
#![deny(warnings)]

#[derive(Debug, PartialEq)]
pub struct Call(u8);
#[derive(Debug, PartialEq)]
pub struct Probe(u8);
#[derive(Debug, PartialEq)]
pub struct Field(u8);

mod tracing {
    pub fn span() -> u8 {
        7
    }
}

macro_rules! format {
    ($($any:tt)*) => {
        ()
    };
}

pub struct Box;
pub struct Option;
pub trait Future {}
impl Future for u8 {}

fn run(call: u8) -> u8 {
    call
}

#[hermes::tool(args = __call, call_id = %__span, backend = Field(1).0)]
fn same_variables(__call: u8, __span: u8) -> (Call, Probe, Field) {
    let __out = __call + __span;
    format!(unused);
    (Call(__out), Probe(run(__out)), Field(tracing::span()))
}

#[hermes::chat(model = "m", base_url = "http://localhost")]
async fn later(__call: u8) -> u8 {
    __call
}

macro_rules! tools {
    ($($name:ident($argument:ident: $ty:ty) -> $output:ty $body:block)*) => {
        $(
            #[hermes::tool(args = $argument)]
            fn $name($argument: $ty) -> $output $body
        )*
    };
}

tools! {
    first(text: &str) -> usize { text.len() }
    second(count: u8) -> std::boxed::Box<dyn std::fmt::Debug> { std::boxed::Box::new(count) }
}

fn main() {
    drop((Box, Option));
    assert_eq!(same_variables(1, 2), (Call(3), Probe(3), Field(7)));
    drop(later(1));
    assert_eq!(first("ab"), 2);
    assert_eq!(std::format!("{:?}", second(3)), "3");
}
