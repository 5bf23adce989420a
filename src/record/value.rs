//! A typed attribute value: what a fact holds and what an attribute becomes.

use std::borrow::Cow;

/// The value of an attribute.
///
/// Integers are `i64`, as OTLP has no unsigned type; an unsigned number too large for it is kept as
/// text. Anything with `Into<Value>` can stand as a value in the macros.
///
/// ```
/// use hermes::Value;
///
/// assert_eq!(Value::from(3_u32), Value::Int(3));
/// assert_eq!(Value::from("gpt-4o"), Value::Text("gpt-4o".into()));
/// assert_eq!(Value::from(vec!["stop"]), Value::Texts(vec!["stop".into()]));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Double(f64),
    /// A text.
    Text(Cow<'static, str>),
    /// A list of texts.
    Texts(Vec<String>),
}

impl Value {
    /// The text, where the value is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, also where it came as text or as a fraction without a rest.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked to be whole and within ±2^53, where the cast is exact"
            )]
            Value::Double(double) if double.fract() == 0.0 && double.abs() < 9e15 => {
                Some(*double as i64)
            }
            Value::Text(text) => {
                let text = text.trim();
                let whole = text.parse().ok();
                whole.or_else(|| Value::Double(text.parse().ok()?).as_int())
            }
            _ => None,
        }
    }

    /// The number as a fraction, also where it came as text.
    #[must_use]
    pub fn as_double(&self) -> Option<f64> {
        match self {
            Value::Double(double) => Some(*double),
            #[expect(
                clippy::cast_precision_loss,
                reason = "counts and amounts lie far below 2^53"
            )]
            Value::Int(int) => Some(*int as f64),
            Value::Text(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|double: &f64| double.is_finite()),
            _ => None,
        }
    }

    /// The truth value, also where it came as text.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The value as plain text, lists joined by commas.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Value::Bool(truth) => Cow::Owned(truth.to_string()),
            Value::Int(int) => Cow::Owned(int.to_string()),
            Value::Double(double) => Cow::Owned(double.to_string()),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Texts(texts) => match texts.as_slice() {
                [text] => Cow::Borrowed(text),
                texts => Cow::Owned(texts.join(",")),
            },
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::from(text.as_str())
    }
}

impl From<Cow<'static, str>> for Value {
    fn from(text: Cow<'static, str>) -> Self {
        Value::Text(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<f64> for Value {
    fn from(double: f64) -> Self {
        Value::Double(double)
    }
}

impl From<f32> for Value {
    fn from(double: f32) -> Self {
        Value::Double(f64::from(double))
    }
}

macro_rules! from_int {
    ($($int:ty)*) => {$(
        impl From<$int> for Value {
            fn from(int: $int) -> Self {
                i64::try_from(int).map_or_else(|_| Value::from(int.to_string()), Value::Int)
            }
        }
    )*};
}

from_int!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

impl<T: Into<String>> From<Vec<T>> for Value {
    fn from(texts: Vec<T>) -> Self {
        Value::Texts(texts.into_iter().map(Into::into).collect())
    }
}

impl From<&[&str]> for Value {
    fn from(texts: &[&str]) -> Self {
        Value::Texts(texts.iter().map(|&text| text.to_owned()).collect())
    }
}

impl From<&[String]> for Value {
    fn from(texts: &[String]) -> Self {
        Value::Texts(texts.to_vec())
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Bool(truth) => Value::Bool(truth),
            serde_json::Value::String(text) => Value::from(text),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(Value::Int)
                .or_else(|| number.as_f64().map(Value::Double))
                .unwrap_or_else(|| Value::from(number.to_string())),
            other => Value::from(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn unsigned_numbers_become_signed_ones_or_text() {
        assert_eq!(Value::from(5_u64), Value::Int(5));
        assert_eq!(Value::from(u64::MAX), Value::from("18446744073709551615"));
    }

    #[test]
    fn numbers_are_read_out_of_text() {
        assert_eq!(Value::from("120").as_int(), Some(120));
        assert_eq!(Value::from(" 120.0 ").as_int(), Some(120));
        assert_eq!(Value::from("120.5").as_int(), None);
        assert_eq!(Value::from("inf").as_int(), None);
        assert_eq!(Value::from(120.0).as_int(), Some(120));
        assert_eq!(Value::from(0.5).as_int(), None);
        assert_eq!(Value::from("0.25").as_double(), Some(0.25));
        assert_eq!(Value::from("NaN").as_double(), None);
    }
}
