//! Ids on their way into a statement: lower-case hex, made without an allocation.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::record::{RunId, SpanId, TraceId};

/// An id as the tables hold it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hex {
    digits: [u8; 32],
    length: usize,
}

impl Hex {
    fn of(bytes: &[u8]) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Hex {
            digits,
            length: 2 * bytes.len(),
        }
    }
}

impl From<TraceId> for Hex {
    fn from(id: TraceId) -> Self {
        Hex::of(&id.to_bytes())
    }
}

impl From<RunId> for Hex {
    fn from(id: RunId) -> Self {
        Hex::of(&id.to_bytes())
    }
}

impl From<SpanId> for Hex {
    fn from(id: SpanId) -> Self {
        Hex::of(&id.to_bytes())
    }
}

impl ToSql for Hex {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(
            &self.digits[..self.length],
        )))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::Hex;
    use crate::record::{SpanId, TraceId};

    #[test]
    fn an_id_is_bound_as_it_is_shown() {
        let (trace, span) = (
            TraceId::generate(1_700_000_000_000_000_000),
            SpanId::generate(),
        );
        let connection = Connection::open_in_memory().unwrap();
        let bound: (String, String) = connection
            .query_row(
                "SELECT ?1, ?2",
                params![Hex::from(trace), Hex::from(span)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        assert_eq!(bound, (trace.to_string(), span.to_string()));
    }
}
