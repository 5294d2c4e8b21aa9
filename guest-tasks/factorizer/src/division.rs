//! Trial division.
//!
//! Does not know tasks: the kernel `factorize` is the same file, compiled into another guest.

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

/// The smallest divisor of `n` above 1, if none is below `candidate`.
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
            // `candidate` is above the square root of `n`, so `n` is prime. Comparing with the
            // quotient avoids the overflow of a square.
            return n;
        }
        candidate += 2;
    }
}
