//! What was answered for each callsite, found again by where its metadata lies.
//!
//! Where a filter of the program is a dynamic one, or one layer never wants what another always does,
//! `tracing` asks for every span. Reading names and fields again each time cost more than the span.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::Metadata;

/// Who is to see a callsite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) is_captured: bool,
    pub(super) is_exported: bool,
}

/// The answers so far. A read is a look or two at a table, without a lock.
#[derive(Debug)]
pub(super) struct Answers(Box<[AtomicUsize]>);

/// A program has a few hundred callsites; those that find no place are asked about again.
const PLACES: usize = 2048;

/// How many places are tried.
const NEAR: usize = 8;

const CAPTURED: usize = 1;
const EXPORTED: usize = 2;

// An answer stands in the bits of the address that are zero.
const _: () = assert!(align_of::<Metadata<'static>>() > (CAPTURED | EXPORTED));

impl Answers {
    /// The answer for a callsite that was asked about before.
    #[inline]
    pub(super) fn get(&self, metadata: &Metadata<'_>) -> Option<Answer> {
        let address = ptr::from_ref(metadata).addr();
        let first = place_of(address);
        for at in first..first + NEAR {
            let said = self.0[at % PLACES].load(Ordering::Relaxed);
            if said & !(CAPTURED | EXPORTED) == address {
                return Some(Answer {
                    is_captured: said & CAPTURED != 0,
                    is_exported: said & EXPORTED != 0,
                });
            }
            if said == 0 {
                return None;
            }
        }
        None
    }

    /// Keeps the answer for a callsite. Only what is static has its address for ever.
    pub(super) fn put(&self, metadata: &'static Metadata<'static>, answer: Answer) {
        let address = ptr::from_ref(metadata).addr();
        let captured = if answer.is_captured { CAPTURED } else { 0 };
        let exported = if answer.is_exported { EXPORTED } else { 0 };
        let first = place_of(address);
        for at in first..first + NEAR {
            let said = address | captured | exported;
            let taken =
                self.0[at % PLACES].compare_exchange(0, said, Ordering::Relaxed, Ordering::Relaxed);
            match taken {
                Err(other) if other & !(CAPTURED | EXPORTED) != address => {}
                // The same is asked again whenever the filters of the process change.
                _ => return,
            }
        }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Answers((0..PLACES).map(|_| AtomicUsize::new(0)).collect())
    }
}

#[inline]
fn place_of(address: usize) -> usize {
    // Fibonacci hashing: neighbours in memory come to lie apart.
    let mixed = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 53) as usize
}

#[cfg(test)]
mod tests {
    use tracing::field::FieldSet;
    use tracing::metadata::Kind;
    use tracing::{Level, Metadata};

    use super::{Answer, Answers};

    /// Callsites, more of them than there are places.
    fn callsites(count: usize) -> Vec<&'static Metadata<'static>> {
        let subscriber = tracing_subscriber::registry();
        let span = tracing::subscriber::with_default(subscriber, || tracing::info_span!("one"));
        let known = span.metadata().unwrap().callsite();
        let new = |_| -> &'static Metadata<'static> {
            let fields = FieldSet::new(&[], known.clone());
            let metadata =
                Metadata::new("x", "x", Level::INFO, None, None, None, fields, Kind::SPAN);
            Box::leak(Box::new(metadata))
        };
        (0..count).map(new).collect()
    }

    #[test]
    fn an_answer_is_found_again_for_its_own_callsite_only() {
        let (answers, callsites) = (Answers::default(), callsites(3_000));
        let (met, unmet) = callsites.split_at(2_000);
        let answer = |number: usize| Answer {
            is_captured: number.is_multiple_of(2),
            is_exported: number.is_multiple_of(3),
        };
        for round in 0..2 {
            for (number, metadata) in met.iter().enumerate() {
                answers.put(metadata, answer(number));
            }
            let found = met.iter().enumerate().filter(|(number, metadata)| {
                let said = answers.get(metadata);
                assert!(said.is_none_or(|said| said == answer(*number)), "{number}");
                said.is_some()
            });
            assert!(found.count() > 1_000, "round {round}");
        }
        assert!(unmet.iter().all(|metadata| answers.get(metadata).is_none()));
    }
}
