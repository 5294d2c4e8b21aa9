//! The reference task: numbers to factorize, how they are submitted, and the expected result.

use std::time::Duration;

use crate::failure::{Failure, check};

/// How tasks are submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Each after the one before has ended.
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
    /// Factorizes the numbers. Returns the time and the [`digest`] of the factors.
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure>;

    /// Factorizes the numbers and checks the digest. Returns the time without the check.
    fn factorize_checked(&self, work: &Work, how: How) -> Result<Duration, Failure> {
        let (took, digest) = self.factorize(&work.numbers, how)?;
        check(&digest, &work.digest)?;
        Ok(took)
    }
}

/// Numbers to factorize, and the expected digest.
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

/// The input of a trivial task: one division, one factor.
pub(crate) const TINY: u64 = 2;

/// A checksum of the factors of numbers, which depends on the order of both. Python computes the
/// same.
pub(crate) fn digest(results: impl IntoIterator<Item = impl AsRef<[u64]>>) -> u64 {
    let step = |digest: u64, value: u64| digest.wrapping_mul(31).wrapping_add(value);
    results.into_iter().fold(7, |digest, factors| {
        let of_result = factors.as_ref().iter().copied().fold(digest, step);
        step(of_result, factors.as_ref().len() as u64)
    })
}
