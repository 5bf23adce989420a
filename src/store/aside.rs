//! A broken store is moved aside under a clear name, whole, by one process; nothing of it is changed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect;
use super::migrate::beside;
use super::place::{FileId, PlaceLock, SIDE_FILES};
use crate::error::{Error, ErrorKind};

/// How long another process may take to move it.
const WAIT: Duration = Duration::from_secs(1);

/// Moves a broken store and its side files aside: `telemetry.db.corrupt-20260131T120000Z`.
///
/// `broken` is the file that was found broken. `None`: it is no longer there, for another process was
/// faster.
pub(super) fn move_aside(
    path: &Path,
    broken: FileId,
    now_ns: i64,
) -> Result<Option<PathBuf>, Error> {
    let move_it = || -> io::Result<Option<PathBuf>> {
        let _lock = PlaceLock::take(path, WAIT)?;
        if FileId::of(path) != Some(broken) {
            return Ok(None);
        }
        let aside = free_name(path, now_ns);
        // The main file first: whoever comes meanwhile finds nothing and waits for the lock.
        std::fs::rename(path, &aside)?;
        for suffix in SIDE_FILES {
            match std::fs::rename(beside(path, suffix), beside(&aside, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(Some(aside))
    };
    move_it().map_err(|error| {
        let what = format!("cannot move the damaged store at {} aside", path.display());
        Error::with_source(ErrorKind::Store, what, error)
    })
}

/// Moves the file that cannot be opened aside, if it still cannot.
pub(super) fn move_unopened(path: &Path, now_ns: i64) -> Result<Option<PathBuf>, Error> {
    let Some(broken) = FileId::of(path) else {
        return Ok(None);
    };
    match connect::existing(path) {
        Err(error) if error.kind() == ErrorKind::StoreDamaged => move_aside(path, broken, now_ns),
        _ => Ok(None),
    }
}

fn free_name(path: &Path, now_ns: i64) -> PathBuf {
    let name = beside(path, &format!(".corrupt-{}", utc(now_ns)));
    let mut free = name.clone();
    let mut at = 1;
    while free.exists() {
        at += 1;
        free = beside(&name, &format!("-{at}"));
    }
    free
}

/// A time as `20260131T120000Z`, by the calendar rules of Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn utc(time_ns: i64) -> String {
    let seconds = time_ns.div_euclid(1_000_000_000);
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::{free_name, move_aside, utc};
    use crate::store::place::FileId;

    #[test]
    fn times_are_told_as_the_calendar_has_them() {
        let told = |seconds: i64| utc(seconds * 1_000_000_000);
        assert_eq!(told(0), "19700101T000000Z");
        assert_eq!(told(951_782_399), "20000228T235959Z");
        assert_eq!(told(951_782_400), "20000229T000000Z");
        assert_eq!(told(1_709_208_000), "20240229T120000Z");
        assert_eq!(told(4_107_542_400), "21000301T000000Z");
        assert_eq!(told(-1), "19691231T235959Z");
    }

    #[test]
    fn a_file_is_moved_once_and_over_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        std::fs::write(&path, "first").unwrap();
        std::fs::write(folder.path().join("telemetry.db-wal"), "log").unwrap();
        let first = FileId::of(&path).unwrap();
        let held = std::fs::File::open(&path).unwrap();
        let aside = move_aside(&path, first, 0).unwrap().unwrap();
        assert!(aside.ends_with("telemetry.db.corrupt-19700101T000000Z"));
        assert_eq!(
            std::fs::read(
                folder
                    .path()
                    .join("telemetry.db.corrupt-19700101T000000Z-wal")
            )
            .unwrap(),
            b"log"
        );
        std::fs::write(&path, "second").unwrap();
        assert_eq!(
            move_aside(&path, first, 0).unwrap(),
            None,
            "it is another file"
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert!(free_name(&path, 0).ends_with("telemetry.db.corrupt-19700101T000000Z-2"));
        drop(held);
    }
}
