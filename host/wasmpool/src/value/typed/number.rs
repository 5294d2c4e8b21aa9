//! Lossless conversions between types of numbers.
//!
//! Does not know where the numbers come from.

use std::fmt::Write as _;

use crate::value::Type;

/// The least and the greatest integer of a type of integers.
#[inline]
pub(super) fn range(ty: &Type) -> Option<(i64, u64)> {
    Some(match ty {
        Type::S8 => (i8::MIN.into(), i8::MAX as u64),
        Type::U8 => (0, u8::MAX.into()),
        Type::S16 => (i16::MIN.into(), i16::MAX as u64),
        Type::U16 => (0, u16::MAX.into()),
        Type::S32 => (i32::MIN.into(), i32::MAX as u64),
        Type::U32 => (0, u32::MAX.into()),
        Type::S64 => (i64::MIN, i64::MAX as u64),
        Type::U64 => (0, u64::MAX),
        _ => return None,
    })
}

/// An integer as a 64-bit float, if that is exact.
pub(super) fn integer_as_f64(value: i128) -> Option<f64> {
    let float = value as f64;
    (float as i128 == value).then_some(float)
}

/// An integer as a 32-bit float, if that is exact.
pub(super) fn integer_as_f32(value: i128) -> Option<f32> {
    let float = value as f32;
    (float as i128 == value).then_some(float)
}

/// A float as an integer, if it is whole and fits into 64 bits.
pub(super) fn float_as_integer(value: f64) -> Option<i128> {
    let integer = value as i128;
    let is_whole = value.is_finite() && value.trunc() == value;
    (is_whole && value.abs() <= u64::MAX as f64).then_some(integer)
}

/// A 64-bit float as a 32-bit one, if it means the same: the same number, NaN, or the number with
/// the same shortest decimal form, such as 0.1.
///
/// Some parsers, among them `serde_json` by default, miss the nearest float by its last bits. They
/// may: there are 2^29 64-bit floats between two 32-bit ones.
pub(super) fn f64_as_f32(value: f64) -> Option<f32> {
    /// How far a parser may miss, in units of the last bit.
    const SLACK: u64 = 4;

    let narrow = value as f32;
    let near = |other: f64| value.to_bits().abs_diff(other.to_bits()) <= SLACK;
    let same = match value.is_finite() {
        true => narrow.is_finite() && (near(narrow.into()) || near(in_decimal(narrow))),
        false => true,
    };
    same.then_some(narrow)
}

/// The 64-bit float with the shortest decimal form of a 32-bit one: 0.1, where the exact number is
/// 0.10000000149011612.
pub(super) fn f32_in_decimal(value: f32) -> f64 {
    // Whole numbers stay exact.
    match !value.is_finite() || value.trunc() == value {
        true => value.into(),
        false => in_decimal(value),
    }
}

fn in_decimal(value: f32) -> f64 {
    let mut digits = Digits::default();
    // The shortest text of an `f32` has at most 9 digits, a sign, a point and an exponent.
    let written = write!(digits, "{value:e}");
    match digits.text().parse::<f64>() {
        // It must convert back to the same `f32`.
        Ok(decimal) if written.is_ok() && decimal as f32 == value => decimal,
        _ => value.into(),
    }
}

/// A short text that needs no allocation.
#[derive(Default)]
struct Digits {
    bytes: [u8; 24],
    length: usize,
}

impl Digits {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl std::fmt::Write for Digits {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end);
        room.ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// The text for NaN or an infinity, which JSON has no number for.
pub(super) fn not_finite(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// The NaN or infinity that a text stands for.
pub(super) fn not_finite_from(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_is_narrowed_only_if_its_value_stays_the_same() {
        for same in [
            0.5,
            -0.0,
            0.1,
            0.1 + 0.2,
            1e-45,
            3.4028234663852886e38,
            16777216.0,
        ] {
            assert_eq!(f64_as_f32(same), Some(same as f32), "{same}");
        }
        assert_eq!(f64_as_f32(-2.826856e25), Some(-2.826856e25));
        assert_eq!(f64_as_f32(f64::INFINITY), Some(f32::INFINITY));
        assert!(f64_as_f32(f64::NAN).is_some_and(f32::is_nan));
        for other in [
            1e300,
            1.0 / 3.0,
            0.1 + 1e-9,
            16777217.0,
            1e-60,
            std::f64::consts::PI,
        ] {
            assert_eq!(f64_as_f32(other), None, "{other}");
        }
    }

    #[test]
    fn a_narrow_float_has_a_short_form_and_converts_back() {
        assert_eq!(f32_in_decimal(0.1), 0.1);
        assert_eq!(f32_in_decimal(f32::MIN_POSITIVE).to_string().len(), 47);
        let mut bits = 1_u32;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            let value = f32::from_bits(bits);
            if !value.is_nan() {
                assert_eq!(f32_in_decimal(value) as f32, value);
                assert_eq!(f64_as_f32(f32_in_decimal(value)), Some(value));
            }
        }
    }

    #[test]
    fn integers_and_floats_convert_only_exactly() {
        assert_eq!(integer_as_f64(1 << 53), Some(9007199254740992.0));
        assert_eq!(integer_as_f64((1 << 53) + 1), None);
        assert_eq!(integer_as_f64(u64::MAX.into()), None);
        assert_eq!(integer_as_f32((1 << 24) + 1), None);
        assert_eq!(integer_as_f32(-(1 << 24)), Some(-16777216.0));
        assert_eq!(float_as_integer(-3.0), Some(-3));
        assert_eq!(float_as_integer(-0.0), Some(0));
        for none in [0.5, f64::NAN, f64::INFINITY, 1e30] {
            assert_eq!(float_as_integer(none), None);
        }
    }
}
