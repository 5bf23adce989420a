//! Replays recorded sessions of mini-swe-agent through annotated functions, and sums up the store.
//!
//! Run with `cargo run --example replay -- tests/data/*.traj.json`. It goes at full speed; with
//! `--speed 10` at ten times the recorded pace, so that a session can be watched while it runs.
//!
//! One sees a line for each session: model calls, tokens, tools, cost and how it ended. The sums are
//! read back from the store, so they are what Hermes kept of the session, not what the file says.
//! `--json` prints them as JSON. With `OTEL_EXPORTER_OTLP_ENDPOINT` set, the spans are sent as well.
#![expect(clippy::print_stderr, reason = "an example talks to its user")]

use std::cell::Cell;
use std::error::Error;
use std::ffi::OsString;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use hermes::{ErrorKind, Kind, RunId, Store, Telemetry};
use session::Session;
use sums::Sums;

mod agent;
mod session;
mod step;
mod sums;

const USAGE: &str = "\
usage: replay FILE... [--speed N] [--json]

  FILE       a session that mini-swe-agent recorded (NAME.traj.json)
  --speed N  replay at N times the recorded pace; at full speed if not given
  --json     print the sums as JSON";
const FLUSH_TIMEOUT: Duration = Duration::from_secs(10);
const MORE_FLUSHES: usize = 11;

#[derive(Debug, Default)]
struct Options {
    files: Vec<PathBuf>,
    speed: Option<f64>,
    json: bool,
    help: bool,
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(mistake) => {
            eprintln!("replay: {mistake}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
        let mut options = Options::default();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--json") => options.json = true,
                Some("--help" | "-h") => options.help = true,
                Some("--speed") => {
                    let number = arguments.next().ok_or("--speed needs a number")?;
                    options.speed = Some(speed(&number.to_string_lossy())?);
                }
                Some(text) if text.starts_with("--speed=") => {
                    options.speed = Some(speed(&text["--speed=".len()..])?);
                }
                Some(text) if text.starts_with('-') => {
                    return Err(format!("there is no option {text}"));
                }
                _ => options.files.push(PathBuf::from(argument)),
            }
        }
        if options.files.is_empty() && !options.help {
            return Err("no FILE to replay".to_owned());
        }
        Ok(options)
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("--speed needs a number above 0, not {text:?}"))
}

/// Replays every file and prints the sums. `false`: not all could be replayed.
fn run(options: &Options) -> Result<bool, Box<dyn Error>> {
    if options.help {
        writeln!(stdout(), "{USAGE}")?;
        return Ok(true);
    }
    // Hermes tells which run a session became; its id alone may have been replayed before.
    let (sender, runs) = mpsc::channel();
    let telemetry = hermes::builder()
        .subscribe(move |batch| {
            for span in batch.spans() {
                if span.kind == Kind::Session {
                    let _ = sender.send(span.run_id);
                }
            }
        })
        .init()?;
    let replayer = Replayer {
        store: telemetry.store()?,
        telemetry,
        runs,
        has_warned: Cell::new(false),
    };

    let mut all: Vec<Sums> = Vec::new();
    if !options.json {
        writeln!(stdout(), "{}", Sums::header())?;
    }
    for file in &options.files {
        match replayer.replay(file, options.speed) {
            Ok(sums) => {
                if !options.json {
                    writeln!(stdout(), "{sums}")?;
                }
                all.push(sums);
            }
            Err(trouble) => eprintln!("replay: {}: {trouble}", file.display()),
        }
    }
    if options.json {
        let sessions: Vec<_> = all.iter().map(Sums::to_json).collect();
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&sessions)?)?;
    } else {
        writeln!(stdout(), "{}", Sums::total(&all))?;
    }
    replayer.end();
    Ok(all.len() == options.files.len())
}

struct Replayer {
    telemetry: Telemetry,
    store: Store,
    /// The runs of the sessions that have ended.
    runs: mpsc::Receiver<RunId>,
    has_warned: Cell<bool>,
}

impl Replayer {
    fn replay(&self, file: &Path, speed: Option<f64>) -> Result<Sums, Box<dyn Error>> {
        let session = Session::read(file)?;
        // How the session ended is part of its recording: no trouble of this program.
        let _ = agent::replay(&session, speed);
        // After each session, so that a long list at full speed fills neither queue nor exporter.
        self.flush();
        let run_id = self.runs.try_iter().last();
        let sums = run_id.map(|run_id| Sums::read(&self.store, run_id, &session));
        let sums = sums.transpose()?.flatten();
        sums.ok_or_else(|| "the store has not kept it (does HERMES_CAPTURE leave it out?)".into())
    }

    /// Waits for the store, with patience: a long session with its content takes a while.
    fn flush(&self) {
        let mut outcome = self.telemetry.flush(FLUSH_TIMEOUT);
        for _ in 0..MORE_FLUSHES {
            if !matches!(&outcome, Err(error) if error.kind() == ErrorKind::Timeout) {
                break;
            }
            outcome = self.telemetry.flush(FLUSH_TIMEOUT);
        }
        self.warn_once(outcome);
    }

    fn end(&self) {
        self.warn_once(self.telemetry.shutdown(FLUSH_TIMEOUT));
        let stats = self.telemetry.stats();
        for (what, lost) in [("kept", stats.dropped), ("sent", stats.export_dropped)] {
            for (reason, count) in lost {
                eprintln!("replay: {count} spans were not {what}: {reason}");
            }
        }
    }

    /// Says what is wrong with telemetry; once, for the next session will have it too.
    fn warn_once(&self, outcome: Result<(), hermes::Error>) {
        if let Err(error) = outcome
            && !self.has_warned.replace(true)
        {
            eprintln!("replay: {error}");
        }
    }
}
