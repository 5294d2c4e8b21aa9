//! The file of the results, and what an earlier run has left in it.
//!
//! While a run writes, the file is a log: lines are added at its end, and of several lines of one
//! input the last one counts. So a run can be killed at any time. At its end the file is put in
//! order where that is needed.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::visible::visible_json;

/// What is done with outcomes that are in the file before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Earlier {
    /// The file is refused.
    Refused,
    /// Their inputs are skipped.
    Kept,
    /// The same, except that failed ones run again.
    KeptUnlessFailed,
}

/// The file of the results.
pub(super) struct Results {
    path: PathBuf,
    file: File,
}

/// The outcomes that are there before the run.
#[derive(Default)]
pub(super) struct Done {
    outcomes: HashMap<u64, Known>,
    /// Whether failed ones count.
    runs_failed: bool,
    /// The greatest index.
    pub(super) last: Option<u64>,
    /// Whether some line is behind one of the same or of a greater index.
    pub(super) is_disordered: bool,
    /// Whether some line is replaced by another one, now or by the end of the run.
    pub(super) has_replaced: bool,
}

/// What is known of an outcome.
struct Known {
    /// The hash of its input.
    input: u64,
    has_failed: bool,
}

/// What is to be done with an input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Run,
    /// Its outcome is there.
    Skip {
        has_failed: bool,
    },
    /// The outcome of another input is there.
    Mismatch,
}

/// A line of the file.
struct Found<'a> {
    offset: u64,
    length: u64,
    outcome: Outcome<'a>,
}

/// What has to be in a line.
#[derive(Deserialize)]
struct Outcome<'a> {
    index: u64,
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

impl Results {
    /// Opens the file, or creates it. A line that was torn when the program was killed is cut off.
    pub(super) fn open(path: &Path, earlier: Earlier) -> anyhow::Result<(Self, Done)> {
        let name = path.display();
        let cannot_write = || format!("cannot write the results `{name}`");
        let is_special = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
        if is_special {
            if earlier != Earlier::Refused {
                bail!("`{name}` is no regular file: a run that writes to it cannot be resumed");
            }
            let file = OpenOptions::new().write(true).open(path);
            let file = file.with_context(cannot_write)?;
            let path = path.to_owned();
            return Ok((Self { path, file }, Done::default()));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).with_context(cannot_write)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => bail!("another run is writing to `{name}`"),
            // Some file systems have no locks.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let done = match earlier {
            Earlier::Refused if file.metadata().with_context(cannot_write)?.len() > 0 => bail!(
                "`{name}` is there already: `--resume` goes on with it; to begin anew, delete it \
                 or name another file"
            ),
            Earlier::Refused => Done::default(),
            Earlier::Kept => Done::read(&mut file, &name.to_string(), false)?,
            Earlier::KeptUnlessFailed => Done::read(&mut file, &name.to_string(), true)?,
        };
        file.seek(SeekFrom::End(0)).with_context(cannot_write)?;
        // If it is a link, what it leads to is what will be replaced.
        let path = fs::canonicalize(path).with_context(cannot_write)?;
        Ok((Self { path, file }, done))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for lines.
    pub(super) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Leaves the last line of each index, in the order of the indices or of completion. Readers
    /// see the file as it was or as it will be.
    pub(super) fn put_in_order(mut self, by_index: bool) -> anyhow::Result<()> {
        let name = self.path.display().to_string();
        let mut lines = Vec::new();
        each_line(&mut self.file, &name, |line| {
            lines.push((line.outcome.index, line.offset, line.length));
        })?;
        // The last line of an index comes first among its lines, and is the one that is kept.
        lines.sort_unstable_by_key(|(index, offset, _)| (*index, std::cmp::Reverse(*offset)));
        lines.dedup_by_key(|(index, ..)| *index);
        if !by_index {
            lines.sort_unstable_by_key(|(_, offset, _)| *offset);
        }
        self.replace(&lines)
            .with_context(|| format!("all outcomes are in `{name}`, but cannot be put in order"))
    }

    fn replace(&mut self, lines: &[(u64, u64, u64)]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let mut ordered = BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
        for (_, offset, length) in lines {
            self.file.seek(SeekFrom::Start(*offset))?;
            io::copy(&mut (&self.file).take(*length), &mut ordered)?;
        }
        let ordered = ordered.into_inner().map_err(|error| error.into_error())?;
        let permissions = self.file.metadata()?.permissions();
        ordered.as_file().set_permissions(permissions)?;
        // What replaces the results must be there even if the machine stops now.
        ordered.as_file().sync_all()?;
        ordered.persist(&self.path)?;
        Ok(())
    }
}

impl Done {
    /// Reads the outcomes of an earlier run, and cuts off the last line if it is torn.
    fn read(file: &mut File, name: &str, runs_failed: bool) -> anyhow::Result<Self> {
        let mut done = Self {
            runs_failed,
            ..Self::default()
        };
        let end = each_line(file, name, |line| done.add(&line.outcome))?;
        done.has_replaced |= runs_failed && done.outcomes.values().any(|known| known.has_failed);
        file.set_len(end)
            .with_context(|| format!("cannot write the results `{name}`"))?;
        Ok(done)
    }

    fn add(&mut self, outcome: &Outcome<'_>) {
        self.is_disordered |= self.last.is_some_and(|last| last >= outcome.index);
        self.last = self.last.max(Some(outcome.index));
        let known = Known {
            input: hash(outcome.input.get().as_bytes()),
            has_failed: outcome.error.is_some(),
        };
        let earlier = self.outcomes.insert(outcome.index, known);
        self.has_replaced |= earlier.is_some();
    }

    /// What is to be done with the input of this index.
    pub(super) fn verdict(&self, index: u64, input: &RawValue) -> Verdict {
        let Some(known) = self.outcomes.get(&index) else {
            return Verdict::Run;
        };
        // As it is written in the lines.
        let input = visible_json(input.get().as_bytes().to_owned());
        match known.has_failed {
            _ if known.input != hash(&input) => Verdict::Mismatch,
            true if self.runs_failed => Verdict::Run,
            has_failed => Verdict::Skip { has_failed },
        }
    }

    /// The index of an outcome for which there is no input if there are so many.
    pub(super) fn beyond(&self, n_inputs: u64) -> Option<u64> {
        self.last.filter(|last| *last >= n_inputs)
    }
}

/// Calls `take` with each whole line. Returns where the last one ends.
fn each_line(file: &mut File, name: &str, mut take: impl FnMut(Found<'_>)) -> anyhow::Result<u64> {
    let cannot_read = || format!("cannot read the results `{name}`");
    file.seek(SeekFrom::Start(0)).with_context(cannot_read)?;
    let mut reader = BufReader::new(file);
    let (mut offset, mut number, mut line) = (0, 0_u64, Vec::new());
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line);
        let length = length.with_context(cannot_read)? as u64;
        if !line.ends_with(b"\n") {
            return Ok(offset);
        }
        number += 1;
        let outcome = serde_json::from_slice(&line).map_err(|error| {
            anyhow!(
                "`{name}`, line {number}: not an outcome of `wasmpool run`: {error}; without this \
                 line its input would run again"
            )
        })?;
        take(Found {
            offset,
            length,
            outcome,
        });
        offset += length;
    }
}

fn hash(input: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with these lines, of which the last one may be torn, and what is read of it.
    fn open(content: &str, earlier: Earlier) -> (tempfile::NamedTempFile, Results, Done) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        let (results, done) = Results::open(file.path(), earlier).unwrap();
        (file, results, done)
    }

    fn verdict(done: &Done, index: u64, input: &str) -> Verdict {
        done.verdict(index, &RawValue::from_string(input.to_owned()).unwrap())
    }

    const LINES: &str = "{\"index\":2,\"input\":\"\\u007f\",\"output\":1}\n\
                         {\"index\":0,\"input\":[1, 2],\"error\":{\"kind\":\"trap\"}}\n";

    #[test]
    fn outcomes_are_found_by_index_and_input() {
        let (_file, _, done) = open(LINES, Earlier::Kept);
        let skipped = |has_failed| Verdict::Skip { has_failed };
        // The text was escaped for a terminal.
        assert_eq!(verdict(&done, 2, "\"\u{7f}\""), skipped(false));
        assert_eq!(verdict(&done, 0, "[1, 2]"), skipped(true));
        assert_eq!(verdict(&done, 0, "[1, 3]"), Verdict::Mismatch);
        assert_eq!(verdict(&done, 1, "7"), Verdict::Run);
        assert_eq!((done.beyond(3), done.beyond(2)), (None, Some(2)));
        assert!(done.is_disordered && !done.has_replaced);
        let (_file, _, done) = open(LINES, Earlier::KeptUnlessFailed);
        assert_eq!(verdict(&done, 2, "\"\u{7f}\""), skipped(false));
        assert_eq!(verdict(&done, 0, "[1, 2]"), Verdict::Run);
        assert_eq!(verdict(&done, 0, "[1, 3]"), Verdict::Mismatch);
        assert!(done.has_replaced);
    }

    #[test]
    fn a_torn_line_is_cut_off_wherever_it_is_torn() {
        let whole = LINES.len();
        let torn = format!("{LINES}{{\"index\":1,\"input\":5,\"output\":[5]}}");
        for end in whole..=torn.len() {
            let (file, _, done) = open(&torn[..end], Earlier::Kept);
            assert_eq!(fs::read_to_string(file.path()).unwrap(), LINES);
            assert_eq!(verdict(&done, 1, "5"), Verdict::Run);
        }
    }

    #[test]
    fn the_last_line_of_an_index_counts() {
        let lines = ["3:a", "1:b", "3:c", "0:d", "1:e"].map(|line| {
            let (index, output) = line.split_once(':').unwrap();
            format!("{{\"index\":{index},\"input\":0,\"output\":\"{output}\"}}\n")
        });
        for (by_index, order) in [(true, [3, 4, 2]), (false, [2, 3, 4])] {
            let (file, results, done) = open(&lines.concat(), Earlier::Kept);
            assert!(done.has_replaced);
            results.put_in_order(by_index).unwrap();
            let expected = order.map(|line| lines[line].clone()).concat();
            assert_eq!(fs::read_to_string(file.path()).unwrap(), expected);
        }
    }
}
