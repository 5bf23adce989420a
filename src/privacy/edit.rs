//! Changes one key of the user's `telemetry.toml` and leaves everything else in it as it is.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Value};

use crate::config::{Scope, ScopeFile, ScopeState};
use crate::error::{Error, ErrorKind};
use crate::owner_only;

/// The user's file, while nobody else changes it.
#[derive(Debug)]
pub(super) struct Edit {
    path: PathBuf,
    document: DocumentMut,
    /// What the file says.
    pub(super) scope: Scope,
    /// The history of consent, which is what processes lock.
    pub(super) history: File,
}

/// Where the history of consent is.
pub(super) fn history_of(path: &Path) -> PathBuf {
    path.with_file_name("consent.jsonl")
}

impl Edit {
    /// Waits until no other process changes the file, and reads it.
    pub(super) fn begin(path: &Path) -> Result<Edit, Error> {
        let failed = |source| unwritable(path, source);
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            owner_only::create_folder(folder).map_err(failed)?;
        }
        let history = owner_only::append_to_file(&history_of(path)).map_err(failed)?;
        history.lock().map_err(failed)?;
        let file = ScopeFile::of_user(path);
        if file.state == ScopeState::Unusable {
            // Whatever stands there is somebody's, and what it means is not known.
            return Err(Error::new(ErrorKind::InvalidInput, file.told.join("; ")));
        }
        let (path, text) = if file.state == ScopeState::Missing {
            (path.to_owned(), String::new())
        } else {
            // A link stays one: what it leads to is changed.
            let path = fs::canonicalize(path).map_err(failed)?;
            let text = fs::read_to_string(&path).map_err(failed)?;
            (path, text)
        };
        let document = text.parse().map_err(|_| {
            let what = format!("{}: it is not TOML; correct it", path.display());
            Error::new(ErrorKind::InvalidInput, what)
        })?;
        Ok(Edit {
            path,
            document,
            scope: file.scope,
            history,
        })
    }

    /// Writes one key of the first level. A reader sees the file as it was, or as it is then.
    pub(super) fn set(&mut self, key: &str, text: &str) -> Result<(), Error> {
        let mut value = Value::from(text);
        match self.document.get_mut(key) {
            // The key stays, with the comments around it.
            Some(Item::Value(former)) => {
                *value.decor_mut() = former.decor().clone();
                *former = value;
            }
            _ => {
                self.document.insert(key, Item::Value(value));
            }
        }
        self.write()
            .map_err(|source| unwritable(&self.path, source))
    }

    fn write(&self) -> std::io::Result<()> {
        let beside = self.path.with_extension("toml.new");
        // Left behind by a process that died, for the lock is ours.
        let _ = fs::remove_file(&beside);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        owner_only::owner_only_file(&mut options);
        let mut file = options.open(&beside)?;
        file.write_all(self.document.to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        sync_folder(&self.path)
    }
}

fn unwritable(path: &Path, source: std::io::Error) -> Error {
    let what = format!("{}: the settings cannot be changed", path.display());
    Error::with_source(ErrorKind::Settings, what, source)
}

/// A renamed file is there after a crash once its folder is on the disk.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
