//! A report as Markdown: for `docs/benchmarks.md`, with one small table for each question.

use std::fmt::Write as _;

use crate::report::{Question, Report, Target};
use crate::units;

/// The report as Markdown: the targets, and for each question the medians, with a column for
/// each arm.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    preamble(&mut text, report);
    if !report.targets.is_empty() {
        targets(&mut text, &report.targets);
    }
    for question in &report.questions {
        table(&mut text, question);
    }
    for failure in &report.failures {
        line(&mut text, &format!("Failed: {failure}"));
    }
    text
}

fn preamble(text: &mut String, report: &Report) {
    let machine = &report.machine;
    let versions = machine.versions.iter();
    let versions = versions.map(|(name, version)| format!("{name} {version}"));
    line(
        text,
        &format!(
            "On {} ({} threads, {}), {}; {} rounds of all arms by turns, of which the figures \
             are medians.",
            machine.processor,
            machine.parallelism,
            machine.system,
            versions.collect::<Vec<_>>().join(", "),
            report.rounds,
        ),
    );
    for arm in &report.arms {
        let name = match &arm.skipped {
            Some(why) => format!("{} (took no part: {why})", arm.name),
            None => arm.name.clone(),
        };
        writeln!(text, "- `{}`: {name}", arm.id).expect("a String takes all");
    }
    text.push('\n');
}

fn targets(text: &mut String, targets: &[Target]) {
    text.push_str("| target | wanted | measured | met |\n|---|---:|---:|---|\n");
    for target in targets {
        let measured = target.measured.map(|measured| format!("{measured:.2}"));
        let met = match target.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "not measured",
        };
        row(
            text,
            &[
                target.what.clone(),
                target.wanted.clone(),
                measured.unwrap_or_default(),
                met.to_owned(),
            ],
        );
    }
    text.push('\n');
}

fn table(text: &mut String, question: &Question) {
    let (mut subjects, mut arms) = (Vec::new(), Vec::new());
    for row in &question.rows {
        if !subjects.contains(&&row.subject) {
            subjects.push(&row.subject);
        }
        if !arms.contains(&&row.arm) {
            arms.push(&row.arm);
        }
    }
    let mut header = vec![question.title.clone()];
    header.extend(arms.iter().map(|arm| format!("`{arm}`")));
    row(text, &header);
    text.push_str("|---|");
    text.push_str(&"---:|".repeat(arms.len()));
    text.push('\n');
    for subject in subjects {
        let cell = |arm: &&String| {
            let mut rows = question.rows.iter();
            let found = rows.find(|row| row.subject == *subject && row.arm == **arm);
            found.map_or(String::new(), |row| {
                units::value(row.median, &question.unit)
            })
        };
        let mut cells = vec![subject.clone()];
        cells.extend(arms.iter().map(cell));
        row(text, &cells);
    }
    text.push('\n');
    for remark in &question.remarks {
        line(text, remark);
    }
}

fn row(text: &mut String, cells: &[String]) {
    let cells = cells.iter().map(|cell| cell.replace('|', "\\|"));
    let cells = cells.collect::<Vec<_>>().join(" | ");
    writeln!(text, "| {cells} |").expect("a String takes all");
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}\n").expect("a String takes all");
}
