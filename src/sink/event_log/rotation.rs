//! The files that a log was: their names, which sort in time, and how many of them are kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

/// When a log is rotated, and what is kept of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLimits {
    /// A file is rotated before it grows beyond this.
    pub(crate) max_bytes: u64,
    /// A file is rotated when it is older than this.
    pub(crate) max_age: Duration,
    /// So many rotated files are kept beside the one that is written.
    pub(crate) max_files: usize,
    /// A rotated file goes when it is older than this.
    pub(crate) retention: Duration,
}

impl Default for LogLimits {
    /// Sixteen weeks, a gibibyte, at most; nothing for longer than the store keeps its spans.
    fn default() -> Self {
        LogLimits {
            max_bytes: 64 * 1024 * 1024,
            max_age: 7 * DAY,
            max_files: 16,
            retention: 90 * DAY,
        }
    }
}

/// The rotated files of the log at `path`, oldest first. Only names that a rotation gives count:
/// what somebody else keeps beside the log is left alone.
pub(super) fn rotated(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder(path)) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let file = entry.ok()?.path();
            Some((rotated_at_ms(path, &file)?, file))
        })
        .collect();
    files.sort();
    files.into_iter().map(|(_, file)| file).collect()
}

/// Where the log goes that is rotated now: after all that went before, even if the clock was set.
pub(super) fn next(path: &Path, now_ms: i64) -> PathBuf {
    let last = rotated(path).pop();
    let last_ms = last.and_then(|file| rotated_at_ms(path, &file));
    let at_ms = now_ms.max(last_ms.map_or(0, |last_ms| last_ms + 1));
    let (stem, extension) = around(path);
    let mut name = stem;
    name.push(stamp(at_ms));
    name.push(extension);
    folder(path).join(name)
}

/// Deletes the rotated files that are too many or too old. One that cannot be deleted stays.
pub(super) fn prune(path: &Path, limits: &LogLimits, now_ms: i64) {
    let files = rotated(path);
    let too_many = files.len().saturating_sub(limits.max_files);
    let retention_ms = i64::try_from(limits.retention.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = now_ms.saturating_sub(retention_ms);
    for (index, file) in files.iter().enumerate() {
        let is_old = rotated_at_ms(path, file).is_some_and(|at_ms| at_ms < oldest_ms);
        if index < too_many || is_old {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The folder of the log.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What stands before and after the time in the name of a rotated file: `events-`, `.jsonl`.
fn around(path: &Path) -> (OsString, OsString) {
    let mut stem = path.file_stem().unwrap_or_default().to_owned();
    stem.push("-");
    let mut extension = OsString::new();
    if let Some(known) = path.extension() {
        extension.push(".");
        extension.push(known);
    }
    (stem, extension)
}

fn rotated_at_ms(path: &Path, file: &Path) -> Option<i64> {
    let (stem, extension) = around(path);
    let name = file.file_name()?.to_str()?;
    let time = name
        .strip_prefix(stem.to_str()?)?
        .strip_suffix(extension.to_str()?)?;
    let at_ms = read_stamp(time)?;
    // Read back and forth, so that a name of the same shape and no real time is nobody's.
    (stamp(at_ms) == time).then_some(at_ms)
}

/// A time in UTC that sorts as text: `20260714T101530.123Z`.
fn stamp(at_ms: i64) -> String {
    let (days, ms) = (at_ms.div_euclid(MS_PER_DAY), at_ms.rem_euclid(MS_PER_DAY));
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!(
        "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{:03}Z",
        ms % 1000
    )
}

fn read_stamp(text: &str) -> Option<i64> {
    let is_stamp = text.len() == 20 && text.is_ascii() && !text.contains(['+', '-']);
    is_stamp.then_some(())?;
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
    let days = days_of(number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    let ms = ((hour * 60 + minute) * 60 + second) * 1000 + number(16, 19)?;
    Some(days * MS_PER_DAY + ms)
}

/// The date that so many days after the Unix epoch is (Howard Hinnant, `civil_from_days`).
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The days from the Unix epoch to a date (`days_from_civil`).
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{LogLimits, MS_PER_DAY, next, prune, read_stamp, rotated, stamp};

    #[test]
    fn times_are_written_and_read_as_dates() {
        for (at_ms, text) in [
            (0, "19700101T000000.000Z"),
            (951_782_399_999, "20000228T235959.999Z"),
            (951_782_400_000, "20000229T000000.000Z"),
            (1_784_024_130_123, "20260714T101530.123Z"),
            (4_102_444_799_000, "20991231T235959.000Z"),
        ] {
            assert_eq!(stamp(at_ms), text);
            assert_eq!(read_stamp(text), Some(at_ms));
        }
        for days in 0..40_000 {
            assert_eq!(
                read_stamp(&stamp(days * MS_PER_DAY)),
                Some(days * MS_PER_DAY)
            );
        }
        for no_time in ["", "backup", "20260714T101530.123", "2026-7-1T101530.12Z"] {
            assert_eq!(read_stamp(no_time), None, "{no_time}");
        }
    }

    #[test]
    fn later_rotations_sort_after_earlier_ones_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("events.jsonl");
        let mut made = Vec::new();
        for now_ms in [5_000, 5_000, 4_000, 6_000] {
            let file = next(&log, now_ms);
            std::fs::write(&file, "").unwrap();
            made.push(file);
        }
        assert_eq!(rotated(&log), made);
        let mut by_name = made.clone();
        by_name.sort();
        assert_eq!(by_name, made);
        assert!(made[0].ends_with("events-19700101T000005.000Z.jsonl"));
    }

    #[test]
    fn only_files_of_the_log_are_pruned_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("events.jsonl");
        let write = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
        let others = [
            "events.jsonl",
            "events-backup.jsonl",
            "events-20269999T101530.123Z.jsonl",
            "other-20260714T101530.123Z.jsonl",
            "events-20260714T101530.123Z.jsonl.gz",
        ];
        for name in others {
            write(name);
        }
        for day in 1..=5 {
            write(&format!("events-2026070{day}T000000.000Z.jsonl"));
        }
        let names = || -> Vec<String> {
            let name = |file: &Path| file.file_name().unwrap().to_str().unwrap()[7..15].to_owned();
            rotated(&log).iter().map(|file| name(file)).collect()
        };
        let now_ms = read_stamp("20260706T000000.000Z").unwrap();
        let limits = LogLimits {
            max_files: 4,
            ..LogLimits::default()
        };
        prune(&log, &limits, now_ms);
        assert_eq!(names(), ["20260702", "20260703", "20260704", "20260705"]);
        let limits = LogLimits {
            retention: Duration::from_millis(3 * 24 * 60 * 60 * 1000 - 1),
            ..limits
        };
        prune(&log, &limits, now_ms);
        assert_eq!(names(), ["20260704", "20260705"]);
        for name in others {
            assert!(folder.path().join(name).exists(), "{name}");
        }
    }
}
