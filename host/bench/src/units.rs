//! How measured values are written for people.

/// The value in its unit: `12.3 µs`.
pub fn value(value: f64, unit: &str) -> String {
    let (size, suffix) = match unit {
        "s" if value < 1e-6 => (1e-9, " ns"),
        "s" if value < 1e-3 => (1e-6, " µs"),
        "s" if value < 1.0 => (1e-3, " ms"),
        "s" => (1.0, " s"),
        "B" | "B/s" if value < 1024.0 => (1.0, " B"),
        "B" | "B/s" if value < 1_048_576.0 => (1024.0, " KiB"),
        "B" | "B/s" if value < 1_073_741_824.0 => (1_048_576.0, " MiB"),
        "B" | "B/s" => (1_073_741_824.0, " GiB"),
        _ => (1.0, ""),
    };
    let tail = unit.strip_prefix(['B', '1']).unwrap_or("");
    format!("{}{suffix}{tail}", digits(value / size))
}

/// Both ends.
pub fn interval(ends: [f64; 2], unit: &str) -> String {
    format!("{}–{}", value(ends[0], unit), value(ends[1], unit))
}

/// How many times as much.
pub fn ratio(ratio: f64) -> String {
    format!("{}×", digits(ratio))
}

fn digits(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
