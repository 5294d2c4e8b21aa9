//! Texts of a chart: whether they fit, and how overlaps are avoided.
//!
//! The width of a text is known only to the browser, so widths are estimated, from above: those of
//! DejaVu Sans, a wide font and the fallback on Linux.

/// The text, cut to about `pixels`, with an ellipsis where it was cut.
pub(super) fn fit(text: &str, pixels: f64, font_size: f64) -> String {
    let room = pixels / font_size;
    if width(text) <= room {
        return text.to_owned();
    }
    let mut left = room - em('…');
    let cut: String = text
        .chars()
        .take_while(|&char| {
            left -= em(char);
            left >= 0.0
        })
        .collect();
    format!("{}…", cut.trim_end())
}

/// The stride at which centred labels fit beside each other.
pub(super) fn stride(labels: &[(f64, &str)], font_size: f64) -> usize {
    let half = |text| pixels(text, font_size) / 2.0;
    let fit = |stride: &usize| {
        let shown: Vec<_> = labels.iter().step_by(*stride).collect();
        shown.windows(2).all(|pair| {
            let [(left, before), (right, behind)] = [pair[0], pair[1]];
            (right - left).abs() >= half(before) + half(behind) + 6.0
        })
    };
    (1..labels.len()).find(fit).unwrap_or(labels.len().max(1))
}

/// About how many pixels wide a text is.
pub(super) fn pixels(text: &str, font_size: f64) -> f64 {
    width(text) * font_size
}

/// The width of a text in ems.
fn width(text: &str) -> f64 {
    text.chars().map(em).sum()
}

fn em(char: char) -> f64 {
    match char {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' | ' ' | '-' => 0.34,
        'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '·' | '"' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' | '—' => 1.0,
        'A'..='Z' | '<' | '>' | '=' | '+' | '&' | '#' | '~' => 0.84,
        ' '..='~' => 0.64,
        // Any other character may have the maximal width.
        _ => 1.1,
    }
}

/// Moves labels so that neighbours are at least `gap` apart, from `low` on.
///
/// The result is in the order of the argument. Labels keep apart even if they do not all fit.
pub(super) fn apart(wanted: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut placed = wanted.to_vec();
    // First up from the bottom edge, then down from the top edge, which wins.
    let mut limit = high;
    for &index in order.iter().rev() {
        placed[index] = placed[index].min(limit);
        limit = placed[index] - gap;
    }
    let mut limit = low;
    for &index in &order {
        placed[index] = placed[index].max(limit);
        limit = placed[index] + gap;
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_and_long_ones_are_cut() {
        assert_eq!(fit("native", 100.0, 12.0), "native");
        assert_eq!(fit("a name that goes on", 60.0, 12.0), "a name…");
        assert_eq!(fit("日本語日本語日本語", 40.0, 12.0), "日本…");
        assert_eq!(fit("x", 0.0, 12.0), "…");
    }

    #[test]
    fn as_many_labels_as_fit_are_shown_evenly() {
        let at = |gap: f64| -> Vec<(f64, &str)> {
            (0..5)
                .map(|index| (f64::from(index) * gap, "64 KiB"))
                .collect()
        };
        assert_eq!(stride(&at(100.0), 11.0), 1);
        assert_eq!(stride(&at(40.0), 11.0), 2);
        assert_eq!(stride(&at(-40.0), 11.0), 2);
        assert_eq!(stride(&at(1.0), 11.0), 5);
        assert_eq!(stride(&[], 11.0), 1);
    }

    #[test]
    fn labels_keep_apart_and_inside() {
        assert_eq!(apart(&[50.0, 10.0], 10.0, 0.0, 100.0), [50.0, 10.0]);
        assert_eq!(
            apart(&[100.0, 99.0, 98.0], 10.0, 0.0, 100.0),
            [100.0, 90.0, 80.0]
        );
        assert_eq!(apart(&[0.0, 0.0, 0.0], 10.0, 0.0, 20.0), [0.0, 10.0, 20.0]);
        assert_eq!(apart(&[5.0; 3], 10.0, 0.0, 10.0), [0.0, 10.0, 20.0]);
    }
}
