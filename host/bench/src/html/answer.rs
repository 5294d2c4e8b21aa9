//! The answer to a question: a chart and a table.

use maud::{Markup, html as markup};

use super::bars::{Bar, Bars};
use super::legend::Legend;
use super::lines::Lines;
use super::scale::{self, Scale};
use super::text::{counted, prose};
use crate::report::{Question, Row};
use crate::units;

/// A table with more rows is folded at first, but not on paper.
const OPEN_ROWS: usize = 24;
/// The most bars of several subjects in one chart.
const ONE_CHART: usize = 16;

pub(super) fn answer(question: &Question, id: &str, legend: &Legend<'_>) -> Markup {
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

/// The chart that fits the question: lines over sizes, otherwise bars for each subject.
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

/// The bar charts, each with its subject as the title.
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
    // Subjects with one or two rows share a chart, in which they can be compared.
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
    // If the values of one subject span decades, all charts of the question are logarithmic and
    // share one scale; on a linear scale small subjects would be invisible.
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

/// How to read a chart: the arm that ratios compare with, and the factor between logarithmic grid
/// lines.
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

/// The arm that all ratios of the question compare with, if there is a single one.
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
            // A scrolling box must be reachable by keyboard, and then needs a name.
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
                                            // For phones, to leave room for the numbers.
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

/// The rows of each subject, both in order of first appearance.
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
