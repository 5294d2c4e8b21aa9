//! A report as an HTML page: one file that loads nothing, for screens of any width and for paper.
//!
//! Computes nothing from the samples but positions. `maud` escapes all text of the report; ids and
//! links of the page are never made from it unchecked.

mod answer;
mod bars;
mod label;
mod legend;
mod lines;
mod scale;
mod setting;
mod targets;
mod text;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use self::answer::answer;
use self::legend::Legend;
use self::setting::{arms, machine};
use self::targets::targets;
use self::text::{counted, day, moment, prose};
use crate::report::{Question, Report};
use crate::units;

/// The report as one self-contained page of HTML.
///
/// It needs no network and no script, and its content security policy forbids both.
pub fn html(report: &Report) -> String {
    let legend = Legend::new(&report.arms);
    let ids = ids(&report.questions);
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Whatever a report contains, nothing is loaded and nothing runs.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="wasmpool bench";
                // Otherwise a browser requests one from the server.
                link rel="icon" href="data:,";
                title { "What isolation costs · wasmpool bench, " (day(&report.started)) }
                style { (PreEscaped(include_str!("style.css"))) }
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
                    p { "Made by " code { "wasmpool bench" } ". The page is self-contained and loads nothing." }
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

/// Failures come first; usually there are none.
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

/// The ids of the questions in the page: plain letters, and unique.
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
            // The dot makes it differ from every id above.
            format!("question.{index}")
        } else {
            id
        });
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

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
