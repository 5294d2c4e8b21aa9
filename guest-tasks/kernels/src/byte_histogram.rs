//! How often each byte occurs: counters that are read, raised and written back.

use crate::random::Random;

pub(crate) fn run(size: u64) -> u64 {
    let counts = histogram(&Random::new().bytes(size as usize));
    counts.iter().fold(0, |sum: u64, count| {
        sum.wrapping_mul(31).wrapping_add(*count)
    })
}

fn histogram(bytes: &[u8]) -> [u64; 256] {
    let mut counts = [0; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_counted_once() {
        let counts = histogram(b"\0\0\xFFabracadabra");
        let count = |byte: u8| counts[usize::from(byte)];
        assert_eq!([0, 255, b'a', b'b', b'c'].map(count), [2, 1, 5, 2, 1]);
        assert_eq!(counts.iter().sum::<u64>(), 14);
    }
}
