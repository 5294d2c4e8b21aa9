//! Prime factors by trial division: 64-bit divisions, one waiting for the other.
//!
//! The numbers are those of Eli Bendersky's article, whose program factorizes 300 of them:
//! 999999999999 and the odd ones after it.

use self::division::factorize;

// The crate `factorizer` cannot be used in another guest, since it is one.
#[path = "division.rs"]
mod division;

pub(crate) fn run(size: u64) -> u64 {
    let numbers = (0..size).map(|index| 999_999_999_999 + 2 * index);
    numbers.fold(0, |sum, n| {
        let factors = factorize(n);
        factors.iter().fold(sum, |sum: u64, factor| {
            sum.wrapping_mul(31).wrapping_add(*factor)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factors_are_those_of_the_reference_task() {
        for n in (0..2_000).chain((0..100).map(|index| 999_999_999_999 + 2 * index)) {
            assert_eq!(factorize(n), factorizer::factorize(n), "{n}");
        }
        assert_eq!(
            factorize(999_999_999_999),
            [3, 3, 3, 7, 11, 13, 37, 101, 9_901]
        );
    }
}
