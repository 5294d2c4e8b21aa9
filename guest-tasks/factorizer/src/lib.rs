//! The reference task: prime factors by trial division, as in Eli Bendersky's article
//! "Parallelizing CPU-bound tasks with concurrent.futures" (2013).
//!
//! As a component these functions are tasks; compiled natively they are an ordinary library, the
//! baseline of the benchmark. They do not know pools.

mod division;

pub use tasks::{factorize, factorize_many, is_prime};

#[wasmpool_guest::tasks]
mod tasks {
    use crate::division;

    /// The prime factors of `n` with multiplicity, ascending; none for 0 and 1.
    ///
    /// Trial division: the time grows with the square root of the second largest factor,
    /// or of `n` where it is prime.
    pub fn factorize(n: u64) -> Vec<u64> {
        division::factorize(n)
    }

    /// The factors of each number, beside the number: a whole chunk as one task.
    pub fn factorize_many(numbers: Vec<u64>) -> Vec<(u64, Vec<u64>)> {
        numbers.into_iter().map(|n| (n, factorize(n))).collect()
    }

    /// Whether `n` is prime.
    pub fn is_prime(n: u64) -> bool {
        n > 1 && division::smallest_divisor(n, 2) == n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_prime_and_multiply_to_the_number() {
        for n in (0..2_000).chain(u64::from(u32::MAX) - 20..u64::from(u32::MAX) + 20) {
            let factors = factorize(n);
            assert!(factors.is_sorted(), "{n}: {factors:?}");
            assert!(
                factors.iter().all(|&factor| is_prime(factor)),
                "{n}: {factors:?}"
            );
            let product = factors.iter().product::<u64>();
            assert_eq!(product, n.max(1), "{n}: {factors:?}");
            assert_eq!(is_prime(n), factors == [n], "{n}: {factors:?}");
        }
    }

    #[test]
    fn the_largest_number_does_not_overflow() {
        assert_eq!(factorize(u64::MAX), [3, 5, 17, 257, 641, 65_537, 6_700_417]);
    }
}
