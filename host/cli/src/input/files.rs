//! The files that inputs are read from: one after the other, each opened when its turn comes.
//!
//! Does not know what is in them, but for their encoding.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::encoding::{self, MARK};
use super::place::{in_words, is_stdin};

/// What is read from a file, or from a stream.
pub(super) type Reader = BufReader<Box<dyn Read + Send>>;

/// The files that were not opened yet.
pub(super) struct Files {
    left: std::vec::IntoIter<PathBuf>,
    /// Whether messages name the only file, too.
    is_named: bool,
}

/// A file that was opened.
pub(super) struct OpenFile {
    /// What messages call it; `None` if it is standard input and the only one.
    pub(super) name: Option<String>,
    pub(super) reader: Reader,
    /// Whether reading it never waits for another process.
    pub(super) is_regular: bool,
}

impl Files {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            is_named: paths.len() > 1 || paths.iter().any(|path| !is_stdin(path)),
            left: paths.into_iter(),
        }
    }

    /// How many bytes all of them have, if that can be known. Refuses those that are missing, and
    /// regular files in another encoding if they `are_utf8`: nothing has run yet.
    pub(super) fn check(&self, are_utf8: bool) -> anyhow::Result<Option<u64>> {
        let mut size = Some(0);
        for path in self.left.as_slice() {
            let file_size = match is_stdin(path) {
                true => stdin_size(),
                false => check(path, are_utf8)?,
            };
            size = size.zip(file_size).map(|(size, more)| size + more);
        }
        Ok(size)
    }

    /// The regular ones, to look at what is in them before anything runs.
    pub(super) fn regular(&self) -> impl Iterator<Item = &Path> {
        let paths = self.left.as_slice().iter().map(PathBuf::as_path);
        paths.filter(|path| !is_stdin(path) && path.is_file())
    }

    /// Opens the next one. Waits for a writer if it is a FIFO.
    pub(super) fn next(&mut self) -> Option<anyhow::Result<OpenFile>> {
        let path = self.left.next()?;
        Some(open(&path).map(|file| OpenFile {
            name: file.name.filter(|_| self.is_named),
            ..file
        }))
    }
}

/// Opens a file; `-` is standard input.
pub(super) fn open(path: &Path) -> anyhow::Result<OpenFile> {
    let (reader, is_regular): (Box<dyn Read + Send>, _) = match is_stdin(path) {
        true => (Box::new(io::stdin()), stdin_size().is_some()),
        false => {
            let file = File::open(path).with_context(|| cannot_read(path))?;
            let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
            (Box::new(file), is_regular)
        }
    };
    Ok(OpenFile {
        name: Some(in_words(path)),
        reader: BufReader::new(reader),
        is_regular,
    })
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read the input {}", in_words(path))
}

/// The size of a regular file that can be read and is in UTF-8 as far as its beginning tells.
fn check(path: &Path, are_utf8: bool) -> anyhow::Result<Option<u64>> {
    let metadata = fs::metadata(path).with_context(|| cannot_read(path))?;
    // To open a FIFO and close it again would end its writer.
    if !metadata.is_file() {
        return Ok(None);
    }
    let file = File::open(path).with_context(|| cannot_read(path))?;
    if are_utf8 {
        let mut beginning = Vec::new();
        (&file)
            .take(MARK as u64)
            .read_to_end(&mut beginning)
            .with_context(|| cannot_read(path))?;
        encoding::mark_of(&beginning)
            .map_err(|problem| anyhow!("the input {} {problem}", in_words(path)))?;
    }
    Ok(regular_size(&file))
}

/// The size of a regular file. Files of the system that are made up as they are read have none.
fn regular_size(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && metadata.len() > 0).then_some(metadata.len())
}

/// How many bytes there are in a file from where it is read, if that can be known.
fn size_left(file: &File) -> Option<u64> {
    let size = regular_size(file)?;
    let mut file = file;
    let position = file.stream_position().ok()?;
    Some(size.saturating_sub(position))
}

/// The same for standard input, which may be a file.
#[cfg(unix)]
fn stdin_size() -> Option<u64> {
    use std::os::fd::AsFd as _;

    let stdin = io::stdin();
    let handle = stdin.as_fd().try_clone_to_owned().ok()?;
    size_left(&File::from(handle))
}

#[cfg(not(unix))]
fn stdin_size() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_is_no_regular_file_has_no_size() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let size = |paths: &[&Path]| {
            let paths = paths.iter().map(|path| path.to_path_buf());
            Files::new(paths.collect()).check(true).unwrap()
        };
        // Files of the system have no size, although there is something in them.
        assert_eq!(size(&[file.path()]), None);
        file.write_all(b"12\n").unwrap();
        assert_eq!(size(&[file.path()]), Some(3));
        assert_eq!(size(&[file.path(), file.path()]), Some(6));
        assert_eq!(size(&[file.path(), Path::new("/dev/null")]), None);
        assert_eq!(size(&[]), Some(0));
    }

    #[test]
    fn a_file_that_was_read_before_has_the_rest() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"1\n22\n").unwrap();
        file.seek(io::SeekFrom::Start(2)).unwrap();
        assert_eq!(size_left(&file), Some(3));
    }
}
