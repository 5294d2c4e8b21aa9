//! Typed values as WAVE, the text form that the WebAssembly tools have for them.
//!
//! Knows nothing of how such a text is read. Errors of guests are told in it, whatever features the
//! library has.

use std::fmt;
use std::fmt::Write as _;

use super::decode::ValueDeserializer;
use super::path::ValueFault;
use super::wire::{Corrupt, Reader};
use crate::value::Type;
use crate::value::text::Bounded;

/// What a name must not be taken for.
pub(super) const KEYWORDS: [&str; 8] = ["true", "false", "some", "none", "ok", "err", "inf", "nan"];

/// The WAVE form of a value of type `ty`, cut after `limit` bytes; nothing for a function that gives
/// none. No more than that is made, and what comes then is not read.
///
/// # Errors
///
/// If the bytes are not the wire form of such a value.
pub(crate) fn to_wave_cut(ty: Option<&Type>, bytes: &[u8], limit: usize) -> Result<String, String> {
    let mut text = Bounded::new(limit);
    let mut reader = Reader::new(bytes);
    match ty {
        Some(ty) => match read(&mut text, &mut reader, ty) {
            Err(_) if text.is_cut() => return Ok(text.into_text()),
            read => read.map_err(|fault| fault.to_string())?,
        },
        None if reader.take_nil() => {}
        None => return Err("there are bytes where no value was expected".to_owned()),
    }
    match reader.left() {
        0 => Ok(text.into_text()),
        left => Err(format!("{left} bytes are left over")),
    }
}

impl From<fmt::Error> for ValueFault {
    fn from(_: fmt::Error) -> Self {
        Self::new("the text cannot be written")
    }
}

/// Reads a value and appends it.
fn read(text: &mut Bounded, reader: &mut Reader<'_>, ty: &Type) -> Result<(), ValueFault> {
    let corrupt = |Corrupt| super::decode::corrupt(ty);
    match ty {
        Type::Bool => write!(text, "{}", reader.bool().map_err(corrupt)?)?,
        Type::S8 | Type::S16 | Type::S32 | Type::S64 => {
            let value = ValueDeserializer { reader, ty }.signed()?;
            write!(text, "{value}")?;
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
            let value = ValueDeserializer { reader, ty }.unsigned()?;
            write!(text, "{value}")?;
        }
        Type::F32 => {
            let value = reader.f32().map_err(corrupt)?;
            push_float(text, value.is_nan(), format_args!("{value:?}"))?;
        }
        Type::F64 => {
            let value = reader.f64().map_err(corrupt)?;
            push_float(text, value.is_nan(), format_args!("{value:?}"))?;
        }
        Type::Char => {
            let value = reader.char().map_err(corrupt)?;
            push_quoted(text, '\'', value)?;
        }
        Type::String => {
            let value = reader.text().map_err(corrupt)?;
            push_quoted(text, '"', value)?;
        }
        Type::List(element) if **element == Type::U8 => {
            let bytes = reader.binary().map_err(corrupt)?;
            push_separated(text, "[]", bytes.iter(), |text, byte| {
                Ok(write!(text, "{byte}")?)
            })?;
        }
        Type::List(element) => {
            let length = reader.array().map_err(corrupt)?;
            push_separated(text, "[]", 0..length, |text, _| read(text, reader, element))?;
        }
        Type::Tuple(types) => {
            reader.array_of(types.len()).map_err(corrupt)?;
            push_separated(text, "()", types.iter(), |text, ty| read(text, reader, ty))?;
        }
        Type::Record(fields) => {
            reader.array_of(fields.len()).map_err(corrupt)?;
            // An option that is none is left out, as the convention has it.
            let mut is_empty = true;
            text.write_char('{')?;
            for (name, ty) in fields {
                if matches!(ty, Type::Option(_)) && reader.take_nil() {
                    continue;
                }
                text.write_str(if is_empty { "" } else { ", " })?;
                is_empty = false;
                write!(text, "{name}: ")?;
                read(text, reader, ty)?;
            }
            text.write_str(if is_empty { ":}" } else { "}" })?;
        }
        Type::Flags(names) => {
            let set = ValueDeserializer { reader, ty }.flags(names)?;
            push_separated(text, "{}", set.iter(), |text, index| {
                text.write_str(&names[*index])?;
                Ok(())
            })?;
        }
        Type::Option(inner) => match (ValueDeserializer { reader, ty }).option(inner)? {
            Some(inner) => {
                text.write_str("some(")?;
                read(text, reader, inner)?;
                text.write_char(')')?;
            }
            None => text.write_str("none")?,
        },
        Type::Enum(_) | Type::Variant(_) | Type::Result { .. } => {
            let case = ValueDeserializer { reader, ty }.case()?;
            let (name, payload) = case.ok_or_else(|| corrupt(Corrupt))?;
            // A name that is a keyword too must say that it is a name.
            let is_name = !matches!(ty, Type::Result { .. });
            if is_name && KEYWORDS.contains(&name) {
                text.write_char('%')?;
            }
            text.write_str(name)?;
            if let Some(payload) = payload {
                text.write_char('(')?;
                read(text, reader, payload)?;
                text.write_char(')')?;
            }
        }
    }
    Ok(())
}

/// Appends the parts between the two brackets.
fn push_separated<T>(
    text: &mut Bounded,
    brackets: &str,
    parts: impl Iterator<Item = T>,
    mut push: impl FnMut(&mut Bounded, T) -> Result<(), ValueFault>,
) -> Result<(), ValueFault> {
    let (open, close) = brackets.split_at(1);
    text.write_str(open)?;
    for (index, part) in parts.enumerate() {
        text.write_str(if index > 0 { ", " } else { "" })?;
        push(text, part)?;
    }
    text.write_str(close)?;
    Ok(())
}

/// Appends a float that Rust has as `NaN`, `inf` or a number.
fn push_float(text: &mut Bounded, is_nan: bool, value: fmt::Arguments<'_>) -> fmt::Result {
    match is_nan {
        true => text.write_str("nan"),
        false => {
            text.write_fmt(value)?;
            if let Some(integer) = text.as_str().strip_suffix(".0") {
                let length = integer.len();
                text.truncate(length);
            }
            Ok(())
        }
    }
}

fn push_quoted(text: &mut Bounded, quote: char, value: &str) -> fmt::Result {
    text.write_char(quote)?;
    for character in value.chars() {
        match character {
            '\\' | '"' | '\'' | '\t' | '\r' | '\n' => {
                write!(text, "{}", character.escape_default())?;
            }
            ' '..='~' => text.write_char(character)?,
            // Rust would write a null as `\0`, which WAVE has not.
            character if character.is_control() => {
                write!(text, "{}", character.escape_unicode())?;
            }
            character => write!(text, "{}", character.escape_debug())?,
        }
    }
    text.write_char(quote)
}
