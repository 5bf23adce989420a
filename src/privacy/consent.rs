//! Consent: what it is, giving and withdrawing it, and every change of it with its time.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Privacy;
use super::edit::{Edit, history_of};
use crate::config::ConsentState;
use crate::error::{Error, ErrorKind};
use crate::record::{now_ns, seed};

/// One change of consent, as the history beside the settings has it.
///
/// The history is in the order of [`seq`](Self::seq); a clock that was set changes no order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsentChange {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was recorded, in nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// What held before.
    pub from: ConsentState,
    /// What holds since.
    pub to: ConsentState,
    /// How it came about.
    pub origin: Origin,
}

/// How a change of consent came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// By [`Privacy::set_consent`].
    Set,
    /// It stood in the file, which somebody had changed by hand, and was found when it was next set.
    Found,
}

impl Origin {
    const fn as_str(self) -> &'static str {
        match self {
            Origin::Set => "set",
            Origin::Found => "found",
        }
    }
}

impl fmt::Display for ConsentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_nanosecond(self.time_ns.into()).unwrap_or_default();
        let (from, to, how) = (self.from, self.to, self.origin.as_str());
        write!(f, "{time:.0} {from} → {to} ({how})")
    }
}

impl Serialize for ConsentChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

impl ConsentChange {
    fn json(&self) -> Value {
        json!({
            "seq": self.seq,
            "time_ns": self.time_ns,
            "from": self.from.as_str(),
            "to": self.to.as_str(),
            "origin": self.origin.as_str(),
        })
    }

    fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let state = |key: &str| ConsentState::named(line.get(key)?.as_str()?);
        let is_origin = |origin: &Origin| line.get("origin").is_some_and(|o| o == origin.as_str());
        Some(ConsentChange {
            seq: line.get("seq")?.as_u64()?,
            time_ns: line.get("time_ns")?.as_i64()?,
            from: state("from")?,
            to: state("to")?,
            origin: [Origin::Set, Origin::Found].into_iter().find(is_origin)?,
        })
    }
}

impl Privacy {
    /// The state of consent that holds, managed settings and mistakes taken into account.
    #[must_use]
    pub fn consent(&self) -> ConsentState {
        self.planes.consent_state.said.value().unwrap_or_default()
    }

    /// Gives or withdraws consent: writes `consent_state` into the user's `telemetry.toml`, where comments and
    /// other keys stay as they are, and the change with its time into `consent.jsonl` beside it.
    ///
    /// Consent to aggregates comes with an [`install_id`](Self::install_id), made where there is none. A managed
    /// `consent_state` or `allow_aggregate` still beats what is written: [`Builder::privacy`](crate::Builder::privacy)
    /// reads what holds then. Any number of processes may do this at once.
    ///
    /// ```
    /// use hermes::privacy::ConsentState;
    ///
    /// # let home = tempfile::tempdir().unwrap();
    /// # let file = home.path().join("telemetry.toml");
    /// let privacy = || hermes::builder().settings_file(&file).privacy();
    /// privacy().set_consent(ConsentState::Aggregate)?;
    /// privacy().set_consent(ConsentState::Local)?;
    /// let states: Vec<_> = privacy().consent_history()?.iter().map(|change| change.to).collect();
    /// assert_eq!(states, [ConsentState::Aggregate, ConsentState::Local]);
    /// # Ok::<(), hermes::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] where the file is not one that can be relied on, which is then left as it is;
    /// [`ErrorKind::NotFound`] where there is no home folder; [`ErrorKind::Settings`] where it cannot be written.
    pub fn set_consent(&self, state: ConsentState) -> Result<(), Error> {
        let mut edit = Edit::begin(self.user_file()?)?;
        let history = read(&mut edit.history).map_err(unreadable)?;
        let mut next = history.last().map_or(1, |last| last.seq.saturating_add(1));
        let mut changes = Vec::new();
        let found = edit.scope.consent_state.value().unwrap_or_default();
        let recorded = history.last().map_or(ConsentState::Unknown, |last| last.to);
        let mut note = |from, to, origin| {
            changes.push(ConsentChange {
                seq: next,
                time_ns: now_ns(),
                from,
                to,
                origin,
            });
            next = next.saturating_add(1);
        };
        if found != recorded {
            note(recorded, found, Origin::Found);
        }
        note(found, state, Origin::Set);
        // At no moment is there consent that the history does not show.
        if state == ConsentState::Aggregate {
            if edit.scope.install_id.as_ref().value().is_none() {
                edit.set("install_id", &fresh_id())?;
            }
            append(&mut edit.history, &changes).map_err(unreadable)?;
            edit.set("consent_state", state.as_str())
        } else {
            edit.set("consent_state", state.as_str())?;
            append(&mut edit.history, &changes).map_err(unreadable)
        }
    }

    /// Every change of consent on this machine, oldest first. Lines that cannot be read are passed over.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where there is no home folder, [`ErrorKind::Settings`] where the file cannot be
    /// read.
    pub fn consent_history(&self) -> Result<Vec<ConsentChange>, Error> {
        match File::open(history_of(self.user_file()?)) {
            Ok(mut file) => read(&mut file).map_err(unreadable),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// The id of this installation: drawn by chance, telling nothing. `None`: none was made yet.
    ///
    /// It stands in `telemetry.toml`, is made with the first consent to aggregates, and is sent nowhere: only
    /// an aggregate could carry it, and nothing sends any.
    #[must_use]
    pub fn install_id(&self) -> Option<&str> {
        self.planes
            .install_id
            .said
            .as_ref()
            .value()
            .map(String::as_str)
    }

    /// Draws another id for this installation, and gives it. Nothing connects it with the former one.
    ///
    /// # Errors
    ///
    /// As [`Privacy::set_consent`].
    pub fn reset_install_id(&self) -> Result<String, Error> {
        let id = fresh_id();
        Edit::begin(self.user_file()?)?.set("install_id", &id)?;
        Ok(id)
    }

    fn user_file(&self) -> Result<&Path, Error> {
        self.path.as_deref().ok_or_else(|| {
            let what = "there is no home folder to keep settings in: set HERMES_HOME";
            Error::new(ErrorKind::NotFound, what)
        })
    }
}

fn unreadable(source: std::io::Error) -> Error {
    let what = "the history of consent cannot be read or written";
    Error::with_source(ErrorKind::Settings, what, source)
}

fn read(file: &mut File) -> std::io::Result<Vec<ConsentChange>> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(ConsentChange::read).collect())
}

fn append(file: &mut File, changes: &[ConsentChange]) -> std::io::Result<()> {
    let mut lines = String::new();
    if !ends_line(file)? {
        lines.push('\n');
    }
    for change in changes {
        lines.push_str(&change.json().to_string());
        lines.push('\n');
    }
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// Whether the last line is whole: a process may have died while it wrote.
fn ends_line(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// A version 4 UUID.
fn fresh_id() -> String {
    let bits = (u128::from(seed()) << 64) | u128::from(seed());
    let bits = bits & !(0xf << 76) | (0x4 << 76);
    let bits = bits & !(0b11 << 62) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
