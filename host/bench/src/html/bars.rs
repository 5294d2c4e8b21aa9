//! Horizontal bars: the arms' values for one subject.
//!
//! A chart has no `viewBox`: horizontal positions are percentages and heights are pixels, so it is
//! as wide as its container and its text keeps its size on every screen.

use maud::{Markup, html};

use super::label;
use super::legend::Legend;
use super::scale::Scale;
use crate::report::{Question, Row};
use crate::units;

/// The width of the axis in percent; the values are written behind the bars.
const PLOT: f64 = 62.0;
/// The distance from one bar to the next.
const PITCH: f64 = 38.0;
/// The middle of a bar, below the top of its strip.
const MIDDLE: f64 = 24.0;
/// The width of a chart on a phone of 360 pixels, which all names and labels must fit in.
pub(super) const WIDTH: f64 = 296.0;
/// The most labels of an axis.
const TICKS: usize = 4;

/// A chart of rows of one subject.
pub(super) struct Bars<'a> {
    /// What the chart shows.
    pub(super) title: String,
    /// Unique in the page.
    pub(super) id: String,
    pub(super) rows: Vec<Bar<'a>>,
    pub(super) scale: Scale,
}

pub(super) struct Bar<'a> {
    pub(super) name: String,
    pub(super) row: &'a Row,
}

impl Bars<'_> {
    pub(super) fn draw(&self, question: &Question, legend: &Legend<'_>) -> Markup {
        let bottom = self.rows.len() as f64 * PITCH;
        let label = format!("{}-title {}-desc", self.id, self.id);
        html! {
            svg.chart role="img" aria-labelledby=(label) width="100%" height=(bottom + 22.0) {
                title id={ (self.id) "-title" } { (self.title) }
                desc id={ (self.id) "-desc" } { (self.description(question)) }
                (self.axis(bottom))
                @if let Some(median) = self.reference() {
                    @let x = self.at(median);
                    line.reference x1=(x) x2=(x) y1="14" y2=(bottom) {}
                }
                @for (index, bar) in self.rows.iter().enumerate() {
                    (self.strip(bar, index as f64 * PITCH, question, legend))
                }
            }
        }
    }

    fn axis(&self, bottom: f64) -> Markup {
        let ticks = self.scale.ticks(TICKS);
        let labels: Vec<(f64, &str)> = ticks
            .iter()
            .filter_map(|tick| Some((tick.at * PLOT / 100.0 * WIDTH, tick.label.as_deref()?)))
            .collect();
        let mut centres = labels.clone();
        if let Some((centre, label)) = centres.first_mut() {
            // It begins at its grid line, to stay inside.
            *centre += label::pixels(label, 11.0) / 2.0;
        }
        let stride = label::stride(&centres, 11.0);
        html! {
            @for tick in &ticks {
                @let x = percent(tick.at * PLOT);
                line.grid x1=(x) x2=(x) y1="0" y2=(bottom) {}
            }
            @for (index, (pixels, label)) in labels.iter().step_by(stride).enumerate() {
                @let anchor = if index == 0 { "start" } else { "middle" };
                text.tick x=(percent(pixels / WIDTH * 100.0)) y=(bottom + 15.0) text-anchor=(anchor) {
                    (label)
                }
            }
        }
    }

    fn strip(&self, bar: &Bar<'_>, top: f64, question: &Question, legend: &Legend<'_>) -> Markup {
        let row = bar.row;
        let middle = top + MIDDLE;
        let end = self.scale.position(row.median) * PLOT;
        let [low, high] = row.interval.map(|end| self.scale.position(end) * PLOT);
        let has_interval = row.interval.iter().all(|end| end.is_finite());
        let class = legend.class(&row.arm);
        // The value is placed behind the bar or the interval, whichever is longer.
        let behind = if has_interval { end.max(high) } else { end };
        html! {
            text.name x="0" y=(top + 12.0) { (label::fit(&bar.name, WIDTH, 12.0)) }
            // No bar and no marker for a missing value.
            @if row.median.is_finite() {
                @if self.scale.is_log() {
                    // On a logarithmic axis the length of a bar means nothing, so there is only a
                    // stem. The interval lies below the marker, so that it does not hide it.
                    rect.stem.(class) x="0" y=(middle - 1.5) width=(percent(end)) height="3" {}
                    @if has_interval { (whisker("whisker", low, high, middle)) }
                    g class=(class) { (legend.marker(&row.arm, &percent(end), middle)) }
                } @else {
                    rect class=(class) x="0" y=(middle - 5.0) width=(percent(end)) height="10" rx="2" {}
                    @if has_interval {
                        (whisker("halo", low, high, middle))
                        (whisker("whisker", low, high, middle))
                    }
                }
            }
            text.value x=(percent(behind)) dx="8" y=(middle + 4.0) {
                (units::value(row.median, &question.unit))
                @if let Some(ratio) = &row.ratio {
                    tspan.ratio { " · " (units::ratio(ratio.median)) }
                }
            }
        }
    }

    /// The median of the arm that the others are compared with.
    fn reference(&self) -> Option<f64> {
        let to = self.rows.iter().find_map(|bar| bar.row.ratio.as_ref())?;
        let reference = self.rows.iter().find(|bar| bar.row.arm == to.to)?;
        Some(reference.row.median).filter(|median| median.is_finite())
    }

    /// The content of the chart as text, for screen readers.
    fn description(&self, question: &Question) -> String {
        let parts: Vec<String> = self
            .rows
            .iter()
            .map(|bar| describe(&bar.name, bar.row, &question.unit))
            .collect();
        format!("{}.", parts.join("; "))
    }

    fn at(&self, value: f64) -> String {
        percent(self.scale.position(value) * PLOT)
    }
}

/// An interval from one percentage to the other.
fn whisker(class: &str, low: f64, high: f64, y: f64) -> Markup {
    html! {
        g class=(class) {
            line x1=(percent(low)) x2=(percent(high)) y1=(y) y2=(y) {}
            @for x in [low, high] {
                line x1=(percent(x)) x2=(percent(x)) y1=(y - 3.5) y2=(y + 3.5) {}
            }
        }
    }
}

/// A row in words.
pub(super) fn describe(name: &str, row: &Row, unit: &str) -> String {
    let value = units::value(row.median, unit);
    match &row.ratio {
        Some(ratio) => format!(
            "{name}: {value}, {} that of {}",
            units::ratio(ratio.median),
            ratio.to
        ),
        None => format!("{name}: {value}"),
    }
}

pub(super) fn percent(value: f64) -> String {
    format!("{value:.2}%")
}
