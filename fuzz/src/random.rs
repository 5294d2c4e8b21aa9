//! Random types, and values of them, out of a fuzzer's bytes.
//!
//! When the bytes are used up, all that is chosen is the first of what there is to choose from: the
//! smallest type, and the empty list.

use arbitrary::{Result, Unstructured};

use crate::{Type, Value};

/// How deep types nest.
pub const DEPTH: usize = 4;

const SCALARS: [Type; 13] = [
    Type::Bool,
    Type::Char,
    Type::String,
    Type::S8,
    Type::U8,
    Type::S16,
    Type::U16,
    Type::S32,
    Type::U32,
    Type::S64,
    Type::U64,
    Type::F32,
    Type::F64,
];

/// Names of fields and cases, among them what other forms have as keywords.
const NAMES: [&str; 10] = [
    "a", "b-c", "bc", "x1-y", "some", "none", "ok", "true", "inf", "URL-path",
];

/// A type, nested no deeper than `depth`.
pub fn any_type(input: &mut Unstructured<'_>, depth: usize) -> Result<Type> {
    let kind = input.int_in_range(0..=if depth == 0 { 2 } else { 11 })?;
    let inner = |input: &mut Unstructured<'_>| any_type(input, depth - 1).map(Box::new);
    let payload = |input: &mut Unstructured<'_>| match input.ratio(2, 3)? {
        true => inner(input).map(Some),
        false => Ok(None),
    };
    let n_parts = |input: &mut Unstructured<'_>| input.int_in_range(1..=5_usize);
    Ok(match kind {
        1 => Type::Enum(names(input, 300)?),
        2 => Type::Flags(names(input, 32)?),
        3 => Type::List(inner(input)?),
        4 => Type::List(Box::new(Type::U8)),
        5 => {
            let n_parts = n_parts(input)?;
            let parts = (0..n_parts).map(|_| inner(input).map(|ty| *ty));
            Type::Tuple(parts.collect::<Result<_>>()?)
        }
        6 | 7 => {
            let names = names(input, 5)?.into_iter();
            let fields = names.map(|name| Ok((name, *inner(input)?)));
            Type::Record(fields.collect::<Result<_>>()?)
        }
        8 => {
            let names = names(input, 5)?.into_iter();
            let cases = names.map(|name| Ok((name, payload(input)?.map(|ty| *ty))));
            Type::Variant(cases.collect::<Result<_>>()?)
        }
        9 | 10 => Type::Option(inner(input)?),
        11 => Type::Result {
            ok: payload(input)?,
            err: payload(input)?,
        },
        _ => input.choose(&SCALARS)?.clone(),
    })
}

/// Up to `most` names, and one at the least.
fn names(input: &mut Unstructured<'_>, most: usize) -> Result<Vec<String>> {
    let n_names = match input.ratio(1, 8)? {
        true => input.int_in_range(1..=most)?,
        false => input.int_in_range(1..=most.min(5))?,
    };
    let first = input.choose_index(NAMES.len())?;
    let name = |index: usize| match index / NAMES.len() {
        0 => NAMES[(first + index) % NAMES.len()].to_owned(),
        _ => format!("n{index}"),
    };
    Ok((0..n_names).map(name).collect())
}

/// Several types, as the parameters of a function.
pub fn any_types(input: &mut Unstructured<'_>) -> Result<Vec<Type>> {
    let n_types = input.int_in_range(0..=3)?;
    (0..n_types).map(|_| any_type(input, DEPTH - 1)).collect()
}

/// A type that is nearly the same: here and there it has another part, or one more, or one less.
pub fn similar_type(input: &mut Unstructured<'_>, ty: &Type) -> Result<Type> {
    if input.ratio(1, 8)? {
        return match ty {
            Type::Char => Ok(Type::String),
            Type::String => Ok(Type::Char),
            Type::Enum(_) => Ok(Type::Enum(names(input, 300)?)),
            Type::Flags(_) => Ok(Type::Flags(names(input, 32)?)),
            Type::Bool | Type::F32 | Type::F64 => any_type(input, 1),
            Type::S8 | Type::U8 | Type::S16 | Type::U16 | Type::S32 | Type::U32 => {
                input.choose(&[Type::S64, Type::U64]).cloned()
            }
            Type::S64 | Type::U64 => any_type(input, 1),
            Type::List(inner) | Type::Option(inner) => match input.int_in_range(0..=4)? {
                0 => Ok((**inner).clone()),
                1 => Ok(Type::List(inner.clone())),
                2 => Ok(Type::Option(inner.clone())),
                3 => Ok(Type::Tuple(vec![(**inner).clone()])),
                _ => any_type(input, 1),
            },
            Type::Tuple(types) => {
                let mut types = types.clone();
                match input.arbitrary()? {
                    true => types.push(any_type(input, 1)?),
                    false => drop(types.pop()),
                }
                Ok(Type::Tuple(types))
            }
            Type::Record(fields) => {
                // In its wire form it is that.
                let types = fields.iter().skip(1).map(|(_, ty)| ty.clone());
                Ok(Type::Tuple(types.collect()))
            }
            Type::Variant(cases) => {
                let mut cases = cases.clone();
                let index = input.choose_index(cases.len())?;
                cases[index].1 = match cases[index].1 {
                    Some(_) => None,
                    None => Some(any_type(input, 1)?),
                };
                cases.push(("one-more".to_owned(), None));
                Ok(Type::Variant(cases))
            }
            Type::Result { ok, err } => Ok(Type::Result {
                ok: err.clone(),
                err: ok.clone(),
            }),
        };
    }
    let mut inner = |ty: &Type| similar_type(input, ty);
    Ok(match ty {
        Type::List(element) => Type::List(Box::new(inner(element)?)),
        Type::Option(some) => Type::Option(Box::new(inner(some)?)),
        Type::Tuple(types) => Type::Tuple(types.iter().map(inner).collect::<Result<_>>()?),
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, ty)| Ok((name.clone(), inner(ty)?)));
            Type::Record(fields.collect::<Result<_>>()?)
        }
        Type::Variant(cases) => {
            let cases = cases.iter().map(|(name, ty)| {
                let ty = ty.as_ref().map(&mut inner).transpose()?;
                Ok((name.clone(), ty))
            });
            Type::Variant(cases.collect::<Result<_>>()?)
        }
        Type::Result { ok, err } => {
            let mut payload = |ty: &Option<Box<Type>>| {
                let ty = ty.as_ref().map(|ty| inner(ty).map(Box::new));
                ty.transpose()
            };
            let (ok, err) = (payload(ok)?, payload(err)?);
            Type::Result { ok, err }
        }
        other => other.clone(),
    })
}

/// A value of the type, exactly as it is read from its wire form.
pub fn any_value(input: &mut Unstructured<'_>, ty: &Type) -> Result<Value> {
    Ok(match ty {
        Type::Bool => Value::Bool(input.arbitrary()?),
        Type::S8 => signed(input.arbitrary::<i8>()?.into()),
        Type::U8 => Value::Unsigned(input.arbitrary::<u8>()?.into()),
        Type::S16 => signed(input.arbitrary::<i16>()?.into()),
        Type::U16 => Value::Unsigned(input.arbitrary::<u16>()?.into()),
        Type::S32 => signed(input.arbitrary::<i32>()?.into()),
        Type::U32 => Value::Unsigned(input.arbitrary::<u32>()?.into()),
        Type::S64 => signed(input.arbitrary()?),
        Type::U64 => Value::Unsigned(input.arbitrary()?),
        Type::F32 => {
            let value = f32::from_bits(input.arbitrary()?);
            match value.is_finite() && value.fract() != 0.0 {
                // As short as it can be read back.
                true => float(value.to_string().parse().expect("it is a number")),
                false => float(value.into()),
            }
        }
        Type::F64 => float(f64::from_bits(input.arbitrary()?)),
        Type::Char => text(input.arbitrary::<char>()?),
        Type::String => {
            let length = length(input)?;
            let part: String = (0..length.min(8))
                .map(|_| input.arbitrary::<char>())
                .collect::<Result<_>>()?;
            text(part.chars().cycle().take(length).collect::<String>())
        }
        Type::List(element) if **element == Type::U8 => {
            let length = length(input)?;
            let part = input.bytes(length.min(8).min(input.len()))?.to_owned();
            Value::Bytes(match part.is_empty() {
                true => vec![0; length],
                false => part.into_iter().cycle().take(length).collect(),
            })
        }
        Type::List(element) => {
            // Long lists of long lists are nobody's.
            let length = match is_small(element) {
                true => length(input)?,
                false => input.int_in_range(0..=5)?,
            };
            let part = (0..length.min(5)).map(|_| any_value(input, element));
            let part = part.collect::<Result<Vec<_>>>()?;
            Value::List(part.into_iter().cycle().take(length).collect())
        }
        Type::Tuple(types) => {
            let values = types.iter().map(|ty| any_value(input, ty));
            Value::List(values.collect::<Result<_>>()?)
        }
        Type::Record(fields) => {
            let entries = fields
                .iter()
                .map(|(name, ty)| Ok((text(name), any_value(input, ty)?)));
            Value::Map(entries.collect::<Result<_>>()?)
        }
        Type::Variant(cases) => match input.choose(cases)? {
            (name, Some(ty)) => only_entry(name, any_value(input, ty)?),
            (name, None) => text(name),
        },
        Type::Enum(names) => text(input.choose(names)?),
        Type::Flags(names) => {
            let mut set = Vec::new();
            for name in names {
                if input.arbitrary()? {
                    set.push(text(name));
                }
            }
            Value::List(set)
        }
        Type::Option(inner) => match input.arbitrary()? {
            false => Value::Null,
            true => match (&**inner, any_value(input, inner)?) {
                // One none is not the other.
                (Type::Option(_), value) => only_entry("some", value),
                (_, value) => value,
            },
        },
        Type::Result { ok, err } => {
            let (name, payload) = match input.arbitrary()? {
                false => ("ok", ok),
                true => ("err", err),
            };
            let payload = payload.as_ref().map(|ty| any_value(input, ty));
            only_entry(name, payload.transpose()?.unwrap_or(Value::Null))
        }
    })
}

/// The length of a list or a text: short, or about where the header of MessagePack gets longer.
fn length(input: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match input.ratio(1, 32)? {
        true => *input.choose(&[15, 16, 31, 32, 255, 256])?,
        false => input.int_in_range(0..=5)?,
    })
}

fn is_small(ty: &Type) -> bool {
    match ty {
        Type::Option(inner) => is_small(inner),
        Type::List(_) | Type::Tuple(_) | Type::Record(_) => false,
        Type::Variant(_) | Type::Result { .. } => false,
        _ => true,
    }
}

fn signed(value: i64) -> Value {
    match u64::try_from(value) {
        Ok(value) => Value::Unsigned(value),
        Err(_) => Value::Signed(value),
    }
}

fn float(value: f64) -> Value {
    match value {
        value if value.is_nan() => text("NaN"),
        f64::INFINITY => text("Infinity"),
        f64::NEG_INFINITY => text("-Infinity"),
        value => Value::Float(value),
    }
}

fn text(text: impl ToString) -> Value {
    Value::Text(text.to_string())
}

fn only_entry(name: &str, value: Value) -> Value {
    Value::Map(vec![(text(name), value)])
}

/// Changes, cuts or doubles some of the bytes.
pub fn corrupt(input: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    for _ in 0..input.int_in_range(1..=4)? {
        if bytes.is_empty() {
            return Ok(());
        }
        let at = input.choose_index(bytes.len())?;
        match input.int_in_range(0..=3)? {
            0 => bytes[at] = input.arbitrary()?,
            1 => bytes.insert(at, input.arbitrary()?),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    Ok(())
}
