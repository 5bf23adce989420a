//! How an expansion asks a value for the best it can say of itself, without asking for traits.
//!
//! A method is looked up on as many references as the expansion writes, so the trait implemented
//! behind the most references wins: the first that the value's type allows. That is how one
//! expansion serves a `String`, a type that serialises, and a generic of which nothing is known.
//!
//! Where user code has a trait for every type in scope, its methods are found on a probe as well; hence
//! names here that nobody else has.

use std::any::type_name;
use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::{Debug, Display};

use serde::Serialize;
use tracing::field::Empty;

use super::ModelResponse;
use super::call::Said;
use super::stream::Seen;
use crate::record::{Value, tool_result};

/// A value to be asked.
#[derive(Debug)]
pub struct Probe<'a, T: ?Sized>(pub &'a T);

/// A value as a field of a span.
#[derive(Debug)]
pub enum Field<'a> {
    /// Nothing to say.
    Nothing,
    /// A text.
    Str(&'a str),
    /// A text made for this purpose.
    Text(String),
    /// A whole number; unsigned ones are converted, for OTLP would make texts of them.
    Int(i64),
    /// A fraction.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

impl Field<'_> {
    /// The value in the form that `tracing` takes.
    #[must_use]
    pub fn as_value(&self) -> &dyn tracing::Value {
        match self {
            Field::Nothing => &Empty,
            Field::Str(text) => text,
            Field::Text(text) => text,
            Field::Int(int) => int,
            Field::Double(double) => double,
            Field::Bool(truth) => truth,
        }
    }

    fn of(value: Value) -> Self {
        match value {
            Value::Bool(truth) => Field::Bool(truth),
            Value::Int(int) => Field::Int(int),
            Value::Double(double) => Field::Double(double),
            Value::Text(text) => Field::Text(text.into_owned()),
            // `tracing` has no lists; capture reads this form back.
            Value::Texts(texts) => Field::Text(serde_json::Value::from(texts).to_string()),
        }
    }
}

/// Types that can be a field without a conversion.
pub trait AsField {
    /// The value as a field.
    fn as_field(&self) -> Field<'_>;
}

macro_rules! as_field_text {
    ($($text:ty)*) => {$(
        impl AsField for $text {
            fn as_field(&self) -> Field<'_> {
                Field::Str(self)
            }
        }
    )*};
}

as_field_text!(str String Box<str> std::sync::Arc<str> std::rc::Rc<str> Cow<'_, str>);

macro_rules! as_field_converted {
    ($($number:ty)*) => {$(
        impl AsField for $number {
            fn as_field(&self) -> Field<'_> {
                Field::of(Value::from(*self))
            }
        }
    )*};
}

as_field_converted!(bool f32 f64 i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl<T: AsField + ?Sized> AsField for &T {
    fn as_field(&self) -> Field<'_> {
        (**self).as_field()
    }
}

impl<T: AsField> AsField for Option<T> {
    fn as_field(&self) -> Field<'_> {
        self.as_ref().map_or(Field::Nothing, AsField::as_field)
    }
}

macro_rules! probe {
    ($doc:literal $method:ident() -> $output:ty {
        $($level:ident: $reference:ty where [$($bound:tt)*] => |$probe:ident| $answer:expr;)*
    }) => {$(
        #[doc = $doc]
        pub trait $level<'a> {
            #[doc = $doc]
            fn $method(&self) -> $output;
        }

        impl<'a, T: ?Sized $($bound)*> $level<'a> for $reference {
            fn $method(&self) -> $output {
                let $probe: &'a T = self.0;
                $answer
            }
        }
    )*};
}

probe! {
    "The value as a field."
    hermes_to_field() -> Field<'a> {
        FieldByItself: &&&Probe<'a, T> where [+ AsField] => |value| value.as_field();
        FieldOfReference: &Probe<'a, T> where [+ Clone + Into<Value>] => |value| Field::of(value.clone().into());
    }
}

/// The value as a field, where a reference to it converts.
pub trait FieldByReference<'a> {
    /// The value as a field.
    fn hermes_to_field(&self) -> Field<'a>;
}

impl<'a, T: ?Sized> FieldByReference<'a> for &&Probe<'a, T>
where
    &'a T: Into<Value>,
{
    fn hermes_to_field(&self) -> Field<'a> {
        Field::of(self.0.into())
    }
}

probe! {
    "The value as content."
    hermes_to_content() -> String {
        ContentText: &&&Probe<'a, T> where [+ AsRef<str>] => |value| value.as_ref().to_owned();
        ContentJson: &&Probe<'a, T> where [+ Serialize] => |value| json_text(value);
        ContentDisplay: &Probe<'a, T> where [+ Display] => |value| value.to_string();
        ContentDebug: Probe<'a, T> where [+ Debug] => |value| format!("{value:?}");
    }
}

probe! {
    "The value as JSON, to be read as a request."
    hermes_to_json() -> Option<serde_json::Value> {
        JsonText: &&&Probe<'a, T> where [+ AsRef<str>] => |value| serde_json::from_str(value.as_ref()).ok();
        JsonOf: &&Probe<'a, T> where [+ Serialize] => |value| serde_json::to_value(value).ok();
    }
}

/// A result, to be told from everything else.
pub trait SplitResult<'a> {
    /// What is in the `Ok`.
    type Value;
    /// What is in the `Err`.
    type Error;
    /// The two sides.
    ///
    /// # Errors
    ///
    /// What is in the `Err`.
    fn hermes_split(&self) -> Result<&'a Self::Value, &'a Self::Error>;
}

impl<'a, T, E> SplitResult<'a> for &Probe<'a, Result<T, E>> {
    type Value = T;
    type Error = E;

    fn hermes_split(&self) -> Result<&'a T, &'a E> {
        self.0.as_ref()
    }
}

/// Anything that is no result.
pub trait SplitOther<'a> {
    /// The value itself.
    type Value: ?Sized;
    /// There is no error.
    type Error;
    /// The value.
    ///
    /// # Errors
    ///
    /// None: there is no error.
    fn hermes_split(&self) -> Result<&'a Self::Value, &'a Self::Error>;
}

impl<'a, T: ?Sized> SplitOther<'a> for Probe<'a, T> {
    type Value = T;
    type Error = Infallible;

    fn hermes_split(&self) -> Result<&'a T, &'a Infallible> {
        Ok(self.0)
    }
}

probe! {
    "What a tool's result says of the tool; `None` where the type has nothing to read."
    hermes_verdict() -> Option<Said> {
        VerdictOfText: &&&Probe<'a, T> where [+ AsRef<str>] => |value| Some(Said(tool_result::of_text(value.as_ref())));
        VerdictOfJson: &&Probe<'a, T> where [+ std::borrow::Borrow<serde_json::Value>] => |value| Some(Said(tool_result::of_json(value.borrow())));
        NoVerdict: &Probe<'a, T> where [] => |_value| None;
    }
}

probe! {
    "The name of an error's type; of an erased error, that of the innermost known source."
    hermes_type_name() -> Option<&'static str> {
        NameOfErased: &&&Probe<'a, T> where [+ AsRef<dyn Error + 'static>] => |error| innermost_known(error.as_ref());
        NameOfErasedSend: &&Probe<'a, T> where [+ AsRef<dyn Error + Send + Sync + 'static>] => |error| innermost_known(error.as_ref());
        NameOfType: &Probe<'a, T> where [] => |_error| Some(plain_type_name::<T>());
    }
}

probe! {
    "An error's own text, with those of its sources."
    hermes_message() -> Option<String> {
        MessageOfErased: &&&&&Probe<'a, T> where [+ AsRef<dyn Error + 'static>] => |error| Some(chain(error.as_ref()));
        MessageOfErasedSend: &&&&Probe<'a, T> where [+ AsRef<dyn Error + Send + Sync + 'static>] => |error| Some(chain(error.as_ref()));
        MessageOfDisplay: &&Probe<'a, T> where [+ Display] => |error| Some(error.to_string());
        MessageOfDebug: &Probe<'a, T> where [+ Debug] => |error| Some(format!("{error:?}"));
        NoMessage: Probe<'a, T> where [] => |_error| None;
    }
}

/// An error's text with those of its sources.
pub trait MessageOfError<'a> {
    /// An error's own text, with those of its sources.
    fn hermes_message(&self) -> Option<String>;
}

impl<'a, T: Error> MessageOfError<'a> for &&&Probe<'a, T> {
    fn hermes_message(&self) -> Option<String> {
        Some(chain(self.0))
    }
}

macro_rules! read {
    ($($level:ident: $reference:ty where [$($bound:tt)*] => |$item:ident, $seen:ident| $read:expr;)*) => {$(
        /// Tells what an item of a stream says.
        pub trait $level<'a> {
            /// Tells what an item of a stream says.
            fn hermes_read_into(&self, seen: &mut Seen<'_>);
        }

        impl<'a, T: ?Sized $($bound)*> $level<'a> for $reference {
            fn hermes_read_into(&self, $seen: &mut Seen<'_>) {
                let $item: &'a T = self.0;
                $read
            }
        }
    )*};
}

read! {
    ReadResponse: &&&&Probe<'a, T> where [+ ModelResponse] => |item, seen| seen.response(item);
    ReadText: &&&Probe<'a, T> where [+ AsRef<str>] => |item, seen| seen.text(item.as_ref());
    ReadBytes: &&Probe<'a, T> where [+ AsRef<[u8]>] => |item, seen| seen.bytes(item.as_ref());
    ReadSerialized: &Probe<'a, T> where [+ Serialize] => |item, seen| seen.serialized(item);
    ReadNothing: Probe<'a, T> where [] => |_item, _seen| {};
}

fn json_text<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The texts of an error and its sources, those left out that repeat what was said.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    // Chains are short; a cyclic one must not hang the agent.
    for _ in 0..16 {
        let Some(error) = source else { break };
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = error.source();
    }
    text
}

/// The type of the innermost source whose type can be known: an erased error tells its type to
/// those alone who guess it.
pub(super) fn innermost_known(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut known = None;
    let mut next = Some(error);
    for _ in 0..16 {
        let Some(error) = next else { break };
        known = known_type(error).or(known);
        next = error.source();
    }
    known
}

fn known_type(error: &(dyn Error + 'static)) -> Option<&'static str> {
    macro_rules! guess {
        ($($guess:ty)*) => {
            $(if error.is::<$guess>() {
                return Some(type_name::<$guess>());
            })*
        };
    }
    guess! {
        std::io::Error
        serde_json::Error
        std::fmt::Error
        std::num::ParseIntError
        std::num::ParseFloatError
        std::num::TryFromIntError
        std::str::ParseBoolError
        std::str::Utf8Error
        std::string::FromUtf8Error
        std::char::ParseCharError
        std::env::VarError
        std::net::AddrParseError
        std::path::StripPrefixError
        std::time::SystemTimeError
        std::sync::mpsc::RecvError
        std::sync::mpsc::RecvTimeoutError
        std::sync::mpsc::TryRecvError
        std::thread::AccessError
        std::array::TryFromSliceError
        std::alloc::LayoutError
        std::cell::BorrowError
        std::cell::BorrowMutError
    }
    None
}

/// A type's name without its generic arguments: `error.type` has low cardinality.
pub(super) fn plain_type_name<T: ?Sized>() -> &'static str {
    let name = type_name::<T>().trim_start_matches('&');
    name.split('<').next().unwrap_or(name)
}
