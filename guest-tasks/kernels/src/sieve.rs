//! The sieve of Eratosthenes: bytes written far from one another.

pub(crate) fn run(size: u64) -> u64 {
    let mut is_prime = vec![true; size as usize];
    is_prime.iter_mut().take(2).for_each(|flag| *flag = false);
    let mut n = 2;
    while n * n < is_prime.len() {
        if is_prime[n] {
            let mut multiple = n * n;
            while multiple < is_prime.len() {
                is_prime[multiple] = false;
                multiple += n;
            }
        }
        n += 1;
    }
    is_prime.iter().filter(|&&flag| flag).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_primes_as_known() {
        let known = [
            (10, 4),
            (100, 25),
            (1_000_000, 78_498),
            (10_000_000, 664_579),
        ];
        for (size, primes) in known {
            assert_eq!(run(size), primes);
        }
        // The end does not belong to it.
        assert_eq!([2, 3, 4].map(run), [0, 1, 2]);
    }
}
