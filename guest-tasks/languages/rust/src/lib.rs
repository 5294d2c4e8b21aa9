wit_bindgen::generate!({ path: "../factorize.wit" });

struct Component;

export!(Component);

impl Guest for Component {
    fn factorize(mut n: u64) -> Vec<u64> {
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
