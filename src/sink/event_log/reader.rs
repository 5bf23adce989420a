//! The log's lines, file after file, one at a time: a log is larger than memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Result};
use std::path::{Path, PathBuf};

use super::file::is_at;
use super::rotation::rotated;

/// Of a longer line only so much is read: no writer makes such, and it would fill the memory.
const MAX_LINE: usize = 64 * 1024 * 1024;

/// Reads a log from its oldest line to the newest that was there when it was opened.
#[derive(Debug)]
pub(crate) struct LogReader {
    rotated: VecDeque<PathBuf>,
    current: Option<File>,
    file: Option<BufReader<File>>,
    is_first: bool,
    line: Vec<u8>,
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawLine<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether a file begins with it.
    pub(crate) is_first: bool,
}

impl LogReader {
    /// Opens the log of this path, rotated files included.
    pub(crate) fn open(path: &Path) -> Result<LogReader> {
        // In this order, a file that is rotated meanwhile is seen in one place or the other.
        let current = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            opened => Some(opened?),
        };
        let is_elsewhere = |file: &PathBuf| match &current {
            Some(current) => !is_at(current, file),
            None => true,
        };
        let rotated: VecDeque<_> = rotated(path).into_iter().filter(is_elsewhere).collect();
        if current.is_none() && rotated.is_empty() {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(LogReader {
            rotated,
            current,
            file: None,
            is_first: true,
            line: Vec::new(),
        })
    }

    /// The next line that has anything in it; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<RawLine<'_>>> {
        loop {
            let Some(file) = &mut self.file else {
                let Some(file) = self.next_file()? else {
                    return Ok(None);
                };
                self.file = Some(BufReader::with_capacity(256 * 1024, file));
                self.is_first = true;
                continue;
            };
            if !read_line(file, &mut self.line)? {
                self.file = None;
            } else if !self.line.trim_ascii().is_empty() {
                let is_first = std::mem::replace(&mut self.is_first, false);
                return Ok(Some(RawLine {
                    bytes: &self.line,
                    is_first,
                }));
            }
        }
    }

    fn next_file(&mut self) -> Result<Option<File>> {
        while let Some(path) = self.rotated.pop_front() {
            match File::open(path) {
                // The writer found it too old meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                opened => return opened.map(Some),
            }
        }
        Ok(self.current.take())
    }
}

/// Reads one line, with its newline; `false` at the end of the file.
fn read_line(file: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool> {
    line.clear();
    let mut is_any = false;
    loop {
        let chunk = match file.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() {
            return Ok(is_any);
        }
        is_any = true;
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(chunk.len(), |end| end + 1);
        let room = MAX_LINE - line.len();
        line.extend_from_slice(&chunk[..used.min(room)]);
        file.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}
