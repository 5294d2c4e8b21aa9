//! How often the first `n` numbers of a permutation must be reversed until it begins with 1, where
//! `n` is its first number. Small arrays, read and written at computed places.
//!
//! After the program of that name in the Computer Language Benchmarks Game.

pub(crate) fn run(size: u64) -> u64 {
    let (checksum, flips) = fannkuch(size as usize);
    checksum as u64 ^ (flips << 48)
}

const MOST: usize = 16;

/// The checksum over all permutations of `n` numbers, and the most flips of any.
fn fannkuch(n: usize) -> (i64, u64) {
    assert!(n <= MOST, "it would take a lifetime");
    let mut permutation: [usize; MOST] = std::array::from_fn(|index| index);
    let mut rotations = [0; MOST];
    let (mut checksum, mut most_flips) = (0, 0);
    let mut is_even = true;
    loop {
        let flips = count_flips(permutation);
        checksum += if is_even {
            flips as i64
        } else {
            -(flips as i64)
        };
        most_flips = most_flips.max(flips);
        is_even = !is_even;
        // The next permutation: rotates the first two numbers. When they are back in place, rotates
        // the first three, and so on.
        let mut end = 1;
        loop {
            if end >= n {
                return (checksum, most_flips);
            }
            let first = permutation[0];
            for index in 0..end {
                permutation[index] = permutation[index + 1];
            }
            permutation[end] = first;
            rotations[end] += 1;
            if rotations[end] <= end {
                break;
            }
            rotations[end] = 0;
            end += 1;
        }
    }
}

fn count_flips(mut permutation: [usize; MOST]) -> u64 {
    let mut flips = 0;
    while permutation[0] != 0 {
        let first = permutation[0];
        permutation[..=first].reverse();
        flips += 1;
    }
    flips
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_and_flips_are_the_published_ones() {
        assert_eq!(fannkuch(7), (228, 16));
        assert_eq!(fannkuch(10), (73_196, 38));
    }
}
