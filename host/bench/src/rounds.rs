//! Rounds: all contestants of a question alternate, in another order each time, so that
//! disturbances of the machine affect all of them.
//!
//! Does not know what they do.

use std::time::{Duration, Instant};

use crate::arms::Arm;
use crate::failure::Failure;

/// Does something a number of times and returns the time.
type Repeated<'a> = Box<dyn FnMut(usize) -> Result<Duration, Failure> + 'a>;

/// Does something once and returns a value for each subject.
type Once<'a> = Box<dyn FnMut() -> Result<Vec<f64>, Failure> + 'a>;

/// One arm with one subject, or with several subjects that are measured together.
pub(crate) struct Contestant<'a> {
    subjects: Vec<String>,
    arm: Arm,
    measure: Measure<'a>,
    /// One list for each round, with a value for each subject.
    values: Result<Vec<Vec<f64>>, Failure>,
}

enum Measure<'a> {
    /// Repeated to fill a stretch of time; the value is the seconds of one repetition.
    Repeated {
        run: Repeated<'a>,
        stretch: Duration,
        times: usize,
    },
    /// Once in a round; it returns the values.
    Once(Once<'a>),
}

/// The values of one arm for one subject, by round: seconds or bytes, less is better.
#[derive(Debug, Clone)]
pub(crate) struct Samples {
    pub(crate) subject: String,
    pub(crate) arm: Arm,
    pub(crate) values: Vec<f64>,
}

/// The results of the rounds of a question.
#[derive(Default)]
pub(crate) struct Played {
    pub(crate) samples: Vec<Samples>,
    /// The arms that gave up, and why.
    pub(crate) failures: Vec<String>,
}

impl<'a> Contestant<'a> {
    /// A contestant that is repeated for about `stretch` in each round.
    pub(crate) fn repeated(
        subject: impl Into<String>,
        arm: Arm,
        stretch: Duration,
        run: impl FnMut(usize) -> Result<Duration, Failure> + 'a,
    ) -> Self {
        let measure = Measure::Repeated {
            run: Box::new(run),
            stretch,
            times: 1,
        };
        Self::new(vec![subject.into()], arm, measure)
    }

    /// A contestant that runs once in each round and returns its own measurement.
    pub(crate) fn single(
        subject: impl Into<String>,
        arm: Arm,
        mut run: impl FnMut() -> Result<f64, Failure> + 'a,
    ) -> Self {
        Self::several(&[&subject.into()], arm, move || Ok(vec![run()?]))
    }

    /// As [`single`](Self::single), with one value for each of several subjects, in their order.
    pub(crate) fn several(
        subjects: &[&str],
        arm: Arm,
        run: impl FnMut() -> Result<Vec<f64>, Failure> + 'a,
    ) -> Self {
        let subjects = subjects.iter().map(|subject| (*subject).to_owned());
        Self::new(subjects.collect(), arm, Measure::Once(Box::new(run)))
    }

    fn new(subjects: Vec<String>, arm: Arm, measure: Measure<'a>) -> Self {
        Self {
            subjects,
            arm,
            measure,
            values: Ok(Vec::new()),
        }
    }

    /// Runs before the rounds, and finds how many repetitions fill a stretch.
    fn warm_up(&mut self) {
        let warmed = match &mut self.measure {
            Measure::Once(run) => run().map(drop),
            Measure::Repeated {
                run,
                stretch,
                times,
            } => loop {
                match run(*times) {
                    Ok(took) if took < *stretch / 2 => *times *= 2,
                    other => break other.map(drop),
                }
            },
        };
        if let Err(failure) = warmed {
            self.values = Err(failure);
        }
    }

    fn measure(&mut self) {
        let Ok(values) = &mut self.values else {
            return;
        };
        let value = match &mut self.measure {
            Measure::Once(run) => run(),
            Measure::Repeated { run, times, .. } => {
                run(*times).map(|took| vec![took.as_secs_f64() / *times as f64])
            }
        };
        match value {
            Ok(value) => values.push(value),
            Err(failure) => self.values = Err(failure),
        }
    }
}

impl Contestant<'_> {
    fn finish(self, played: &mut Played) {
        let arm = self.arm;
        match self.values {
            Ok(rounds) => {
                let samples = self.subjects.into_iter().enumerate();
                played.samples.extend(samples.map(|(index, subject)| {
                    let values = rounds.iter().map(|values| values[index]).collect();
                    Samples {
                        subject,
                        arm,
                        values,
                    }
                }));
            }
            Err(failure) => {
                let subjects = self.subjects.join("; ");
                let failure = format!("{subjects}: {}: {failure}", arm.id());
                played.failures.push(failure);
            }
        }
    }
}

/// Warms up all contestants, then runs them in turns for the rounds. Calls `tick` at each turn.
pub(crate) fn play(
    mut contestants: Vec<Contestant<'_>>,
    rounds: usize,
    mut tick: impl FnMut(),
) -> Played {
    for contestant in &mut contestants {
        contestant.warm_up();
        tick();
    }
    // A fixed seed: every run has the same orders.
    let mut random = fastrand::Rng::with_seed(1);
    let mut order = (0..contestants.len()).collect::<Vec<_>>();
    for _ in 0..rounds {
        random.shuffle(&mut order);
        for &index in &order {
            contestants[index].measure();
            tick();
        }
    }
    let mut played = Played::default();
    for contestant in contestants {
        contestant.finish(&mut played);
    }
    // By subject, in order of first appearance.
    let subjects = played.samples.iter().map(|samples| samples.subject.clone());
    let subjects = subjects.collect::<Vec<_>>();
    let first = |samples: &Samples| subjects.iter().position(|name| *name == samples.subject);
    played.samples.sort_by_key(first);
    played
}

/// How many turns [`play`] has.
pub(crate) fn turns(n_contestants: usize, rounds: usize) -> usize {
    n_contestants * (rounds + 1)
}

/// Measures the time of something that has a result.
pub(crate) fn clocked<T>(
    run: impl FnOnce() -> Result<T, Failure>,
) -> Result<(Duration, T), Failure> {
    let started = Instant::now();
    let result = run()?;
    Ok((started.elapsed(), result))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn all_contestants_are_in_every_round_in_changing_order() {
        let turns = RefCell::new(Vec::new());
        let contestant = |arm: Arm| {
            let turns = &turns;
            Contestant::single("subject", arm, move || {
                turns.borrow_mut().push(arm);
                Ok(1.0)
            })
        };
        let contestants = vec![contestant(Arm::Warm), contestant(Arm::Fresh)];
        let played = play(contestants, 20, || ());
        assert!(
            played
                .samples
                .iter()
                .all(|samples| samples.values.len() == 20)
        );
        let turns = turns.into_inner();
        let rounds = turns[2..].chunks(2).collect::<Vec<_>>();
        assert!(rounds.iter().all(|round| round[0] != round[1]));
        assert!(rounds.contains(&&[Arm::Warm, Arm::Fresh][..]));
        assert!(rounds.contains(&&[Arm::Fresh, Arm::Warm][..]));
    }

    #[test]
    fn a_repeated_run_fills_its_stretch_and_gives_the_time_of_one() {
        let most = Cell::new(0);
        let stretch = Duration::from_millis(10);
        let contestant = Contestant::repeated("subject", Arm::Warm, stretch, |times| {
            most.set(times);
            Ok(Duration::from_millis(1) * u32::try_from(times).unwrap())
        });
        let played = play(vec![contestant], 3, || ());
        assert_eq!(most.get(), 8);
        assert_eq!(played.samples[0].values, [0.001; 3]);
    }

    #[test]
    fn subjects_measured_together_have_samples_of_their_own() {
        let both = |arm| Contestant::several(&["time", "count"], arm, || Ok(vec![1.0, 2.0]));
        let played = play(vec![both(Arm::Warm), both(Arm::Fresh)], 6, || ());
        let rows = played.samples.iter();
        let rows = rows.map(|row| (row.subject.as_str(), row.arm, row.values[5]));
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                ("time", Arm::Warm, 1.0),
                ("time", Arm::Fresh, 1.0),
                ("count", Arm::Warm, 2.0),
                ("count", Arm::Fresh, 2.0),
            ]
        );
    }

    #[test]
    fn a_contestant_that_gives_up_is_reported_and_the_others_go_on() {
        let mut left = 3;
        let quitter = Contestant::single("subject", Arm::Python, || {
            left -= 1;
            match left {
                0 => Err(Failure::new("no more")),
                _ => Ok(1.0),
            }
        });
        let other = Contestant::single("subject", Arm::Warm, || Ok(2.0));
        let played = play(vec![quitter, other], 6, || ());
        assert_eq!(played.failures, ["subject: python: no more"]);
        assert_eq!(played.samples.len(), 1);
        assert_eq!(played.samples[0].values, [2.0; 6]);
    }
}
