//! The throughput with more workers.

use crate::arms::{Arm, Factorizes, How, Site, Work, factorizer};
use crate::bench::{Bench, Findings, ratios};
use crate::failure::Failure;
use crate::kernels;
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;
use crate::statistics::median;
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Scaling;

const ARMS: &[Arm] = &[
    Arm::Native,
    Arm::Warm,
    Arm::Fresh,
    Arm::Unchecked,
    Arm::Processes,
];

/// How many numbers per worker, for the most workers.
const NUMBERS_EACH: usize = 192;
const NUMBERS_EACH_QUICK: usize = 48;

fn subject(workers: usize) -> String {
    match workers {
        1 => "1 worker".to_owned(),
        workers => format!("{workers} workers"),
    }
}

/// 1, 2, 4, and so on up to `most`, which is always included.
fn steps(most: usize) -> Vec<usize> {
    let doubled = std::iter::successors(Some(1), |workers| Some(workers * 2));
    let mut steps = doubled
        .take_while(|workers| *workers < most)
        .collect::<Vec<_>>();
    steps.push(most);
    steps
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let most = bench.site.workers;
    let steps = steps(most);
    let each = match bench.is_quick() {
        true => NUMBERS_EACH_QUICK,
        false => NUMBERS_EACH,
    };
    let work = Work::new(kernels::article_numbers(each * most));
    let n_numbers = work.numbers.len() as f64;
    let pools = bench.set_up(TOPIC, ARMS, |arm, site: &Site| {
        let start = |workers: &usize| factorizer(arm, &site.with_workers(*workers));
        steps.iter().map(start).collect::<Result<Vec<_>, Failure>>()
    });
    let mut contestants = Vec::new();
    for (index, workers) in steps.iter().enumerate() {
        for (arm, pools) in &pools {
            let (pool, work): (&dyn Factorizes, _) = (&*pools[index], &work);
            contestants.push(Contestant::single(subject(*workers), *arm, move || {
                let took = pool.factorize_checked(work, How::Together)?;
                Ok(took.as_secs_f64() / n_numbers)
            }));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    bench.findings.add(TOPIC.name(), &samples);
    let shown = Shown {
        baseline: Some(Arm::Native),
        amount: Some(&|_| 1.0),
    };
    let mut remarks = ARMS
        .iter()
        .filter_map(|arm| efficiency(&bench.findings, *arm, most))
        .collect::<Vec<_>>();
    if most == 1 {
        remarks.push("There is only one worker: this machine runs no more at once.".to_owned());
    }
    Question {
        id: TOPIC.name().to_owned(),
        title: TOPIC.title().to_owned(),
        method: format!(
            "{} numbers from {} in steps of 2 are factorized, each a task, all submitted at \
             once. The value is tasks per second. Ratios are of the time.",
            work.numbers.len(),
            work.numbers[0]
        ),
        unit: "1/s".to_owned(),
        more_is_better: true,
        rows: rows(&samples, &shown),
        remarks,
    }
}

/// The speed-up of the workers, and how much of the ideal it is.
fn efficiency(findings: &Findings, arm: Arm, workers: usize) -> Option<String> {
    let of_one = findings.find(TOPIC.name(), &subject(1), arm)?;
    let of_all = findings.find(TOPIC.name(), &subject(workers), arm)?;
    let gain = median(&ratios(of_one, of_all));
    (workers > 1).then(|| {
        format!(
            "{}: {workers} workers do {gain:.2} times as much as one, {:.0} % of the ideal.",
            arm.id(),
            gain / workers as f64 * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_and_end_at_the_most() {
        assert_eq!(steps(1), [1]);
        assert_eq!(steps(2), [1, 2]);
        assert_eq!(steps(6), [1, 2, 4, 6]);
        assert_eq!(steps(8), [1, 2, 4, 8]);
    }
}
