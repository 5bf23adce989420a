//! The way out for log records: events of `tracing`, cleaned by policy, over OTLP or onto the console.
//!
//! Events wait in a bounded [`queue`] and are sent by a thread of their own ([`sender`]). Nothing of them is
//! stored: what a collector does not take while the process lives is lost, and counted.

mod console;
mod details;
mod exit;
mod line;
mod queue;
mod record;
mod sender;

use std::sync::Arc;
use std::time::Duration;

use self::exit::LogExit;
use self::record::Records;
use self::sender::Sender;
use super::closing::Closing;
use super::setup::resource;
use super::signal::LOGS;
use super::transport::Transport;
use crate::config::ExportConfig;
use crate::policy::{Permit, Policy};
use crate::semconv::Naming;
use crate::sink::ExportCounter;

pub(crate) use details::{Details, Wanted};
pub(crate) use line::LogLine;
pub(crate) use queue::{LogCounts, LogQueue};

/// The exporters of log records in use, and the queue that feeds them.
#[derive(Debug)]
pub(crate) struct LogOutlet {
    queue: Arc<LogQueue>,
    closing: Arc<Closing>,
}

impl LogOutlet {
    /// Sets up every exporter of log records that there is leave for. One that cannot be set up is
    /// told to `counter` and left out; `None` where none is left.
    pub(crate) fn build(
        config: &ExportConfig,
        permits: Vec<Permit>,
        policy: Arc<Policy>,
        counter: &Arc<dyn ExportCounter>,
    ) -> Option<LogOutlet> {
        if permits.is_empty() {
            return None;
        }
        let closing = Arc::new(Closing::default());
        let transport = Transport::from_env(counter.as_ref(), LOGS);
        let resource = resource(config);
        let mut exits: Vec<Box<dyn LogExit>> = Vec::new();
        for permit in permits {
            match exit::build(&permit, config, &transport, &closing, &resource) {
                Ok(exit) => exits.push(exit),
                Err(why) => {
                    let what = format!("{why}; no log records are exported by it");
                    counter.trouble("otlp_logs_setup", &what);
                }
            }
        }
        if exits.is_empty() {
            return None;
        }
        let queue = Arc::new(LogQueue::from_env());
        let records = Records::new(policy);
        let sender = Sender::new(Arc::clone(&queue), exits, records, Arc::clone(counter));
        if let Err(error) = sender.start() {
            let what =
                format!("cannot start the thread for log records: {error}; none are exported");
            counter.trouble("otlp_logs_thread", &what);
            return None;
        }
        Some(LogOutlet { queue, closing })
    }

    /// Where events go in.
    pub(crate) fn queue(&self) -> Arc<LogQueue> {
        Arc::clone(&self.queue)
    }

    /// The way in for what the conventions want told of model calls.
    pub(crate) fn details(&self, policy: Arc<Policy>, naming: Naming, wanted: Wanted) -> Details {
        Details::new(self.queue(), policy, naming, wanted)
    }

    /// Has what waits sent soon.
    pub(crate) fn nudge(&self) {
        self.queue.nudge();
    }

    /// Sends everything that waits. A collector that cannot be reached is not waited for.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), String> {
        self.queue.flush(timeout)
    }

    /// Takes nothing more, and has what is there sent, each batch at most once.
    pub(crate) fn start_closing(&self) {
        self.closing.set();
        self.queue.seal();
    }

    /// Waits for what is being sent; what is not out in time is given up and counted.
    pub(crate) fn shutdown(&self, timeout: Duration) {
        self.start_closing();
        self.queue.close(timeout);
    }

    /// The counts at this moment.
    pub(crate) fn counts(&self) -> LogCounts {
        self.queue.counts()
    }

    /// The counts as a copy of the process has them.
    pub(crate) fn counts_of_fork(&self) -> LogCounts {
        self.queue.counts_of_fork()
    }
}
