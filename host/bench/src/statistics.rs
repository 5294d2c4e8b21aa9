//! Statistics of the values of the rounds: medians and confidence intervals.
//!
//! Does not know what the values are.

/// The fewest values for which there is a 95 % interval of the median.
pub const MIN_ROUNDS: usize = 6;

/// The median; of an even number of values the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

/// A confidence interval of the median, of at least 95 %, without assumptions on the distribution
/// of the values: from one of the sorted values to another one.
///
/// Each value is below the true median with probability one half, so the number of such values is
/// binomial. The interval from the value at index `k` to the one as far from the other end misses
/// the median if `k` or fewer values are below it, or `k` or fewer are above. The largest `k` for
/// 95 % is used. Source: J.-Y. Le Boudec, *Performance Evaluation of Computer and Communication
/// Systems*, theorem 2.1, and the table for the median in its appendix A.
///
/// For fewer than [`MIN_ROUNDS`] values there is no such interval; the result is the whole range.
pub(crate) fn interval(values: &[f64]) -> [f64; 2] {
    let sorted = sorted(values);
    let rank = interval_rank(sorted.len());
    [sorted[rank], sorted[sorted.len() - 1 - rank]]
}

/// The `k` of [`interval`].
fn interval_rank(n_values: usize) -> usize {
    /// The probability of a miss, at both ends together.
    const MISSED: f64 = 0.05;
    let mut rank = 0;
    // The probability that exactly `index` values are below the median, and that at most `index`
    // are.
    let mut chance = 0.5_f64.powi(i32::try_from(n_values).expect("nobody waits for so many"));
    let mut at_most = chance;
    for index in 1..n_values / 2 {
        chance *= (n_values - index + 1) as f64 / index as f64;
        at_most += chance;
        if 2.0 * at_most > MISSED {
            break;
        }
        rank = index;
    }
    rank
}

pub(crate) fn min(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

pub(crate) fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The mean of ratios: of 2 and 1/2 it is 1.
pub(crate) fn geometric_mean(values: &[f64]) -> f64 {
    let logarithms = values.iter().map(|value| value.ln()).sum::<f64>();
    (logarithms / values.len() as f64).exp()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(median(&[9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), 3.0);
    }

    #[test]
    fn intervals_are_those_of_the_published_table() {
        // Le Boudec, table A.1: ranks from 1.
        for (n_values, low, high) in [
            (6, 1, 6),
            (9, 2, 8),
            (10, 2, 9),
            (12, 3, 10),
            (15, 4, 12),
            (17, 5, 13),
            (20, 6, 15),
            (25, 8, 18),
            (30, 10, 21),
            (50, 18, 33),
        ] {
            let values = (1..=n_values).map(f64::from).rev().collect::<Vec<_>>();
            assert_eq!(
                interval(&values),
                [f64::from(low), f64::from(high)],
                "{n_values}"
            );
        }
    }

    #[test]
    fn few_values_have_the_widest_interval() {
        assert_eq!(interval(&[3.0]), [3.0, 3.0]);
        assert_eq!(interval(&[5.0, 3.0, 4.0]), [3.0, 5.0]);
    }

    #[test]
    fn the_interval_holds_the_median_as_often_as_it_says() {
        // Of a thousand draws of twelve values, 961 are expected and 95 % are promised.
        let mut random = fastrand::Rng::with_seed(7);
        let holds = |_: &i32| {
            let values = std::array::from_fn::<_, 12, _>(|_| random.f64().powi(3));
            let [low, high] = interval(&values);
            (low..=high).contains(&0.125)
        };
        let n_held = (0..1000).filter(holds).count();
        assert!((940..=980).contains(&n_held), "{n_held}");
    }

    #[test]
    fn the_geometric_mean_is_that_of_ratios() {
        assert!((geometric_mean(&[2.0, 0.5]) - 1.0).abs() < 1e-12);
        assert!((geometric_mean(&[1.0, 8.0]) - 8.0_f64.sqrt()).abs() < 1e-12);
    }
}
