//! Trial division.
//!
//! Knows nothing of tasks: the kernel `factorize` is this same file, compiled into another guest.

/// The prime factors of `n` with multiplicity, ascending; none for 0 and 1.
pub(crate) fn factorize(n: u64) -> Vec<u64> {
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

/// The smallest divisor of `n` but 1, where none is below `candidate`.
pub(crate) fn smallest_divisor(n: u64, mut candidate: u64) -> u64 {
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
