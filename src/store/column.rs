//! How a column becomes a field, and a field JSON: one impl per type, so that a row is one list.

use std::fmt::Display;

use rusqlite::types::{FromSqlError, FromSqlResult, ValueRef};
use serde::Serialize;
use serde_json::{Map, Value};

use super::recorded::SpanEvent;
use crate::record::{EndReason, ErrorClass, ResultClass, RunId, SpanId, Status, TraceId};

/// A type that a column holds.
pub(super) trait Column: Sized {
    /// Reads the column.
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self>;

    /// What stands for the value in JSON.
    fn json(&self) -> impl Serialize;
}

/// Declares the struct that a row is read into: each field with its type and its column. One list
/// makes the struct, the `SELECT`, the reading and the JSON, so that they cannot differ.
macro_rules! stored {
    ($(#[$doc:meta])* $name:ident from $table:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $column:ident,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            const COLUMNS: &[&str] = &[$(stringify!($column)),*];

            /// The statement that reads such rows, with what follows the table's name.
            pub(super) fn select(rest: &str) -> String {
                format!("SELECT {} FROM {} {rest}", Self::COLUMNS.join(", "), stringify!($table))
            }

            /// Reads a row of that statement.
            pub(super) fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
                let mut indices = 0..;
                Ok($name {
                    $($field: $crate::store::column::next(row, &mut indices)?,)*
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                let length = Self::COLUMNS.len();
                let mut object = serializer.serialize_struct(stringify!($name), length)?;
                $(object.serialize_field(
                    stringify!($field),
                    &$crate::store::column::Column::json(&self.$field),
                )?;)*
                object.end()
            }
        }
    };
}
pub(super) use stored;

/// Reads the next column of a row.
pub(super) fn next<T: Column>(
    row: &rusqlite::Row<'_>,
    indices: &mut impl Iterator<Item = usize>,
) -> rusqlite::Result<T> {
    let index = indices.next().unwrap_or_default();
    let value = row.get_ref(index)?;
    T::read(value).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(index, value.data_type(), Box::new(error))
    })
}

impl<T: Column> Column for Option<T> {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(None),
            value => T::read(value).map(Some),
        }
    }

    fn json(&self) -> impl Serialize {
        self.as_ref().map(Column::json)
    }
}

impl Column for i64 {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64()
    }

    fn json(&self) -> impl Serialize {
        *self
    }
}

impl Column for bool {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(value.as_i64()? != 0)
    }

    fn json(&self) -> impl Serialize {
        *self
    }
}

impl Column for f64 {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_f64()
    }

    fn json(&self) -> impl Serialize {
        *self
    }
}

impl Column for String {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(str::to_owned)
    }

    fn json(&self) -> impl Serialize {
        self
    }
}

/// Types that have one text form.
macro_rules! text_column {
    ($($type:ty: $parse:path,)*) => {$(
        impl Column for $type {
            fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let text = value.as_str()?;
                $parse(text).ok_or_else(|| unreadable(stringify!($type), text))
            }

            fn json(&self) -> impl Serialize {
                self.to_string()
            }
        }
    )*};
}

text_column! {
    TraceId: TraceId::from_hex,
    SpanId: SpanId::from_hex,
    RunId: RunId::from_hex,
    Status: Status::from_name,
    EndReason: EndReason::from_name,
    ErrorClass: ErrorClass::from_name,
    ResultClass: ResultClass::from_name,
}

impl Column for Map<String, Value> {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        serde_json::from_str(text).map_err(|error| FromSqlError::Other(Box::new(error)))
    }

    fn json(&self) -> impl Serialize {
        self
    }
}

/// The events of a span; NULL where there are none.
impl Column for Vec<SpanEvent> {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        list(value, |object| {
            Some(SpanEvent {
                name: object.get("name")?.as_str()?.to_owned(),
                time_ns: object.get("time_ns")?.as_i64()?,
                attributes: object.get("attributes")?.as_object()?.clone(),
            })
        })
    }

    fn json(&self) -> impl Serialize {
        self
    }
}

/// The links of a span; NULL where there are none.
impl Column for Vec<(TraceId, SpanId)> {
    fn read(value: ValueRef<'_>) -> FromSqlResult<Self> {
        list(value, |object| {
            let trace_id = TraceId::from_hex(object.get("trace_id")?.as_str()?)?;
            Some((
                trace_id,
                SpanId::from_hex(object.get("span_id")?.as_str()?)?,
            ))
        })
    }

    fn json(&self) -> impl Serialize {
        let link = |(trace_id, span_id): &(TraceId, SpanId)| serde_json::json!({"trace_id": trace_id.to_string(), "span_id": span_id.to_string()});
        self.iter().map(link).collect::<Vec<_>>()
    }
}

fn list<T>(
    value: ValueRef<'_>,
    item: impl Fn(&Map<String, Value>) -> Option<T>,
) -> FromSqlResult<Vec<T>> {
    let ValueRef::Text(text) = value else {
        return Ok(Vec::new());
    };
    let objects: Vec<Map<String, Value>> =
        serde_json::from_slice(text).map_err(|error| FromSqlError::Other(Box::new(error)))?;
    objects
        .iter()
        .map(item)
        .collect::<Option<_>>()
        .ok_or_else(|| unreadable("list", "its items"))
}

fn unreadable(what: &str, found: impl Display) -> FromSqlError {
    FromSqlError::Other(format!("no {what}: {found}").into())
}
