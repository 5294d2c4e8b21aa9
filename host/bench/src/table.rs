//! From samples to the rows of a question.

use crate::arms::Arm;
use crate::bench::ratios;
use crate::report::{Ratio, Row};
use crate::rounds::Samples;
use crate::statistics::{interval, max, median, min};

/// How the samples of a question are shown.
pub(crate) struct Shown<'a> {
    /// The arm that the others are compared with.
    pub(crate) baseline: Option<Arm>,
    /// The amount that is divided by a subject's samples, which gives a rate. `None` if the
    /// samples are shown as they are.
    pub(crate) amount: Option<&'a dyn Fn(&str) -> f64>,
}

/// One row for each arm and subject, in the order of the samples. Ratios are of the samples, so of
/// time, even if the values are rates.
pub(crate) fn rows(samples: &[Samples], shown: &Shown<'_>) -> Vec<Row> {
    let row = |of_arm: &Samples| {
        let amount = shown.amount.map(|amount| amount(&of_arm.subject));
        let values = match amount {
            Some(amount) => of_arm.values.iter().map(|value| amount / value).collect(),
            None => of_arm.values.clone(),
        };
        Row {
            subject: of_arm.subject.clone(),
            arm: of_arm.arm.id().to_owned(),
            median: median(&values),
            best: match amount {
                Some(_) => max(&values),
                None => min(&values),
            },
            interval: interval(&values),
            ratio: ratio(of_arm, samples, shown.baseline),
        }
    };
    samples.iter().map(row).collect()
}

fn ratio(of_arm: &Samples, all: &[Samples], baseline: Option<Arm>) -> Option<Ratio> {
    let baseline = baseline.filter(|baseline| *baseline != of_arm.arm)?;
    let rival = all
        .iter()
        .find(|samples| samples.subject == of_arm.subject && samples.arm == baseline)?;
    let ratios = ratios(&of_arm.values, &rival.values);
    Some(Ratio {
        to: baseline.id().to_owned(),
        median: median(&ratios),
        min: min(&ratios),
        interval: interval(&ratios),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(arm: Arm, values: &[f64]) -> Samples {
        Samples {
            subject: "subject".to_owned(),
            arm,
            values: values.to_vec(),
        }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // A disturbance of both in the second round does not change the ratio.
        let all = [
            samples(Arm::Fresh, &[1.0, 10.0, 1.0]),
            samples(Arm::Process, &[2.0, 20.0, 4.0]),
        ];
        let shown = Shown {
            baseline: Some(Arm::Fresh),
            amount: None,
        };
        let rows = rows(&all, &shown);
        assert!(rows[0].ratio.is_none());
        assert_eq!((rows[1].median, rows[1].best), (4.0, 2.0));
        let ratio = rows[1].ratio.as_ref().unwrap();
        assert_eq!(
            (ratio.median, ratio.min, ratio.interval),
            (2.0, 2.0, [2.0, 4.0])
        );
        assert_eq!(ratio.to, "fresh");
    }

    #[test]
    fn rates_are_best_at_their_highest_and_compared_by_time() {
        let all = [
            samples(Arm::Copies, &[1.0, 2.0, 4.0]),
            samples(Arm::Warm, &[2.0, 4.0, 8.0]),
        ];
        let shown = Shown {
            baseline: Some(Arm::Copies),
            amount: Some(&|_| 8.0),
        };
        let rows = rows(&all, &shown);
        assert_eq!((rows[0].median, rows[0].best), (4.0, 8.0));
        assert_eq!(rows[1].median, 2.0);
        assert_eq!(rows[1].ratio.as_ref().unwrap().median, 2.0);
    }
}
