//! The position of values on an axis, and the grid lines of the axis.

use crate::units;

/// The most grid lines of an axis, labelled or not.
const LINES: usize = 20;

/// If the values span more decades than this, the axis is logarithmic.
const DECADES: f64 = 2.0;

/// An axis from its first to its last value.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    unit: String,
    is_log: bool,
}

/// A grid line.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    /// From 0 to 1.
    pub(super) at: f64,
    /// Its label, if there is room.
    pub(super) label: Option<String>,
}

impl Scale {
    /// An axis for all of the values. It begins at zero, or is logarithmic.
    pub(super) fn of(values: impl IntoIterator<Item = f64>, unit: &str) -> Self {
        let values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        let is_log = is_wide(&values);
        Self::new(&values, unit, is_log)
    }

    /// As [`of`](Self::of), with an explicit choice of a logarithmic axis.
    pub(super) fn new(values: &[f64], unit: &str, is_log: bool) -> Self {
        let positive = || values.iter().copied().filter(|v| v.is_finite() && *v > 0.0);
        let greatest = positive().fold(0.0, f64::max);
        let least = positive().fold(f64::INFINITY, f64::min);
        let is_log = is_log && greatest > 0.0;
        let (low, high) = if is_log {
            // A power somewhat below the least value, so that its bar is visible.
            let base: f64 = if units::is_binary(unit) { 2.0 } else { 10.0 };
            let low = base.powf((least * 0.8).log(base).floor());
            (low, (greatest * 1.04).max(low * base))
        } else if greatest > 0.0 {
            (0.0, greatest * 1.02)
        } else {
            (0.0, 1.0)
        };
        Self {
            low,
            high,
            unit: unit.to_owned(),
            is_log,
        }
    }

    pub(super) fn is_log(&self) -> bool {
        self.is_log
    }

    /// The position of the value, from 0 to 1. Values outside of the axis are at its end.
    pub(super) fn position(&self, value: f64) -> f64 {
        let position = if self.is_log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if position.is_nan() {
            0.0
        } else {
            position.clamp(0.0, 1.0)
        }
    }

    /// Grid lines at round values, at most `at_most` of them with labels.
    pub(super) fn ticks(&self, at_most: usize) -> Vec<Tick> {
        if !self.is_log {
            return self
                .multiples(at_most)
                .into_iter()
                .map(|value| Tick {
                    at: self.position(value),
                    label: Some(units::short_like(value, self.high, &self.unit)),
                })
                .collect();
        }
        let growth = self.log_growth();
        let lines: Vec<f64> = std::iter::successors(Some(self.low), |value| Some(value * growth))
            .take_while(|value| *value <= self.high * 1.000_001)
            .take(LINES)
            .collect();
        let stride = lines.len().div_ceil(at_most);
        lines
            .into_iter()
            .enumerate()
            .map(|(index, value)| Tick {
                at: self.position(value),
                label: (index % stride == 0).then(|| units::short(value, &self.unit)),
            })
            .collect()
    }

    /// The factor between grid lines, if the axis is logarithmic.
    pub(super) fn growth(&self) -> Option<f64> {
        self.is_log.then(|| self.log_growth())
    }

    /// Tenfold, or 32-fold for bytes, and larger if there were too many lines.
    fn log_growth(&self) -> f64 {
        let one = if units::is_binary(&self.unit) {
            32.0
        } else {
            10.0
        };
        let steps = (self.high / self.low).log(one) / LINES as f64;
        f64::powf(one, steps.ceil().max(1.0))
    }

    fn multiples(&self, at_most: usize) -> Vec<f64> {
        // Round in the displayed unit: 512 KiB, not 500 000 bytes.
        let factor = units::step(self.high, &self.unit);
        let rough = self.high / factor / at_most as f64;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let stride = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|step| step * magnitude)
            .find(|stride| self.high / factor / stride < at_most as f64)
            .unwrap_or(magnitude * 10.0)
            * factor;
        (0..at_most)
            .map(|index| index as f64 * stride)
            .take_while(|value| *value <= self.high)
            .collect()
    }
}

/// Whether the values span so many decades that only a logarithmic axis shows them all.
pub(super) fn is_wide(values: &[f64]) -> bool {
    let positive = || values.iter().copied().filter(|v| v.is_finite() && *v > 0.0);
    let least = positive().fold(f64::INFINITY, f64::min);
    let greatest = positive().fold(0.0, f64::max);
    greatest > least && (greatest / least).log10() > DECADES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], unit: &str, wanted: &[&str]) {
        let scale = Scale::of(values.iter().copied(), unit);
        let ticks = scale.ticks(5);
        let labels: Vec<&str> = ticks
            .iter()
            .filter_map(|tick| tick.label.as_deref())
            .collect();
        assert_eq!(labels, wanted);
        assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.at)));
    }

    #[test]
    fn near_values_are_on_a_linear_axis_from_zero() {
        check(&[1e-3, 3.9e-3], "s", &["0", "1 ms", "2 ms", "3 ms"]);
        check(&[0.9e-3, 1.6e-3], "s", &["0", "0.5 ms", "1 ms", "1.5 ms"]);
        check(
            &[900.0 * 1024.0],
            "B",
            &["0", "200 KiB", "400 KiB", "600 KiB", "800 KiB"],
        );
        check(&[0.0, 99.0], "", &["0", "25", "50", "75", "100"]);
    }

    #[test]
    fn far_values_are_on_a_logarithmic_axis() {
        check(&[2e-6, 3e-3], "s", &["1 µs", "10 µs", "100 µs", "1 ms"]);
        check(
            &[2e-9, 9.0],
            "s",
            &["1 ns", "100 ns", "10 µs", "1 ms", "100 ms"],
        );
        check(
            &[1.5 * 1024.0, 4e9],
            "B",
            &["1 KiB", "32 KiB", "1 MiB", "32 MiB", "1 GiB"],
        );
    }

    #[test]
    fn odd_values_have_a_place() {
        let scale = Scale::of([f64::NAN, f64::INFINITY, -1.0, 0.0], "s");
        assert!(!scale.is_log());
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.5] {
            assert!((0.0..=1.0).contains(&scale.position(value)));
        }
        assert!(!scale.ticks(4).is_empty());
        assert!(!Scale::of([], "1/s").ticks(4).is_empty());
    }
}
