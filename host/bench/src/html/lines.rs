//! Lines: the arms' values over a size or a number of workers.

use maud::{Markup, html};

use super::bars::{WIDTH, describe, percent};
use super::label;
use super::legend::Legend;
use super::scale::{self, Scale};
use crate::report::{Question, Row};
use crate::units;

/// Where the plot begins, in percent of the width; the labels of the grid lines are before it.
const LEFT: f64 = 22.0;
/// Where the plot ends, in percent of the width; the names of the lines are behind it.
const RIGHT: f64 = 75.0;
/// The widest name of a line in pixels, on a phone of 360 pixels.
const NAME: f64 = 66.0;
/// The least distance from one name to the next.
const PITCH: f64 = 15.0;
/// The distance from the top of the chart to the top of the plot.
const TOP: f64 = 18.0;
/// The most labelled grid lines.
const TICKS: usize = 8;

/// A chart of rows whose subjects are quantities.
pub(super) struct Lines<'a> {
    points: Vec<(f64, &'a Row)>,
    /// The unit of the quantities: `workers`.
    along: String,
    is_bytes: bool,
    /// The arms in the order of their first rows.
    arms: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    /// A chart, if all subjects are quantities of the same unit and at least two differ.
    pub(super) fn of(question: &'a Question) -> Option<Self> {
        let mut points = Vec::with_capacity(question.rows.len());
        let mut of = None;
        for row in &question.rows {
            let (quantity, is_bytes, what) = quantity(&row.subject)?;
            if *of.get_or_insert((is_bytes, what)) != (is_bytes, what) {
                return None;
            }
            points.push((quantity, row));
        }
        let (is_bytes, what) = of?;
        if points.iter().all(|(quantity, _)| *quantity == points[0].0) {
            return None;
        }
        let mut arms: Vec<&str> = Vec::new();
        for (_, row) in &points {
            if !arms.contains(&row.arm.as_str()) {
                arms.push(&row.arm);
            }
        }
        let along = match what {
            "" if is_bytes => "size",
            "worker" => "workers",
            "thread" => "threads",
            what => what,
        };
        Some(Self {
            points,
            along: along.to_owned(),
            is_bytes,
            arms,
        })
    }

    /// The factor between grid lines, if the axis of the values is logarithmic.
    pub(super) fn growth(&self, question: &Question) -> Option<f64> {
        self.scale(question).growth()
    }

    pub(super) fn draw(&self, id: &str, question: &Question, legend: &Legend<'_>) -> Markup {
        let height = (self.arms.len() as f64 * PITCH).max(230.0);
        let bottom = TOP + height;
        let scale = self.scale(question);
        let y = |value: f64| TOP + (1.0 - scale.position(value)) * height;
        let label = format!("{id}-title {id}-desc");
        html! {
            svg.chart role="img" aria-labelledby=(label) width="100%" height=(bottom + 40.0) {
                title id={ (id) "-title" } { (question.title) ", by " (self.along) }
                desc id={ (id) "-desc" } { (self.description(question, legend)) }
                @for tick in scale.ticks(TICKS) {
                    @let at = TOP + (1.0 - tick.at) * height;
                    line.grid x1="0" x2=(percent(RIGHT)) y1=(at) y2=(at) {}
                    @if let Some(label) = tick.label {
                        text.tick x="0" y=(at - 4.0) { (label) }
                    }
                }
                (self.quantities(bottom))
                @for arm in &self.arms {
                    @let line = self.line(arm);
                    g class=(legend.class(arm)) {
                        @for pair in line.windows(2) {
                            line.path
                                x1=(self.x(pair[0].0)) y1=(y(pair[0].1.median))
                                x2=(self.x(pair[1].0)) y2=(y(pair[1].1.median)) {}
                        }
                        @for (quantity, row) in &line {
                            @let x = self.x(*quantity);
                            @if row.interval.iter().all(|end| end.is_finite()) {
                                line.spread x1=(x) x2=(x) y1=(y(row.interval[0])) y2=(y(row.interval[1])) {}
                            }
                            (legend.marker(arm, &x, y(row.median)))
                        }
                    }
                }
                (self.names(legend, TOP, bottom, y))
            }
        }
    }

    /// The names of the lines, each beside its line's end.
    fn names(&self, legend: &Legend<'_>, top: f64, bottom: f64, y: impl Fn(f64) -> f64) -> Markup {
        let ends: Vec<(&str, f64, f64)> = self
            .arms
            .iter()
            .filter_map(|arm| {
                let (quantity, row) = *self.line(arm).last()?;
                Some((*arm, quantity, y(row.median)))
            })
            .collect();
        let wanted: Vec<f64> = ends.iter().map(|(_, _, y)| *y).collect();
        let placed = label::apart(&wanted, PITCH, top, bottom);
        html! {
            @for ((arm, quantity, y), at) in ends.iter().zip(placed) {
                @if self.across(*quantity) < RIGHT {
                    line.leader x1=(self.x(*quantity)) x2=(percent(RIGHT)) y1=(y) y2=(y) {}
                }
                // A nested chart, so that positions inside it are in pixels.
                svg x=(percent(RIGHT)) y="0" overflow="visible" {
                    path.leader d={ "M7 " (y) "L13 " (at) } {}
                    text.end x="15" y=(at + 4.0) { (label::fit(arm, NAME, 11.0)) }
                    title { (legend.name(arm)) }
                }
            }
        }
    }

    /// The axis of the quantities: as many as fit, and always the greatest.
    fn quantities(&self, bottom: f64) -> Markup {
        let mut quantities: Vec<f64> = self.points.iter().map(|(quantity, _)| *quantity).collect();
        quantities.sort_by(f64::total_cmp);
        quantities.dedup();
        // The greatest first, since it is always shown.
        quantities.reverse();
        let unit = if self.is_bytes { "B" } else { "" };
        let names: Vec<String> = quantities
            .iter()
            .map(|quantity| units::short(*quantity, unit))
            .collect();
        let labels: Vec<(f64, &str)> = quantities
            .iter()
            .zip(&names)
            .map(|(quantity, name)| (self.across(*quantity) / 100.0 * WIDTH, name.as_str()))
            .collect();
        let stride = label::stride(&labels, 11.0);
        html! {
            line.axis x1="0" x2=(percent(RIGHT)) y1=(bottom) y2=(bottom) {}
            @for (pixels, name) in labels.iter().step_by(stride) {
                text.tick x=(percent(pixels / WIDTH * 100.0)) y=(bottom + 16.0) text-anchor="middle" {
                    (name)
                }
            }
            text.tick x=(percent(f64::midpoint(LEFT, RIGHT))) y=(bottom + 34.0) text-anchor="middle" {
                (label::fit(&self.along, NAME * 2.0, 11.0))
            }
        }
    }

    /// The measured points of an arm, by quantity.
    fn line(&self, arm: &str) -> Vec<(f64, &'a Row)> {
        let mut line: Vec<_> = self
            .points
            .iter()
            .filter(|(_, row)| row.arm == arm && row.median.is_finite())
            .copied()
            .collect();
        line.sort_by(|a, b| a.0.total_cmp(&b.0));
        line
    }

    fn scale(&self, question: &Question) -> Scale {
        let medians: Vec<f64> = self.points.iter().map(|(_, row)| row.median).collect();
        let ends = self.points.iter().flat_map(|(_, row)| row.interval);
        let values: Vec<f64> = medians.iter().copied().chain(ends).collect();
        Scale::new(&values, &question.unit, scale::is_wide(&medians))
    }

    fn x(&self, quantity: f64) -> String {
        percent(self.across(quantity))
    }

    /// The position of the quantity, in percent of the width. Widely spread quantities are spaced
    /// logarithmically.
    fn across(&self, quantity: f64) -> f64 {
        let all = || self.points.iter().map(|(quantity, _)| *quantity);
        let (least, greatest) = (
            all().fold(f64::INFINITY, f64::min),
            all().fold(0.0, f64::max),
        );
        let at = if least > 0.0 && greatest / least >= 16.0 {
            (quantity / least).ln() / (greatest / least).ln()
        } else {
            (quantity - least) / (greatest - least)
        };
        LEFT + at * (RIGHT - LEFT)
    }

    fn description(&self, question: &Question, legend: &Legend<'a>) -> String {
        let parts: Vec<String> = self
            .arms
            .iter()
            .map(|arm| {
                let values: Vec<String> = self
                    .line(arm)
                    .iter()
                    .map(|(_, row)| describe(&row.subject, row, &question.unit))
                    .collect();
                format!("{}: {}.", legend.name(arm), values.join("; "))
            })
            .collect();
        parts.join(" ")
    }

    /// The arms that have a line.
    pub(super) fn arms(&self) -> &[&'a str] {
        &self.arms
    }
}

/// The quantity of a subject: `64 KiB` is 65536 bytes without a unit, `2 workers` is 2 of the unit
/// `worker`.
fn quantity(subject: &str) -> Option<(f64, bool, &str)> {
    let subject = subject.trim();
    let digits = subject
        .find(|char: char| !char.is_ascii_digit() && char != '.')
        .unwrap_or(subject.len());
    let number: f64 = subject[..digits].parse().ok()?;
    let rest = subject[digits..].trim_start();
    let (unit, what) = rest.split_once(' ').unwrap_or((rest, ""));
    let factor = match unit {
        "B" | "byte" | "bytes" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return Some((number, false, rest.strip_suffix('s').unwrap_or(rest))),
    };
    Some((number * factor, true, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_quantities_or_not() {
        assert_eq!(quantity("16 B"), Some((16.0, true, "")));
        assert_eq!(quantity("1.5 MiB echo"), Some((1_572_864.0, true, "echo")));
        assert_eq!(quantity("1 worker"), Some((1.0, false, "worker")));
        assert_eq!(quantity("12 workers"), Some((12.0, false, "worker")));
        assert_eq!(quantity("8"), Some((8.0, false, "")));
        assert_eq!(quantity("one in flight"), None);
        assert_eq!(quantity(""), None);
        assert_eq!(quantity("1.2.3 B"), None);
    }
}
