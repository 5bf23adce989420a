//! What can carry a context: HTTP headers, JSON objects, maps of texts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::record::TraceContext;

/// Something that a context can be read from.
///
/// Implemented for `http::HeaderMap`, for JSON objects (the `_meta` of MCP), for maps of texts and for
/// [`TraceContext`] itself. For a carrier of your own, say how a value is found:
///
/// ```
/// use hermes::propagation::{Extract, extract};
/// use std::borrow::Cow;
///
/// struct Message { headers: Vec<(String, String)> }
///
/// impl Extract for Message {
///     fn values_of(&self, key: &str) -> Vec<Cow<'_, str>> {
///         let named = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(key));
///         named.map(|(_, value)| value.as_str().into()).collect()
///     }
/// }
///
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let message = Message { headers: vec![("Traceparent".into(), parent.into())] };
/// assert_eq!(extract(&message).traceparent().as_deref(), Some(parent));
/// ```
pub trait Extract {
    /// The values of a key, which is in lower case; a carrier whose keys have no case finds it in any.
    fn values_of(&self, key: &str) -> Vec<Cow<'_, str>>;

    /// The whole context, where the carrier is one.
    #[doc(hidden)]
    fn whole(&self) -> Option<&TraceContext> {
        None
    }
}

/// Something that a context can be written into.
///
/// Implemented for `http::HeaderMap`, for JSON objects (the `_meta` of MCP) and for maps of texts.
pub trait Inject {
    /// Sets the value of a key, which is in lower case; `None` takes away what stands there.
    fn set(&mut self, key: &'static str, value: Option<String>);
}

impl Extract for HeaderMap {
    fn values_of(&self, key: &str) -> Vec<Cow<'_, str>> {
        // What is no text would be wrong in any case, and must be seen as such.
        self.get_all(key)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect()
    }
}

impl Inject for HeaderMap {
    fn set(&mut self, key: &'static str, value: Option<String>) {
        let name = HeaderName::from_static(key);
        match value.and_then(|value| HeaderValue::try_from(value).ok()) {
            Some(value) => drop(self.insert(name, value)),
            None => drop(self.remove(name)),
        }
    }
}

impl Extract for Map<String, Value> {
    fn values_of(&self, key: &str) -> Vec<Cow<'_, str>> {
        let value = self.get(key).and_then(Value::as_str);
        value.map(Cow::Borrowed).into_iter().collect()
    }
}

impl Inject for Map<String, Value> {
    fn set(&mut self, key: &'static str, value: Option<String>) {
        match value {
            Some(value) => drop(self.insert(key.to_owned(), Value::String(value))),
            None => drop(self.remove(key)),
        }
    }
}

/// A JSON object; anything else carries nothing.
impl Extract for Value {
    fn values_of(&self, key: &str) -> Vec<Cow<'_, str>> {
        self.as_object()
            .map(|object| object.values_of(key))
            .unwrap_or_default()
    }
}

/// A JSON object, which `null` becomes; anything else stays as it is.
impl Inject for Value {
    fn set(&mut self, key: &'static str, value: Option<String>) {
        if self.is_null() && value.is_some() {
            *self = Value::Object(Map::new());
        }
        if let Value::Object(object) = self {
            object.set(key, value);
        }
    }
}

impl<S: BuildHasher> Extract for HashMap<String, String, S> {
    fn values_of(&self, key: &str) -> Vec<Cow<'_, str>> {
        texts(self.iter(), key)
    }
}

impl<S: BuildHasher> Inject for HashMap<String, String, S> {
    fn set(&mut self, key: &'static str, value: Option<String>) {
        match value {
            Some(value) => drop(self.insert(key.to_owned(), value)),
            None => drop(self.remove(key)),
        }
    }
}

impl Extract for BTreeMap<String, String> {
    fn values_of(&self, key: &str) -> Vec<Cow<'_, str>> {
        texts(self.iter(), key)
    }
}

impl Inject for BTreeMap<String, String> {
    fn set(&mut self, key: &'static str, value: Option<String>) {
        match value {
            Some(value) => drop(self.insert(key.to_owned(), value)),
            None => drop(self.remove(key)),
        }
    }
}

impl Extract for TraceContext {
    fn values_of(&self, _key: &str) -> Vec<Cow<'_, str>> {
        Vec::new()
    }

    fn whole(&self) -> Option<&TraceContext> {
        Some(self)
    }
}

/// Headers that went through a map may have come in any case.
fn texts<'m>(
    entries: impl Iterator<Item = (&'m String, &'m String)>,
    key: &str,
) -> Vec<Cow<'m, str>> {
    entries
        .filter(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| Cow::Borrowed(value.as_str()))
        .collect()
}
