//! Trace, span and run ids of our own: `tracing` reuses its span ids, so they identify nothing later.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZero;

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $number:ident) => {
        $(#[$doc])*
        // A number, for it goes through registers where bytes would go through memory.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(NonZero<$number>);

        impl $name {
            /// The id with these bytes; all zero is no id.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Option<Self> {
                match NonZero::new($number::from_be_bytes(bytes)) {
                    Some(number) => Some($name(number)),
                    None => None,
                }
            }

            /// The bytes of the id, most significant first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0.get().to_be_bytes()
            }

            /// Reads the lower-case hex form.
            #[must_use]
            pub fn from_hex(hex: &str) -> Option<Self> {
                let digits = hex.as_bytes();
                if digits.len() != 2 * $bytes {
                    return None;
                }
                let mut bytes = [0; $bytes];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
                }
                Self::from_bytes(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

hex_id! {
    /// A W3C trace id: 16 bytes, shown as 32 lower-case hex digits, the same in the store and on OTLP.
    TraceId, 16, u128
}
hex_id! {
    /// A W3C span id: 8 bytes, shown as 16 lower-case hex digits, the same in the store and on OTLP.
    SpanId, 8, u64
}
hex_id! {
    /// The id of a run: one outermost session span. Made by Hermes, ordered by start time.
    RunId, 16, u128
}

impl TraceId {
    /// A new id whose first six bytes are the time, so that rows of one time lie together.
    pub(crate) fn generate(now_ns: i64) -> Self {
        TraceId(time_ordered(now_ns))
    }
}

impl RunId {
    /// A new id, time-ordered like a trace id.
    pub(crate) fn generate(now_ns: i64) -> Self {
        RunId(time_ordered(now_ns))
    }
}

impl SpanId {
    /// A new id: the next of a sequence that starts at random on each thread.
    #[inline]
    pub(crate) fn generate() -> Self {
        thread_local! {
            static NEXT: Cell<u64> = Cell::new(seed());
        }
        SpanId(NEXT.with(|next| {
            let id = NonZero::new(next.get()).unwrap_or(NonZero::<u64>::MIN);
            next.set(id.get().wrapping_add(1));
            id
        }))
    }
}

fn time_ordered(now_ns: i64) -> NonZero<u128> {
    let millis = u128::try_from(now_ns / 1_000_000).unwrap_or(0);
    let below = u128::from(random() & 0xffff) << 64 | u128::from(random());
    NonZero::new(millis << 80 | below).unwrap_or(NonZero::<u128>::MIN)
}

/// The next number of a `SplitMix64` sequence, one per thread.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(seed());
    }
    STATE.with(|state| {
        let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(next);
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// A number nobody can foresee: the standard library's hasher keys come from the system.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{RunId, SpanId, TraceId};
    use std::collections::HashSet;

    #[test]
    fn ids_are_read_back_from_their_hex_form() {
        let trace = TraceId::generate(1_700_000_000_000_000_000);
        assert_eq!(TraceId::from_hex(&trace.to_string()), Some(trace));
        let span = SpanId::generate();
        assert_eq!(SpanId::from_hex(&span.to_string()), Some(span));
        assert_eq!(SpanId::from_hex("0000000000000000"), None);
        assert_eq!(SpanId::from_hex("00000000000000zz"), None);
    }

    #[test]
    fn later_runs_have_greater_ids() {
        let (early, late) = (
            RunId::generate(1_000_000_000),
            RunId::generate(2_000_000_000),
        );
        assert!(early < late);
    }

    #[test]
    fn ids_do_not_repeat() {
        let ids: HashSet<_> = (0..10_000).map(|_| SpanId::generate()).collect();
        assert_eq!(ids.len(), 10_000);
        let ids: HashSet<_> = (0..10_000).map(|_| TraceId::generate(1_000_000)).collect();
        assert_eq!(ids.len(), 10_000);
    }
}
