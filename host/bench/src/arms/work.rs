//! The reference task: numbers to factorize, how they are handed over, and what must come out.

use std::time::Duration;

use crate::failure::{Failure, check};

/// How tasks are handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The next one when the one before is done.
    OneByOne,
    /// All at once, each a message of its own.
    Together,
    /// All at once, [`CHUNK`] in a message.
    Chunks,
}

/// Tasks in a chunk.
pub(crate) const CHUNK: usize = 64;

/// An arm that factorizes numbers, each a task.
pub(crate) trait Factorizes {
    /// Factorizes the numbers. Says how long it took, and the [`digest`] of the factors.
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure>;

    /// Factorizes the numbers and compares what comes out. Says how long the first took.
    fn factorize_checked(&self, work: &Work, how: How) -> Result<Duration, Failure> {
        let (took, digest) = self.factorize(&work.numbers, how)?;
        check(&digest, &work.digest)?;
        Ok(took)
    }
}

/// Numbers to factorize, and what must come out.
pub(crate) struct Work {
    pub(crate) numbers: Vec<u64>,
    digest: u64,
}

impl Work {
    pub(crate) fn new(numbers: Vec<u64>) -> Self {
        let digest = digest(numbers.iter().map(|&n| factorizer::factorize(n)));
        Self { numbers, digest }
    }

    /// The same small number again and again.
    pub(crate) fn tiny(times: usize) -> Self {
        Self::new(vec![TINY; times])
    }
}

/// A task of next to nothing: one division, one factor.
pub(crate) const TINY: u64 = 2;

/// A number for the factors of numbers, to which the order of both matters. Python computes the
/// same.
pub(crate) fn digest(results: impl IntoIterator<Item = impl AsRef<[u64]>>) -> u64 {
    let step = |digest: u64, value: u64| digest.wrapping_mul(31).wrapping_add(value);
    results.into_iter().fold(7, |digest, factors| {
        let of_result = factors.as_ref().iter().copied().fold(digest, step);
        step(of_result, factors.as_ref().len() as u64)
    })
}
