//! Why a span failed, in whatever form the program has it: an error, a text, a name and a text.

use std::borrow::Cow;
use std::error::Error;

use crate::span::probe::{chain, innermost_known, plain_type_name};

mod sealed {
    use std::borrow::Cow;

    pub trait Tells: Sized {
        fn type_name(&self) -> Option<Cow<'static, str>>;
        fn into_message(self) -> String;
    }
}

pub(super) use sealed::Tells;

/// What [`OwnedSpan::fail`](crate::OwnedSpan::fail) takes as the reason.
///
/// - a reference to an error, `&error`: its type and its text with those of its sources;
/// - a reference to an erased error, `&*error` of a `Box<dyn Error>` or an `anyhow::Error`: the type
///   of the innermost source that is known;
/// - a text, where there is no error;
/// - a type's name and a text, where the error came from elsewhere: `("RateLimitError", "slow down")`.
///
/// The error's class is found from the name and the text, as for an annotated function; the text is
/// redacted and cut before it is kept.
pub trait Cause: Tells {}

impl<T: Tells> Cause for T {}

impl<E: Error + 'static> Tells for &E {
    fn type_name(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(plain_type_name::<E>()))
    }

    fn into_message(self) -> String {
        chain(self)
    }
}

macro_rules! erased {
    ($($error:ty)*) => {$(
        impl Tells for &$error {
            fn type_name(&self) -> Option<Cow<'static, str>> {
                innermost_known(*self).map(Cow::Borrowed)
            }

            fn into_message(self) -> String {
                chain(self)
            }
        }
    )*};
}

erased! {
    (dyn Error + 'static)
    (dyn Error + Send + 'static)
    (dyn Error + Send + Sync + 'static)
}

impl Tells for &str {
    fn type_name(&self) -> Option<Cow<'static, str>> {
        None
    }

    fn into_message(self) -> String {
        self.to_owned()
    }
}

impl Tells for String {
    fn type_name(&self) -> Option<Cow<'static, str>> {
        None
    }

    fn into_message(self) -> String {
        self
    }
}

impl<T: AsRef<str>, M: AsRef<str>> Tells for (T, M) {
    fn type_name(&self) -> Option<Cow<'static, str>> {
        let name = self.0.as_ref().trim();
        (!name.is_empty()).then(|| Cow::Owned(name.to_owned()))
    }

    fn into_message(self) -> String {
        self.1.as_ref().to_owned()
    }
}
