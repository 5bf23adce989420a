//! The events that no span makes, and the lineage of agents, as the store has them.

use rusqlite::params;

use super::hex::Hex;
use super::read::Store;
use super::recorded::{
    Agent, CronEvent, ErrorEvent, FeedbackEvent, GatewayEvent, MemoryEvent, SkillEvent,
};
use crate::error::Error;
use crate::record::RunId;

/// Which events are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EventFilter {
    /// Those of this run.
    pub run_id: Option<RunId>,
    /// Those that happened at this time or later, in nanoseconds since the Unix epoch.
    pub since_ns: Option<i64>,
    /// At most so many, the newest ones.
    pub limit: Option<usize>,
}

impl EventFilter {
    /// The events of a run.
    #[must_use]
    pub fn run(run_id: RunId) -> Self {
        EventFilter {
            run_id: Some(run_id),
            ..EventFilter::default()
        }
    }

    /// The events that happened at this time or later, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn since(since_ns: i64) -> Self {
        EventFilter {
            since_ns: Some(since_ns),
            ..EventFilter::default()
        }
    }
}

/// Newest first, then turned round.
const WANTED: &str = "WHERE (?1 IS NULL OR run_id = ?1) AND (?2 IS NULL OR ts_ns >= ?2)
    ORDER BY ts_ns DESC, id DESC LIMIT ?3";

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident: $type:ident,)*) => {
        impl Store {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                ///
                /// Where the store cannot be read.
                pub fn $name(&self, filter: &EventFilter) -> Result<Vec<$type>, Error> {
                    let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
                    let run_id = filter.run_id.map(Hex::from);
                    let wanted = params![run_id, filter.since_ns, limit];
                    let mut events = self.list(&$type::select(WANTED), wanted, $type::from_row)?;
                    events.reverse();
                    Ok(events)
                }
            )*
        }
    };
}

events! {
    /// Messages that came or went through platforms, in the order in which they did.
    gateway_events: GatewayEvent,
    /// What timed jobs did, in the order in which they did it.
    cron_events: CronEvent,
    /// Uses and changes of skills, in the order in which they happened.
    skill_events: SkillEvent,
    /// Uses and changes of the memory, in the order in which they happened.
    memory_events: MemoryEvent,
    /// What users said of it, in the order in which they did.
    feedback_events: FeedbackEvent,
    /// What failed, in whichever run or in none, in the order in which it happened.
    all_error_events: ErrorEvent,
}

impl Store {
    /// The agents of a run: its session and the sub-agents inside of it, in the order in which they
    /// started.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn agents(&self, run_id: RunId) -> Result<Vec<Agent>, Error> {
        let sql = Agent::select("WHERE run_id = ?1 ORDER BY start_ns, span_id");
        self.list(&sql, [Hex::from(run_id)], Agent::from_row)
    }
}
