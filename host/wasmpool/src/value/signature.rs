//! The signature of an exported function, in the value types of the component model; or why it
//! cannot be called.
//!
//! Plain data. Does not know where it was read, nor the values that it describes.

use std::fmt;

/// The parameters and the result of an exported function.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// The parameters, in order: their names and types.
    pub params: Vec<(String, Type)>,
    /// The type of the result, if there is one.
    pub result: Option<Type>,
}

/// A value type of the component model. Names are in kebab case, as in WIT.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// A boolean.
    Bool,
    /// An integer from -2^7 below 2^7.
    S8,
    /// An integer from 0 below 2^8.
    U8,
    /// An integer from -2^15 below 2^15.
    S16,
    /// An integer from 0 below 2^16.
    U16,
    /// An integer from -2^31 below 2^31.
    S32,
    /// An integer from 0 below 2^32.
    U32,
    /// An integer from -2^63 below 2^63.
    S64,
    /// An integer from 0 below 2^64.
    U64,
    /// A floating-point number of 32 bits.
    F32,
    /// A floating-point number of 64 bits.
    F64,
    /// A Unicode scalar value.
    Char,
    /// Text.
    String,
    /// Any number of values of one type.
    List(Box<Type>),
    /// Values of several types, by position.
    Tuple(Vec<Type>),
    /// Values of several types, by name.
    Record(Vec<(String, Type)>),
    /// One of several cases, each with or without a value.
    Variant(Vec<(String, Option<Type>)>),
    /// One of several names.
    Enum(Vec<String>),
    /// Any of several names.
    Flags(Vec<String>),
    /// A value or none.
    Option(Box<Type>),
    /// A success or an error, each with or without a value.
    Result {
        /// The type of the value, if it has one.
        ok: Option<Box<Type>>,
        /// The type of the error, if it has one.
        err: Option<Box<Type>>,
    },
}

/// An exported function that cannot be a task.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Uncallable {
    /// Its name, as that of a task, cut after 256 bytes.
    pub name: String,
    /// Why it cannot be called, for example `its result holds a resource`.
    pub reason: String,
}

impl Signature {
    /// The type of the function's error, if its result is a `result` with one.
    pub(crate) fn error(&self) -> Option<&Type> {
        match &self.result {
            Some(Type::Result { err, .. }) => err.as_deref(),
            _ => None,
        }
    }

    /// The least number of arguments: options at the end may be omitted.
    pub(crate) fn required(&self) -> usize {
        let is_required = |(_, ty): &(String, Type)| !matches!(ty, Type::Option(_));
        let last = self.params.iter().rposition(is_required);
        last.map_or(0, |last| last + 1)
    }

    /// The type of the task's outcome: the result type, or the `ok` type of a `result`, whose
    /// error is the failure of the task.
    pub fn output(&self) -> Option<&Type> {
        match &self.result {
            Some(Type::Result { ok, .. }) => ok.as_deref(),
            result => result.as_ref(),
        }
    }
}

/// In WIT's syntax: `func(n: u64, names: option<list<string>>) -> result<list<u64>, string>`.
impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = &self.params;
        formatter.write_str("func(")?;
        separated(formatter, params, |formatter, (name, ty)| {
            write!(formatter, "{name}: {ty}")
        })?;
        formatter.write_str(")")?;
        match &self.result {
            Some(ty) => write!(formatter, " -> {ty}"),
            None => Ok(()),
        }
    }
}

/// In WIT's syntax, with records, variants, enums and flags written out in place of their names:
/// `list<record { x: f64, y: f64 }>`.
impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => formatter.write_str("bool"),
            Self::S8 => formatter.write_str("s8"),
            Self::U8 => formatter.write_str("u8"),
            Self::S16 => formatter.write_str("s16"),
            Self::U16 => formatter.write_str("u16"),
            Self::S32 => formatter.write_str("s32"),
            Self::U32 => formatter.write_str("u32"),
            Self::S64 => formatter.write_str("s64"),
            Self::U64 => formatter.write_str("u64"),
            Self::F32 => formatter.write_str("f32"),
            Self::F64 => formatter.write_str("f64"),
            Self::Char => formatter.write_str("char"),
            Self::String => formatter.write_str("string"),
            Self::List(element) => write!(formatter, "list<{element}>"),
            Self::Tuple(types) => {
                formatter.write_str("tuple<")?;
                separated(formatter, types, |formatter, ty| ty.fmt(formatter))?;
                formatter.write_str(">")
            }
            Self::Record(fields) => braced(formatter, "record", fields, |formatter, field| {
                let (name, ty) = field;
                write!(formatter, "{name}: {ty}")
            }),
            Self::Variant(cases) => {
                braced(formatter, "variant", cases, |formatter, case| match case {
                    (name, Some(ty)) => write!(formatter, "{name}({ty})"),
                    (name, None) => formatter.write_str(name),
                })
            }
            Self::Enum(names) => braced(formatter, "enum", names, |formatter, name| {
                formatter.write_str(name)
            }),
            Self::Flags(names) => braced(formatter, "flags", names, |formatter, name| {
                formatter.write_str(name)
            }),
            Self::Option(inner) => write!(formatter, "option<{inner}>"),
            Self::Result { ok, err } => match (ok, err) {
                (None, None) => formatter.write_str("result"),
                (Some(ok), None) => write!(formatter, "result<{ok}>"),
                (None, Some(err)) => write!(formatter, "result<_, {err}>"),
                (Some(ok), Some(err)) => write!(formatter, "result<{ok}, {err}>"),
            },
        }
    }
}

fn braced<T>(
    formatter: &mut fmt::Formatter<'_>,
    keyword: &str,
    parts: &[T],
    write_part: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(formatter, "{keyword} {{ ")?;
    separated(formatter, parts, write_part)?;
    formatter.write_str(if parts.is_empty() { "}" } else { " }" })
}

fn separated<T>(
    formatter: &mut fmt::Formatter<'_>,
    parts: &[T],
    write_part: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            formatter.write_str(", ")?;
        }
        write_part(formatter, part)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_printed_as_wit_has_them() {
        let list = |ty| Type::List(Box::new(ty));
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let point = Type::Record(vec![("x".into(), Type::F64), ("y".into(), Type::F64)]);
        let shape = Type::Variant(vec![("dot".into(), None), ("at".into(), Some(point))]);
        let signature = Signature {
            params: vec![
                ("n".into(), Type::U64),
                ("names".into(), Type::Option(Box::new(list(Type::String)))),
                ("shape".into(), shape),
                ("how".into(), Type::Flags(names(&["fast", "safe"]))),
                ("color".into(), Type::Enum(names(&["red"]))),
                ("pair".into(), Type::Tuple(vec![Type::Char, Type::Bool])),
            ],
            result: Some(Type::Result {
                ok: None,
                err: Some(Box::new(Type::String)),
            }),
        };
        assert_eq!(
            signature.to_string(),
            "func(n: u64, names: option<list<string>>, \
             shape: variant { dot, at(record { x: f64, y: f64 }) }, how: flags { fast, safe }, \
             color: enum { red }, pair: tuple<char, bool>) -> result<_, string>"
        );
        assert_eq!(signature.output(), None);
        let nothing = Signature {
            params: Vec::new(),
            result: None,
        };
        assert_eq!(nothing.to_string(), "func()");
    }
}
