//! The way from the thread that makes records to the one that writes them, and back.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::record::{Happening, SpanRecord};
use crate::sink::{Packer, Parcel};

/// How much work may lie ready for the writer. More would only be more memory.
const AHEAD: usize = 2;

/// What is to be done next, in the order in which it came.
pub(super) enum Work {
    /// Spans that have ended, cleaned by policy.
    Write(Parcel),
    /// Spans that run.
    Show(Parcel),
    /// Events that no span makes, cleaned by policy.
    Note(Vec<Happening>),
    /// Time has passed.
    Tick {
        /// Spans that are lost, and that somebody waits for.
        lost: Vec<Arc<SpanRecord>>,
    },
    /// Those who asked for a flush are to hear that it is done.
    Answer(u64),
}

/// The end where work is made.
pub(super) struct Ahead {
    work: SyncSender<Work>,
    /// Batches that are written. They are freed on the thread that made them, which is cheaper.
    written: Receiver<Parcel>,
    packer: Packer,
    /// What batches are put into, used again.
    rooms: Vec<Vec<Arc<SpanRecord>>>,
}

/// The end where work is done.
pub(super) struct Behind {
    work: Receiver<Work>,
    written: Sender<Parcel>,
}

/// Both ends of a way.
pub(super) fn way(packer: Packer) -> (Ahead, Behind) {
    let (work, to_do) = sync_channel(AHEAD);
    let (done, written) = channel();
    let ahead = Ahead {
        work,
        written,
        packer,
        rooms: Vec::new(),
    };
    let behind = Behind {
        work: to_do,
        written: done,
    };
    (ahead, behind)
}

impl Ahead {
    /// Hands work over, and waits for the writer where it is behind. A writer that is gone takes none.
    pub(super) fn pass(&self, work: Work) {
        let _ = self.work.send(work);
    }

    /// Hands ended spans over, with what can be done for them beforehand.
    pub(super) fn write(&mut self, batch: Vec<Arc<SpanRecord>>) {
        let parcel = self.packer.pack(batch);
        self.pass(Work::Write(parcel));
    }

    /// Frees what is written.
    pub(super) fn take_back(&mut self) {
        while let Ok(parcel) = self.written.try_recv() {
            let mut records = self.packer.unpack(parcel);
            records.clear();
            if self.rooms.len() <= AHEAD {
                self.rooms.push(records);
            }
        }
    }

    /// Room for a batch.
    pub(super) fn room(&mut self) -> Vec<Arc<SpanRecord>> {
        self.rooms.pop().unwrap_or_default()
    }
}

impl Behind {
    /// Waits for work; `None` once no more comes.
    pub(super) fn next(&self) -> Option<Work> {
        self.work.recv().ok()
    }

    /// Gives a batch back that is written.
    pub(super) fn give_back(&self, parcel: Parcel) {
        let _ = self.written.send(parcel);
    }
}
