//! How many spans a collector refused though it took their batch, read from its answer.
//!
//! The SDK's exporter counts such a batch as delivered. The answer is one small protobuf message, so
//! it is read here: `ExportTraceServiceResponse { partial_success = 1 { rejected_spans = 1,
//! error_message = 2 } }`.

/// The number of rejected spans and the collector's reason; `None` where it took all.
pub(super) fn rejected(answer: &[u8]) -> Option<(usize, String)> {
    let partial = fields(answer).find_map(|field| match field {
        (1, Field::Bytes(message)) => Some(message),
        _ => None,
    })?;
    let (mut spans, mut why) = (0, String::new());
    for field in fields(partial) {
        match field {
            // A negative number comes as one beyond every i64.
            (1, Field::Number(number)) => {
                spans = i64::try_from(number)
                    .ok()
                    .and_then(|n| n.try_into().ok())
                    .unwrap_or(0);
            }
            (2, Field::Bytes(text)) => why = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    (spans > 0).then_some((spans, why))
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message up to the first that is broken or of a fixed width, which this one has not.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let key = varint(&mut message)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (bytes, rest) = message.split_at_checked(length)?;
                message = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        Some((key >> 3, field))
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::rejected;

    #[test]
    fn a_partial_success_gives_its_number_and_reason() {
        let answer = [10, 8, 8, 0x81, 0x01, 18, 3, b'b', b'a', b'd'];
        assert_eq!(rejected(&answer), Some((129, "bad".to_owned())));
    }

    #[test]
    fn anything_else_is_a_success() {
        for answer in [
            &b""[..],
            &[10, 0],
            &[10, 200, 1],
            b"{\"partialSuccess\":{}}",
            &[0xff; 12],
        ] {
            assert_eq!(rejected(answer), None);
        }
        // A warning: a message without rejected spans.
        assert_eq!(rejected(&[10, 5, 18, 3, b'o', b'l', b'd']), None);
    }
}
