//! The form that most answers have: times, beside those of fresh instances.

use crate::arms::Arm;
use crate::bench::Bench;
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Samples;
use crate::table::{Shown, rows};

/// The answer to a question about times. Adds it to the findings.
pub(super) fn of_times(
    bench: &mut Bench<'_>,
    topic: Topic,
    method: impl Into<String>,
    samples: &[Samples],
) -> Question {
    bench.findings.add(topic.name(), samples);
    let shown = Shown {
        baseline: Some(Arm::Fresh),
        amount: None,
    };
    Question {
        id: topic.name().to_owned(),
        title: topic.title().to_owned(),
        method: method.into(),
        unit: "s".to_owned(),
        more_is_better: false,
        rows: rows(samples, &shown),
        remarks: Vec::new(),
    }
}
