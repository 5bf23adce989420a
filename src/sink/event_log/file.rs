//! The file that is written: whole lines at its end, by one process at a time, rotated when due.

use std::fs::{File, TryLockError};
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::rotation::{self, LogLimits};
use crate::owner_only::{append_to_file, create_folder};
use crate::wire::line::{Line, is_event_log};

/// How often it is asked whether the others are done with the file.
const PAUSE: Duration = Duration::from_millis(2);
/// The first line of a file is no longer than this.
const HEADER_BYTES: u64 = 256;

/// A log, by its path: the file itself is opened for each batch, so one that was rotated by
/// another process, moved away or deleted is noticed at once and never held.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    limits: LogLimits,
    /// When the file was made that was written last: which one it is.
    last_created_ns: Option<i64>,
}

impl LogFile {
    pub(super) fn new(path: PathBuf, limits: LogLimits) -> Self {
        LogFile {
            path,
            limits,
            last_created_ns: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines, all of them or none, as far as the file system lets us. In a file that
    /// this was not written to before, `introduction` comes first.
    pub(super) fn append(
        &mut self,
        lines: &[u8],
        introduction: &[u8],
        now_ns: i64,
        patience: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        let mut file = Current::open(&self.path, deadline)?;
        if file.is_due(lines.len(), &self.limits, now_ns) {
            file = self.rotate(file, now_ns, deadline)?;
        }
        let mut text = file.beginning(now_ns)?;
        let is_known = file.length > 0 && file.created_ns.is_some();
        if !is_known || file.created_ns != self.last_created_ns {
            text.extend_from_slice(introduction);
        }
        if text.is_empty() {
            file.write(lines)?;
        } else {
            text.extend_from_slice(lines);
            file.write(&text)?;
        }
        self.last_created_ns = file.created_ns;
        Ok(())
    }

    /// Deletes rotated files that are too many or too old.
    pub(super) fn prune(&self, now_ns: i64) {
        rotation::prune(&self.path, &self.limits, now_ns / 1_000_000);
    }

    /// Moves the file aside and begins a new one. Where that cannot be done the old one grows on:
    /// a log that is too long is better than none.
    fn rotate(&self, file: Current, now_ns: i64, deadline: Instant) -> Result<Current> {
        let aside = rotation::next(&self.path, now_ns / 1_000_000);
        if std::fs::rename(&self.path, aside).is_err() {
            return Ok(file);
        }
        drop(file);
        self.prune(now_ns);
        Current::open(&self.path, deadline)
    }
}

/// The log's file, ours alone until this is dropped.
struct Current {
    file: File,
    /// Whether the file system could give it to us alone.
    is_locked: bool,
    length: u64,
    /// When the file was made, as its first line says.
    created_ns: Option<i64>,
    /// Whether the last line was cut off, by a crash or a full disk.
    is_torn: bool,
}

impl Current {
    fn open(path: &Path, deadline: Instant) -> Result<Current> {
        let folder = rotation::folder(path);
        let (file, is_locked) = loop {
            let file = match append_to_file(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    create_folder(folder)?;
                    append_to_file(path)?
                }
                opened => opened?,
            };
            let is_locked = lock(&file, deadline)?;
            // Who had it before us may have rotated it.
            if is_at(&file, path) {
                break (file, is_locked);
            }
            if Instant::now() >= deadline {
                return Err(taken());
            }
        };
        let mut current = Current {
            length: file.metadata()?.len(),
            file,
            is_locked,
            created_ns: None,
            is_torn: false,
        };
        current.look()?;
        Ok(current)
    }

    /// Reads how the file begins and how it ends.
    fn look(&mut self) -> Result<()> {
        if self.length == 0 {
            return Ok(());
        }
        let mut beginning = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        Read::by_ref(&mut self.file)
            .take(HEADER_BYTES)
            .read_to_end(&mut beginning)?;
        if !is_event_log(&beginning) {
            let what = "it is a file of something else: choose another HERMES_EVENT_LOG";
            return Err(Error::new(ErrorKind::InvalidData, what));
        }
        let header = beginning.split_inclusive(|&byte| byte == b'\n').next();
        self.created_ns = match Line::read(header.unwrap_or_default()) {
            Ok(Line::Log { created_ns, .. }) => Some(created_ns),
            _ => None,
        };
        let mut end = [0];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut end)?;
        self.is_torn = end != [b'\n'];
        Ok(())
    }

    fn is_due(&self, more: usize, limits: &LogLimits, now_ns: i64) -> bool {
        let max_age_ns = i64::try_from(limits.max_age.as_nanos()).unwrap_or(i64::MAX);
        let is_full = self.length.saturating_add(more as u64) > limits.max_bytes;
        let is_old = self
            .created_ns
            .is_none_or(|created_ns| now_ns.saturating_sub(created_ns) >= max_age_ns);
        self.length > 0 && (is_full || is_old)
    }

    /// What has to stand before the next line.
    fn beginning(&mut self, now_ns: i64) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        if self.length == 0 {
            let header = Line::Log {
                created_ns: now_ns,
                version: env!("CARGO_PKG_VERSION").into(),
            };
            header.put(&mut text)?;
            self.created_ns = Some(now_ns);
        } else if self.is_torn {
            text.push(b'\n');
        }
        Ok(text)
    }

    fn write(&mut self, text: &[u8]) -> Result<()> {
        self.file.write_all(text).inspect_err(|_| {
            // Half of it may be there. Nobody else writes while the file is ours, so it can go; where
            // it cannot, the next line begins on a line of its own.
            if self.is_locked {
                let _ = self.file.set_len(self.length);
            }
        })
    }
}

/// Whether the file is ours alone now. `false`: the file system knows no locks, and the lines are
/// whole only because each batch is one write at the end of the file.
fn lock(file: &File, deadline: Instant) -> Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Err(taken()),
            Err(TryLockError::Error(_)) => return Ok(false),
        }
    }
}

fn taken() -> Error {
    Error::new(ErrorKind::WouldBlock, "another process holds it")
}

/// Whether the path still leads to this file.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => id(open) == id(named),
        _ => false,
    }
}

/// Whether the path still leads to this file: not known here. What is written into a file that was
/// just rotated is found there.
#[cfg(not(unix))]
pub(super) fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::rotation::{LogLimits, rotated};
    use super::{Current, LogFile};

    const SOON: Duration = Duration::from_secs(20);
    const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
    const NOW: i64 = 20_000 * DAY_NS;

    fn log(path: &Path) -> LogFile {
        LogFile::new(path.to_owned(), LogLimits::default())
    }

    fn append(log: &mut LogFile, line: &str, now_ns: i64) {
        let line = format!("{line}\n");
        log.append(line.as_bytes(), b"hello\n", now_ns, SOON)
            .unwrap();
    }

    /// The lines after the header.
    fn lines(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with("{\"v\":1,\"line\":\"log\""), "{text}");
        text.lines().skip(1).map(str::to_owned).collect()
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = log(&path);
        append(&mut log, "one", NOW);
        append(&mut log, "two", NOW);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 3).unwrap();
        append(&mut log, "three", NOW);
        assert_eq!(lines(&path), ["hello", "one", "t", "three"]);
    }

    #[test]
    fn a_file_is_rotated_when_it_is_old_or_full_and_each_file_introduces_its_writers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = log(&path);
        append(&mut log, "one", NOW);
        append(&mut log, "two", NOW + 7 * DAY_NS - 1);
        append(&mut log, "three", NOW + 7 * DAY_NS);
        assert_eq!(lines(&path), ["hello", "three"]);
        log.limits.max_bytes = std::fs::metadata(&path).unwrap().len() + 5;
        append(&mut log, "four", NOW + 7 * DAY_NS);
        assert_eq!(lines(&path), ["hello", "three", "four"]);
        append(&mut log, "five", NOW + 7 * DAY_NS);
        assert_eq!(lines(&path), ["hello", "five"]);
        let old: Vec<_> = rotated(&path).iter().map(|file| lines(file)).collect();
        assert_eq!(
            old,
            [vec!["hello", "one", "two"], vec!["hello", "three", "four"]]
        );
    }

    #[test]
    fn what_another_process_rotated_moved_or_deleted_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log/events.jsonl");
        let mut ours = log(&path);
        append(&mut ours, "one", NOW);
        append(&mut log(&path), "theirs", NOW + 7 * DAY_NS);
        append(&mut ours, "two", NOW + 7 * DAY_NS);
        assert_eq!(lines(&path), ["hello", "theirs", "hello", "two"]);
        std::fs::remove_file(&path).unwrap();
        append(&mut ours, "three", NOW + 7 * DAY_NS + 1);
        assert_eq!(lines(&path), ["hello", "three"]);
        std::fs::rename(folder.path().join("log"), folder.path().join("old")).unwrap();
        append(&mut ours, "four", NOW + 7 * DAY_NS + 2);
        assert_eq!(lines(&path), ["hello", "four"]);
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "{\"x\":1}\n").unwrap();
        let error = log(&path).append(b"x\n", b"", NOW, SOON).unwrap_err();
        assert!(error.to_string().contains("HERMES_EVENT_LOG"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"x\":1}\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_first_line_is_moved_aside_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "{\"v\":1,\"li").unwrap();
        append(&mut log(&path), "one", NOW);
        assert_eq!(lines(&path), ["hello", "one"]);
        assert_eq!(rotated(&path).len(), 1);
    }

    #[test]
    fn whoever_holds_the_file_is_waited_for_no_longer_than_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = log(&path);
        append(&mut log, "one", NOW);
        let held = Current::open(&path, Instant::now()).unwrap();
        let error = log.append(b"two\n", b"", NOW, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        drop(held);
        append(&mut log, "two", NOW);
        assert_eq!(lines(&path), ["hello", "one", "two"]);
    }

    const LOG: &str = "HERMES_TEST_LOG_OF_CHILD";

    /// The child of the test below; by itself it does nothing.
    #[test]
    fn child() {
        let Some(path) = std::env::var_os(LOG) else {
            return;
        };
        let mut log = log(Path::new(&path));
        let line = format!("{}\n", "x".repeat(1500));
        let append = |_: &i32| log.append(line.as_bytes(), b"", NOW, SOON).is_ok();
        let written = (0..100).take_while(append).count();
        std::fs::write(
            Path::new(&path).with_extension("count"),
            written.to_string(),
        )
        .unwrap();
    }

    /// The disk is full in the middle of a line: as for a process that may write no larger files.
    #[cfg(unix)]
    #[test]
    fn a_line_that_found_no_room_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let name = concat!(module_path!(), "::child");
        let status = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name.split_once("::").unwrap().1])
            .env(LOG, &path)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let written = std::fs::read_to_string(path.with_extension("count")).unwrap();
        assert!(
            (2..50).contains(&written.parse::<usize>().unwrap()),
            "{written}"
        );
        assert_eq!(lines(&path).len().to_string(), written);
        assert!(std::fs::read(&path).unwrap().ends_with(b"x\n"));
        append(&mut log(&path), "after", NOW);
        assert!(
            lines(&path)
                .iter()
                .all(|line| line.len() == 1500 || line.len() == 5)
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_what_is_made() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/events.jsonl");
        let mut log = log(&path);
        append(&mut log, "one", NOW);
        append(&mut log, "two", NOW + 7 * DAY_NS);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("a")), 0o700);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&rotated(&path)[0]), 0o600);
    }
}
