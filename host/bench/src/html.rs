//! A report as a page: one file that loads nothing, for a screen of any width and for paper.
//!
//! Does no arithmetic on what was measured, but for where to draw it. All text of the report is
//! escaped by `maud`; ids and links of the page are never made of it unchecked.

mod bars;
mod label;
mod legend;
mod lines;
mod scale;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use self::bars::{Bar, Bars};
use self::legend::Legend;
use self::lines::Lines;
use self::scale::Scale;
use crate::report::{Machine, Question, Report, Row, Target};
use crate::units;

/// A table of more rows is folded until its reader wants it, but on paper.
const OPEN_ROWS: usize = 24;
/// How many bars of several subjects may share a chart.
const ONE_CHART: usize = 16;

/// The report as one self-contained page of HTML.
///
/// It needs no network and no script, and forbids itself both.
pub fn html(report: &Report) -> String {
    let legend = Legend::new(&report.arms);
    let ids = ids(&report.questions);
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Whatever might slip in from a report: nothing is loaded and nothing runs.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="wasmpool bench";
                // Else a browser asks the server for one.
                link rel="icon" href="data:,";
                title { "What isolation costs · wasmpool bench, " (day(&report.started)) }
                style { (PreEscaped(include_str!("html/style.css"))) }
            }
            body {
                (legend::shapes())
                (header(report))
                (contents(report, &ids))
                main {
                    (failures(&report.failures))
                    (targets(&report.targets))
                    (machine(&report.machine))
                    (arms(report, &legend))
                    @for (question, id) in report.questions.iter().zip(&ids) {
                        (answer(question, id, &legend))
                    }
                    (caveats(&report.caveats))
                }
                footer {
                    p { "Made by " code { "wasmpool bench" } ". All of it is in this file; it loads nothing." }
                }
            }
        }
    };
    page.into_string()
}

fn header(report: &Report) -> Markup {
    let took_part = report.arms.iter().filter(|arm| arm.skipped.is_none());
    markup! {
        header {
            p.overline { "wasmpool bench" }
            h1 { "What isolation costs" }
            p.lead {
                "The same work in WebAssembly sandboxes, on native threads and in processes, measured on "
                (report.machine.processor) "."
            }
            ul.facts {
                li { time datetime=(report.started) { (moment(&report.started)) } }
                li { (counted(report.rounds, "round", "rounds")) " of all arms, interleaved" }
                li { (counted(took_part.count(), "arm", "arms")) " took part" }
                li { "took " (units::span(report.took)) }
            }
        }
    }
}

fn contents(report: &Report, ids: &[String]) -> Markup {
    markup! {
        nav aria-label="Contents" {
            ul {
                li { a href="#targets" { "Targets" } }
                li { a href="#machine" { "Machine" } }
                li { a href="#arms" { "Arms" } }
                @for (question, id) in report.questions.iter().zip(ids) {
                    li { a href={ "#" (id) } { (question.title) } }
                }
                li { a href="#caveats" { "Caveats" } }
            }
        }
    }
}

/// How a target stands.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Met,
    Missed,
    NotMeasured,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Met, Self::Missed, Self::NotMeasured];

    fn of(target: &Target) -> Self {
        match target.met {
            Some(true) => Self::Met,
            Some(false) => Self::Missed,
            None => Self::NotMeasured,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Met => "✓",
            Self::Missed => "✗",
            Self::NotMeasured => "–",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured => "open",
        }
    }
}

fn targets(targets: &[Target]) -> Markup {
    markup! {
        section #targets aria-labelledby="targets-title" {
            h2 #targets-title { "Targets" }
            @if targets.is_empty() {
                p.nothing { "This run has no targets." }
            } @else {
                ul.tally {
                    @for standing in Standing::ALL {
                        @let count = targets.iter().filter(|target| Standing::of(target) == standing).count();
                        li class=(standing.class()) { b { (count) } " " (standing.word()) }
                    }
                }
                ul.targets {
                    @for target in targets {
                        @let standing = Standing::of(target);
                        li {
                            p.badge.(standing.class()) {
                                span aria-hidden="true" { (standing.sign()) " " }
                                (standing.word())
                            }
                            div.what {
                                h3 { (prose(&target.what)) }
                                @if !target.remark.is_empty() {
                                    p { (prose(&target.remark)) }
                                }
                            }
                            dl {
                                div { dt { "wanted" } dd { (target.wanted) } }
                                div {
                                    dt { "measured" }
                                    dd { (measured(target)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What was measured, written as what was wanted is.
fn measured(target: &Target) -> String {
    match target.measured {
        None => "–".to_owned(),
        Some(value) if target.wanted.contains("1/") => {
            units::ratio(value).trim_end_matches('×').to_owned()
        }
        Some(value) => units::value(value, ""),
    }
}

fn machine(machine: &Machine) -> Markup {
    let [before, after] = machine.load;
    let facts = [
        ("Processor", machine.processor.clone()),
        (
            "Parallelism",
            counted(machine.parallelism, "thread", "threads"),
        ),
        ("Memory", units::value(machine.memory as f64, "B")),
        ("System", machine.system.clone()),
        (
            "Swap",
            if machine.swap { "in use" } else { "not in use" }.to_owned(),
        ),
        (
            "Load over one minute",
            format!("{before:.2} before, {after:.2} after"),
        ),
    ];
    markup! {
        section #machine aria-labelledby="machine-title" {
            h2 #machine-title { "Machine" }
            dl.facts { @for (name, value) in &facts { (fact(name, value)) } }
            @if !machine.versions.is_empty() {
                h3 { "Versions" }
                dl.facts { @for (name, value) in &machine.versions { (fact(name, value)) } }
            }
            @if !machine.settings.is_empty() {
                h3 { "Settings" }
                dl.facts.wide { @for (name, value) in &machine.settings { (fact(name, value)) } }
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    markup! {
        div { dt { (name) } dd { (value) } }
    }
}

fn arms(report: &Report, legend: &Legend<'_>) -> Markup {
    markup! {
        section #arms aria-labelledby="arms-title" {
            h2 #arms-title { "Arms" }
            @if report.arms.is_empty() {
                p.nothing { "Nothing was compared." }
            } @else {
                p.method { "The ways to run a task that were compared. Each keeps its colour and its mark in all charts." }
                ul.arms {
                    @for arm in &report.arms {
                        li class=@if arm.skipped.is_some() { "skipped" } {
                            (legend.key(&arm.id))
                            div {
                                p { code { (arm.id) } " " (legend.name(&arm.id)) }
                                @if let Some(why) = &arm.skipped {
                                    p.why { b { "Skipped: " } (prose(why)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn answer(question: &Question, id: &str, legend: &Legend<'_>) -> Markup {
    let title = format!("{id}-title");
    markup! {
        section id=(id) aria-labelledby=(title) {
            h2 id=(title) { (question.title) }
            @if !question.method.is_empty() {
                p.method { (prose(&question.method)) }
            }
            @if question.rows.is_empty() {
                p.nothing { "Nothing was measured." }
            } @else {
                (chart(question, id, legend))
                (table(question, legend))
            }
            @if !question.remarks.is_empty() {
                ul.remarks { @for remark in &question.remarks { li { (prose(remark)) } } }
            }
        }
    }
}

/// The chart that fits the question: lines along sizes, else bars for each subject.
fn chart(question: &Question, id: &str, legend: &Legend<'_>) -> Markup {
    if let Some(lines) = Lines::of(question) {
        return markup! {
            figure.lines {
                (lines.draw(&format!("{id}-chart"), question, legend))
                ul.legend {
                    @for arm in lines.arms() {
                        li { (legend.key(arm)) (legend.name(arm)) }
                    }
                }
                figcaption { (reading(question, None, lines.growth(question))) }
            }
        };
    }
    let panels = panels(question, id, legend);
    let growth = panels.first().and_then(|(_, bars)| bars.scale.growth());
    markup! {
        figure {
            div.panels {
                @for (subject, bars) in &panels {
                    div.panel {
                        @if let Some(subject) = subject {
                            p.subject { (subject) }
                        }
                        (bars.draw(question, legend))
                    }
                }
            }
            figcaption { (reading(question, measured_against(question), growth)) }
        }
    }
}

/// The charts of bars, each with the subject that stands above it.
fn panels<'a>(
    question: &'a Question,
    id: &str,
    legend: &Legend<'a>,
) -> Vec<(Option<&'a str>, Bars<'a>)> {
    let subjects = subjects(question);
    let values = |rows: &[&Row]| -> Vec<f64> {
        rows.iter()
            .flat_map(|row| [row.median, row.interval[0], row.interval[1]])
            .collect()
    };
    let all: Vec<&Row> = question.rows.iter().collect();
    // Subjects of a row or two are rather one chart, in which they can be compared.
    if subjects.len() > 1 && all.len() <= subjects.len() * 2 && all.len() <= ONE_CHART {
        let bars = Bars {
            title: question.title.clone(),
            id: format!("{id}-chart"),
            scale: Scale::of(values(&all), &question.unit),
            rows: subjects
                .iter()
                .flat_map(|(subject, rows)| rows.iter().map(move |row| (subject, *row)))
                .map(|(subject, row)| Bar {
                    name: format!("{subject} · {}", row.arm),
                    row,
                })
                .collect(),
        };
        return vec![(None, bars)];
    }
    // One subject far apart is enough for all charts of a question to be of one kind. Those of a
    // logarithmic kind are then on one and the same scale; linear ones would make dots of the
    // small subjects.
    let is_log = subjects
        .iter()
        .any(|(_, rows)| scale::is_wide(&rows.iter().map(|row| row.median).collect::<Vec<_>>()));
    subjects
        .into_iter()
        .enumerate()
        .map(|(index, (subject, rows))| {
            let on_axis = if is_log { &all } else { &rows };
            let bars = Bars {
                title: format!("{}: {subject}", question.title),
                id: format!("{id}-chart-{index}"),
                scale: Scale::new(&values(on_axis), &question.unit, is_log),
                rows: rows
                    .iter()
                    .map(|row| Bar {
                        name: legend.name(&row.arm).to_owned(),
                        row,
                    })
                    .collect(),
            };
            (Some(subject), bars)
        })
        .collect()
}

/// How to read a chart: what the ratios in it are to, and how the grid lines of a logarithmic one
/// grow.
fn reading(question: &Question, ratios_to: Option<&str>, growth: Option<f64>) -> String {
    let mut parts = vec![if question.more_is_better {
        "More is better.".to_owned()
    } else {
        "Less is better.".to_owned()
    }];
    parts.push("Medians, with 95 % intervals as whiskers.".to_owned());
    if let Some(to) = ratios_to {
        parts.push(format!(
            "Behind each value: how many times that of {to} it is."
        ));
    }
    if let Some(growth) = growth {
        parts.push(format!(
            "Logarithmic scale: each grid line is {} times the one before.",
            units::short(growth, "")
        ));
    }
    parts.join(" ")
}

/// The arm that all ratios of the question are to, if it is one.
fn measured_against(question: &Question) -> Option<&str> {
    let mut all = question
        .rows
        .iter()
        .filter_map(|row| row.ratio.as_ref())
        .map(|ratio| ratio.to.as_str());
    let first = all.next()?;
    all.all(|to| to == first).then_some(first)
}

fn table(question: &Question, legend: &Legend<'_>) -> Markup {
    let to = measured_against(question);
    let has_ratios = question.rows.iter().any(|row| row.ratio.is_some());
    let unit = &question.unit;
    let columns = if has_ratios { 7 } else { 4 };
    let name = format!("{}, all values", question.title);
    let count = question.rows.len();
    markup! {
        details open[count <= OPEN_ROWS] {
            summary { "All values " span.count { (counted(count, "row", "rows")) } }
            // A box that scrolls has to be reachable by keyboard, and then needs a name.
            div.scroll role="region" aria-label=(name) tabindex="0" {
                table {
                    caption { (name) }
                    thead {
                        tr {
                            th scope="col" { "Arm" }
                            th.number scope="col" { "Median" }
                            th.number scope="col" { "Best" }
                            th.number scope="col" { "95 % interval" }
                            @if has_ratios {
                                th.number scope="col" {
                                    @if let Some(to) = to { "Ratio to " (to) } @else { "Ratio" }
                                }
                                th.number scope="col" { "Least ratio" }
                                th.number scope="col" { "Ratio’s interval" }
                            }
                        }
                    }
                    @for (subject, rows) in subjects(question) {
                        tbody {
                            tr.subject {
                                th scope="rowgroup" colspan=(columns) { span { (subject) } }
                            }
                            @for row in rows {
                                tr {
                                    th scope="row" { span.arm-name {
                                            (legend.key(&row.arm))
                                            span.long { (legend.name(&row.arm)) }
                                            // On a phone, where every pixel goes to the numbers.
                                            span.short { (row.arm) }
                                        } }
                                    td.number { b { (units::value(row.median, unit)) } }
                                    td.number { (units::value(row.best, unit)) }
                                    td.number { (units::interval(row.interval, unit)) }
                                    @if has_ratios {
                                        @if let Some(ratio) = &row.ratio {
                                            td.number {
                                                b { (units::ratio(ratio.median)) }
                                                @if to.is_none() { " " (ratio.to) }
                                            }
                                            td.number { (units::ratio(ratio.min)) }
                                            td.number { (units::ratios(ratio.interval)) }
                                        } @else {
                                            @for _ in 0..3 { td.number { "–" } }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The rows of each subject, both in the order in which they first come.
fn subjects(question: &Question) -> Vec<(&str, Vec<&Row>)> {
    let mut subjects: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in &question.rows {
        match subjects.iter_mut().find(|(it, _)| *it == row.subject) {
            Some((_, rows)) => rows.push(row),
            None => subjects.push((&row.subject, vec![row])),
        }
    }
    subjects
}

/// What went wrong comes before everything else; mostly it is nothing.
fn failures(failures: &[String]) -> Markup {
    markup! {
        @if !failures.is_empty() {
            section #failures aria-labelledby="failures-title" {
                h2 #failures-title { "Failures" }
                p { "Some arms gave a wrong result or gave up. The tables leave them out." }
                ul.remarks { @for failure in failures { li { (prose(failure)) } } }
            }
        }
    }
}

fn caveats(caveats: &[String]) -> Markup {
    markup! {
        section #caveats aria-labelledby="caveats-title" {
            h2 #caveats-title { "Caveats" }
            @if caveats.is_empty() {
                p.nothing { "None were noted." }
            } @else {
                ul.remarks { @for caveat in caveats { li { (prose(caveat)) } } }
            }
        }
    }
}

/// A text with what stands in backticks as code.
fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // One that has no other to close it stands for itself.
    let closed = (parts.len() - 1) / 2 * 2;
    markup! {
        @for (index, part) in parts.iter().enumerate() {
            @if index > closed {
                "`" (part)
            } @else if index % 2 == 1 {
                code { (part) }
            } @else {
                (part)
            }
        }
    }
}

/// The questions' ids in the page: of plain letters, and each of them once.
fn ids(questions: &[Question]) -> Vec<String> {
    let mut taken = Vec::<String>::with_capacity(questions.len());
    for (index, question) in questions.iter().enumerate() {
        let plain: String = question
            .id
            .chars()
            .map(|char| {
                if char.is_ascii_alphanumeric() {
                    char
                } else {
                    '-'
                }
            })
            .collect();
        let id = format!("question-{plain}");
        taken.push(if taken.contains(&id) || plain.is_empty() {
            // The dot keeps it apart from every id above.
            format!("question.{index}")
        } else {
            id
        });
    }
    taken
}

/// The day of an RFC 3339 time.
fn day(time: &str) -> &str {
    time.split_once('T').map_or(time, |(day, _)| day)
}

/// An RFC 3339 time in UTC, to the minute, as people write it. Anything else is left alone.
fn moment(time: &str) -> String {
    match time.split_once('T') {
        Some((day, clock))
            if clock.ends_with('Z') && clock.is_char_boundary(5) && clock.len() > 5 =>
        {
            format!("{day} {} UTC", &clock[..5])
        }
        _ => time.to_owned(),
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_for_people() {
        assert_eq!(moment("2026-01-31T09:05:59.25Z"), "2026-01-31 09:05 UTC");
        assert_eq!(
            moment("2026-01-31T09:05:59+02:00"),
            "2026-01-31T09:05:59+02:00"
        );
        assert_eq!(moment("yesterday"), "yesterday");
        assert_eq!(moment("Täää\u{20ac}Z"), "Täää\u{20ac}Z");
    }

    #[test]
    fn backticks_make_code_in_pairs() {
        assert_eq!(prose("a `<b>` c").0, "a <code>&lt;b&gt;</code> c");
        assert_eq!(prose("`a` `b").0, "<code>a</code> `b");
        assert_eq!(prose("it`s").0, "it`s");
        assert_eq!(prose("").0, "");
    }

    #[test]
    fn ids_are_plain_and_differ() {
        let question = |id: &str| Question {
            id: id.to_owned(),
            title: String::new(),
            method: String::new(),
            unit: String::new(),
            more_is_better: false,
            rows: Vec::new(),
            remarks: Vec::new(),
        };
        let questions = ["start", "a b", "a\"b", "", "start"].map(question);
        assert_eq!(
            ids(&questions),
            [
                "question-start",
                "question-a-b",
                "question.2",
                "question.3",
                "question.4"
            ]
        );
    }
}
