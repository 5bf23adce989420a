//! Records on their way to the sinks, with what was prepared of them.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

#[cfg(feature = "sqlite")]
use super::store::{Prepared, Preparer};
#[cfg(not(feature = "sqlite"))]
use super::unprepared::{Prepared, Preparer};
use crate::record::SpanRecord;

/// A batch of records, cleaned by policy: ended spans, or running ones to announce.
#[derive(Debug)]
pub(crate) struct Parcel {
    records: Vec<Arc<SpanRecord>>,
    prepared: Option<Prepared>,
}

/// Makes parcels, and takes them back for their room.
#[derive(Debug)]
pub(crate) struct Packer(Option<Preparer>);

impl Packer {
    /// `has_store`: whether there is a sink that wants its part prepared.
    pub(crate) fn new(has_store: bool) -> Self {
        Packer(Preparer::where_wanted(has_store))
    }

    /// Does what can be done before the records are written. Where that fails, it fails again in the store, whose
    /// trouble it is.
    pub(crate) fn pack(&mut self, records: Vec<Arc<SpanRecord>>) -> Parcel {
        let prepare = || self.0.as_mut().map(|store| store.prepare(&records));
        let prepared = catch_unwind(AssertUnwindSafe(prepare)).unwrap_or_default();
        Parcel { records, prepared }
    }

    /// Takes back a parcel that every sink has had; gives its records.
    pub(crate) fn unpack(&mut self, parcel: Parcel) -> Vec<Arc<SpanRecord>> {
        if let (Some(store), Some(prepared)) = (&mut self.0, parcel.prepared) {
            store.reuse(prepared);
        }
        parcel.records
    }
}

impl Parcel {
    /// What was prepared of the records, if it was.
    #[cfg(feature = "sqlite")]
    pub(super) fn prepared(&self) -> Option<&Prepared> {
        self.prepared.as_ref()
    }
}

impl From<Vec<Arc<SpanRecord>>> for Parcel {
    fn from(records: Vec<Arc<SpanRecord>>) -> Self {
        Parcel {
            records,
            prepared: None,
        }
    }
}

impl Deref for Parcel {
    type Target = [Arc<SpanRecord>];

    fn deref(&self) -> &Self::Target {
        &self.records
    }
}
