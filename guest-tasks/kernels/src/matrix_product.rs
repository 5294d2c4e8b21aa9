//! The product of two matrices: floating-point numbers in rows, which compilers vectorize.

use crate::random::Random;

pub(crate) fn run(size: u64) -> u64 {
    let n = size as usize;
    let mut random = Random::new();
    let mut matrix = || (0..n * n).map(|_| random.fraction()).collect::<Vec<_>>();
    let (a, b) = (matrix(), matrix());
    let bits = product(&a, &b, n).into_iter().map(f64::to_bits);
    bits.fold(0, |sum, bits| sum.rotate_left(1) ^ bits)
}

/// `a` times `b`, both square with `n` rows, one row after the other.
fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut product = vec![0.0; n * n];
    if n == 0 {
        return product;
    }
    for (sums, a_row) in product.chunks_exact_mut(n).zip(a.chunks_exact(n)) {
        // Row by row of `b`, so that memory is read sequentially.
        for (factor, b_row) in a_row.iter().zip(b.chunks_exact(n)) {
            for (sum, value) in sums.iter_mut().zip(b_row) {
                *sum += factor * value;
            }
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_by_hand() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]);
        assert_eq!(product(&a, &b, 2), [19.0, 22.0, 43.0, 50.0]);
    }

    /// `u` times its transpose, for a row `u`, has the squares in its diagonal.
    #[test]
    fn a_column_times_a_row_has_all_products() {
        let n = 30;
        let (mut column, mut row) = (vec![0.0; n * n], vec![0.0; n * n]);
        for index in 0..n {
            column[index * n] = index as f64;
            row[index] = index as f64;
        }
        let products = product(&column, &row, n);
        for (index, value) in products.into_iter().enumerate() {
            assert_eq!(value, ((index / n) * (index % n)) as f64);
        }
    }
}
