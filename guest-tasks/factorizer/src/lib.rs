//! The reference task: prime factors by trial division, as in Eli Bendersky's article
//! "Parallelizing CPU-bound tasks with concurrent.futures" (2013).
//!
//! As a component these functions are tasks; compiled natively they are an ordinary
//! library, the baseline that the sandbox is measured against. They know nothing of pools.

pub use tasks::{factorize, factorize_many, is_prime};

#[wasmpool_guest::tasks]
mod tasks {
    /// The prime factors of `n` with multiplicity, ascending; none for 0 and 1.
    ///
    /// Trial division: the time grows with the square root of the second largest factor,
    /// or of `n` where it is prime.
    pub fn factorize(n: u64) -> Vec<u64> {
        let mut factors = Vec::new();
        let mut rest = n;
        let mut divisor = 2;
        while rest > 1 {
            divisor = smallest_divisor(rest, divisor);
            factors.push(divisor);
            rest /= divisor;
        }
        factors
    }

    /// The factors of each number, beside the number: a whole chunk as one task.
    pub fn factorize_many(numbers: Vec<u64>) -> Vec<(u64, Vec<u64>)> {
        numbers.into_iter().map(|n| (n, factorize(n))).collect()
    }

    /// Whether `n` is prime.
    pub fn is_prime(n: u64) -> bool {
        n > 1 && smallest_divisor(n, 2) == n
    }

    /// The smallest divisor of `n` but 1, where none is below `candidate`.
    fn smallest_divisor(n: u64, mut candidate: u64) -> u64 {
        if n.is_multiple_of(2) {
            return 2;
        }
        candidate = candidate.max(3);
        loop {
            let quotient = n / candidate;
            if quotient * candidate == n {
                return candidate;
            }
            if quotient < candidate {
                // It is beyond the square root of `n`, which is prime then. The quotient tells
                // so without squaring a number that may not fit.
                return n;
            }
            candidate += 2;
        }
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
