//! What was compared, and on which machine.

use maud::{Markup, html as markup};

use super::legend::Legend;
use super::text::{counted, prose};
use crate::report::{Machine, Report};
use crate::units;

pub(super) fn machine(machine: &Machine) -> Markup {
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

pub(super) fn arms(report: &Report, legend: &Legend<'_>) -> Markup {
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
