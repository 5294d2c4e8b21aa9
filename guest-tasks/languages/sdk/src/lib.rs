#[wasmpool_guest::tasks]
mod tasks {
    /// The prime factors of `n` with multiplicity, ascending; none for 0 and 1.
    pub fn factorize(mut n: u64) -> Vec<u64> {
        let mut factors = Vec::new();
        let mut divisor = 2;
        while n > 1 {
            if divisor > n / divisor {
                divisor = n; // what is left is prime
            }
            while n.is_multiple_of(divisor) {
                factors.push(divisor);
                n /= divisor;
            }
            divisor += if divisor == 2 { 1 } else { 2 };
        }
        factors
    }
}

#[test]
fn factors_multiply_to_the_number() {
    assert_eq!(tasks::factorize(360), [2, 2, 2, 3, 3, 5]);
}
