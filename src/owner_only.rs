//! Files and folders that only their owner can read: all that Hermes makes on disk.

use std::fs::{DirBuilder, File, OpenOptions};
use std::path::Path;

/// Makes a folder and what leads to it, for its owner alone; leaves those that are there as they are.
pub(crate) fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    owner_only_folder(&mut builder);
    builder.create(folder)
}

/// Makes a file for its owner alone, or leaves it as it is.
pub(crate) fn create_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    owner_only_file(&mut options);
    options.open(path)
}

/// Opens a file to append to it and to read it, and makes it for its owner alone where there is none.
pub(crate) fn append_to_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    owner_only_file(&mut options);
    options.open(path)
}

#[cfg(unix)]
fn owner_only_folder(builder: &mut DirBuilder) {
    use std::os::unix::fs::DirBuilderExt;
    builder.mode(0o700);
}

/// Has a file that is made be for its owner alone.
#[cfg(unix)]
pub(crate) fn owner_only_file(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn owner_only_folder(_builder: &mut DirBuilder) {}

#[cfg(not(unix))]
pub(crate) fn owner_only_file(_options: &mut OpenOptions) {}
