//! A run: its arms, its questions, and its samples.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::arms::{Arm, Site};
use crate::failure::Failure;
use crate::plan::{Pace, Topic};
use crate::rounds::{self, Contestant, Samples};

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The current question.
    pub topic: Topic,
    /// How many turns of this question are done.
    pub done: usize,
    /// How many turns the question has.
    pub turns: usize,
}

/// The state that questions are asked with.
pub(crate) struct Bench<'a> {
    pub(crate) site: Site,
    pub(crate) pace: Pace,
    pub(crate) rounds: usize,
    /// The arms that do not take part, and why.
    pub(crate) missing: BTreeMap<Arm, String>,
    pub(crate) progress: &'a mut dyn FnMut(Progress),
    pub(crate) failures: Vec<String>,
    pub(crate) findings: Findings,
}

impl Bench<'_> {
    /// Sets up those of the wanted arms that take part. Records the ones that fail.
    pub(crate) fn set_up<T>(
        &mut self,
        topic: Topic,
        wanted: &[Arm],
        mut set_up: impl FnMut(Arm, &Site) -> Result<T, Failure>,
    ) -> Vec<(Arm, T)> {
        let mut arms = Vec::new();
        for &arm in wanted {
            if self.missing.contains_key(&arm) {
                continue;
            }
            match set_up(arm, &self.site) {
                Ok(ready) => arms.push((arm, ready)),
                Err(failure) => {
                    let (topic, arm) = (topic.name(), arm.id());
                    self.failures.push(format!("{topic}: {arm}: {failure}"));
                }
            }
        }
        arms
    }

    /// Runs the contestants in turns.
    pub(crate) fn play(&mut self, topic: Topic, contestants: Vec<Contestant<'_>>) -> Vec<Samples> {
        let turns = rounds::turns(contestants.len(), self.rounds);
        let mut done = 0;
        let played = rounds::play(contestants, self.rounds, || {
            done += 1;
            (self.progress)(Progress { topic, done, turns });
        });
        let failures = played.failures.into_iter();
        self.failures
            .extend(failures.map(|failure| format!("{}: {failure}", topic.name())));
        played.samples
    }

    /// For how long something small is repeated in each round.
    pub(crate) fn stretch(&self) -> Duration {
        match self.pace {
            Pace::Quick => Duration::from_millis(4),
            Pace::Full => Duration::from_millis(40),
        }
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.pace == Pace::Quick
    }
}

/// All samples of a run: what targets and remarks are computed from.
#[derive(Default)]
pub(crate) struct Findings(Vec<(String, Samples)>);

impl Findings {
    pub(crate) fn add(&mut self, question: &str, samples: &[Samples]) {
        let samples = samples.iter().cloned();
        self.0
            .extend(samples.map(|samples| (question.to_owned(), samples)));
    }

    /// The samples of the arm for the subject, by round.
    pub(crate) fn find(&self, question: &str, subject: &str, arm: Arm) -> Option<&[f64]> {
        let found = self.0.iter().find(|(id, samples)| {
            id == question && samples.subject == subject && samples.arm == arm
        });
        found.map(|(_, samples)| samples.values.as_slice())
    }

    /// The subjects of a question that the arm has samples for, in order.
    pub(crate) fn subjects(&self, question: &str, arm: Arm) -> Vec<&str> {
        let of_arm = self
            .0
            .iter()
            .filter(|(id, samples)| id == question && samples.arm == arm);
        of_arm
            .map(|(_, samples)| samples.subject.as_str())
            .collect()
    }
}

/// The ratios of two arms' samples, by round.
pub(crate) fn ratios(over: &[f64], under: &[f64]) -> Vec<f64> {
    over.iter()
        .zip(under)
        .map(|(over, under)| over / under)
        .collect()
}
