//! Opens a `telemetry.toml`, unless others could have written what stands in it.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{Scope, parse};

/// The name of a file of settings, in `HERMES_HOME`.
pub(crate) const FILE: &str = "telemetry.toml";

/// Where the settings of a machine are, which no user of it can change.
pub(crate) const MANAGED: &str = "/etc/hermes/telemetry.toml";

/// The file is a few lines; whatever is larger is none.
const LARGEST: u64 = 1024 * 1024;

/// A file of settings, as it was when it was read.
#[derive(Clone, Debug)]
pub(crate) struct ScopeFile {
    pub(crate) path: PathBuf,
    pub(crate) state: ScopeState,
    pub(crate) scope: Scope,
    /// What is wrong with it, each with its place and what to do.
    pub(crate) told: Vec<String>,
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeState {
    /// No file.
    Missing,
    /// A file that was read, whatever is wrong with single keys.
    Read,
    /// A file that cannot be used at all.
    Unusable,
}

impl ScopeFile {
    /// Reads the file of a user: links are followed, but nobody else may write it.
    pub(crate) fn of_user(path: &Path) -> Self {
        Self::read(path, |path| fs::metadata(path), is_writable_by_all)
    }

    /// Reads the file of the machine: a plain file that only its owner writes.
    pub(crate) fn of_machine(path: &Path) -> Self {
        Self::read(
            path,
            |path| fs::symlink_metadata(path),
            |found| is_writable_by_others(found) || is_in_others_hands(path),
        )
    }

    fn read(
        path: &Path,
        look: impl Fn(&Path) -> std::io::Result<Metadata>,
        is_open: impl Fn(&Metadata) -> bool,
    ) -> Self {
        let shown = path.display();
        let text = match text(path, look, is_open) {
            Ok(Some(text)) => text,
            Ok(None) => {
                return ScopeFile {
                    path: path.to_owned(),
                    state: ScopeState::Missing,
                    scope: Scope::default(),
                    told: Vec::new(),
                };
            }
            Err(why) => {
                return ScopeFile {
                    path: path.to_owned(),
                    state: ScopeState::Unusable,
                    scope: Scope::unreadable(),
                    told: vec![format!("{shown}: {why}; until then {CLOSED}")],
                };
            }
        };
        let (scope, told) = parse::scope(&text);
        let state = if scope == Scope::unreadable() {
            ScopeState::Unusable
        } else {
            ScopeState::Read
        };
        let until = match state {
            ScopeState::Unusable => format!("; until then {CLOSED}"),
            _ => String::new(),
        };
        ScopeFile {
            path: path.to_owned(),
            state,
            scope,
            told: told
                .into_iter()
                .map(|told| format!("{shown}: {told}{until}"))
                .collect(),
        }
    }
}

const OTHERS: &str =
    "others may write it, or what stands in its folder; take that right away (chmod go-w)";

/// What it means that a file cannot be used.
const CLOSED: &str = "nothing in it counts, and nothing leaves that it could have forbidden";

/// The text of a file; `None`: there is none.
fn text(
    path: &Path,
    look: impl Fn(&Path) -> std::io::Result<Metadata>,
    is_open: impl Fn(&Metadata) -> bool,
) -> Result<Option<String>, String> {
    let found = match look(path) {
        Ok(found) => found,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(format!("it cannot be read ({error}); make it readable")),
    };
    if found.is_symlink() {
        return Err("it is a symbolic link; put a plain file there".to_owned());
    }
    // Before it is opened: opening a pipe would wait for whoever writes it.
    if !found.is_file() {
        return Err("it is not a plain file; put one there".to_owned());
    }
    let file = File::open(path)
        .map_err(|error| format!("it cannot be read ({error}); make it readable"))?;
    let opened = file
        .metadata()
        .map_err(|error| format!("it cannot be read ({error}); make it readable"))?;
    if !is_same(&found, &opened) {
        return Err("it was changed while it was opened; try again".to_owned());
    }
    if is_open(&opened) {
        return Err(OTHERS.to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("it cannot be read ({error}); make it readable"))?;
    if bytes.len() as u64 > LARGEST {
        return Err("it is larger than 1 MiB; make it shorter".to_owned());
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| "it is not UTF-8; save it as UTF-8".to_owned())
}

/// Whether others may put another file in the place of this one.
fn is_in_others_hands(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| fs::metadata(folder).ok());
    folder.is_none_or(|folder| is_writable_by_others(&folder))
}

/// A folder on the way that is none is as good as no file.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

#[cfg(unix)]
fn is_same(found: &Metadata, opened: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (found.dev(), found.ino()) == (opened.dev(), opened.ino())
}

#[cfg(unix)]
fn is_writable_by_all(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & 0o002 != 0
}

#[cfg(unix)]
fn is_writable_by_others(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & 0o022 != 0
}

#[cfg(not(unix))]
fn is_same(_found: &Metadata, opened: &Metadata) -> bool {
    opened.is_file()
}

#[cfg(not(unix))]
fn is_writable_by_all(_metadata: &Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn is_writable_by_others(_metadata: &Metadata) -> bool {
    false
}
