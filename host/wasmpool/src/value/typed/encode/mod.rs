//! From serde values to the wire form, checked against their types.
//!
//! Does not know who reads it. The rules of the wire form are in the docs of the module above.

mod elements;
mod entries;
mod record;
mod targets;
mod value;

use serde::Serialize;

use self::targets::{ArgumentsTarget, NothingTarget};
use super::given::{Given, TargetSerializer};
use super::names;
use super::path::{ArgumentError, Step, ValueFault, shortened};
use super::wire::{TooLong, Writer};
use crate::value::{Arguments, Signature, Type};

pub(super) use elements::{missing_arguments, wrong_arity};
pub(super) use record::Record;
pub(super) use targets::{flag, takes_nothing};
pub(super) use value::ValueSerializer;

/// Writes the arguments of a function as one array.
///
/// # Errors
///
/// If their number is wrong, or one does not fit its parameter.
pub(crate) fn encode_arguments<A: Arguments>(
    signature: &Signature,
    arguments: &A,
) -> Result<Vec<u8>, ArgumentError> {
    let mut encoder = Encoder::default();
    arguments.serialize(TargetSerializer(ArgumentsTarget {
        encoder: &mut encoder,
        params: &signature.params,
    }))?;
    Ok(encoder.writer.into_bytes())
}

/// Writes one value.
pub(crate) fn encode_value<T: Serialize>(ty: &Type, value: &T) -> Result<Vec<u8>, ArgumentError> {
    let mut encoder = Encoder::default();
    value.serialize(encoder.value(ty))?;
    Ok(encoder.writer.into_bytes())
}

/// Writes the result of a function. A function without one gives nothing.
///
/// # Errors
///
/// If the value does not fit the type, or is something where nothing was expected.
pub(crate) fn encode_result<T: Serialize>(
    ty: Option<&Type>,
    value: &T,
) -> Result<Vec<u8>, ArgumentError> {
    let nothing = Type::Tuple(Vec::new());
    let mut encoder = Encoder::default();
    let written = value.serialize(encoder.value(ty.unwrap_or(&nothing)));
    written.map_err(|fault| fault.at(Step::Result))?;
    Ok(encoder.writer.into_bytes())
}

/// The written bytes, and the state while writing.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    pub(crate) writer: Writer,
    /// The fields written so far of all open records, the innermost last: the index of the field,
    /// and where it begins. One stack for all records, so that a record costs no allocation.
    pub(super) fields: Vec<(usize, usize)>,
}

impl Encoder {
    /// The serializer of a value of this type.
    pub(crate) fn value<'e, 't>(&'e mut self, ty: &'t Type) -> ValueSerializer<'e, 't> {
        ValueSerializer { encoder: self, ty }
    }

    /// Writes the index of a case of an enum, a variant or a result.
    pub(crate) fn case(&mut self, ty: &Type, case: &Case<'_>) {
        match (ty, case.payload) {
            (Type::Enum(_), _) => self.writer.unsigned(case.index as u64),
            (_, payload) => {
                self.writer.array(1 + usize::from(payload.is_some()));
                self.writer.unsigned(case.index as u64);
            }
        }
    }

    /// Writes which flags are set. `set` need not be in order.
    pub(crate) fn flags(
        &mut self,
        names: &[String],
        mut set: Vec<usize>,
    ) -> Result<(), ValueFault> {
        set.sort_unstable();
        if let Some(twice) = set.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = &names[twice[0]];
            return Err(ValueFault::new(format!("the flag `{name}` is given twice")));
        }
        self.writer.array(set.len());
        for index in set {
            self.writer.unsigned(index as u64);
        }
        Ok(())
    }
}

impl From<TooLong> for ValueFault {
    fn from(_: TooLong) -> Self {
        Self::new("too long: no list and no text can have 2^32 elements or more")
    }
}

/// The fault of a value that is not of type `ty`.
#[cold]
pub(crate) fn mismatch(ty: &Type, given: Given<'_>) -> ValueFault {
    let expected = shortened(ty);
    let mut problem = format!("expected {expected}, got {given}");
    match (ty, given) {
        (Type::F32, Given::F64(value)) => {
            problem += &format!(", which it cannot hold: the nearest is {:?}", value as f32);
        }
        (Type::F32 | Type::F64, Given::Unsigned(_) | Given::Signed(_)) => {
            problem += ", which it cannot hold exactly";
        }
        (Type::List(element), Given::Text(_)) if **element == Type::U8 => {
            problem += r#": give bytes as numbers or as {"base64": "..."}"#;
        }
        _ => {}
    }
    ValueFault::new(problem)
}

/// One of the cases of an enum, a variant or a result.
#[derive(Debug)]
pub(crate) struct Case<'t> {
    pub(super) index: usize,
    pub(crate) name: &'t str,
    pub(crate) payload: Option<&'t Type>,
}

impl<'t> Case<'t> {
    /// The case `name` of a type that has cases.
    pub(crate) fn find(ty: &'t Type, name: &str) -> Option<Result<Self, ValueFault>> {
        fn found<'t>(
            names: impl Iterator<Item = &'t str> + Clone,
            wanted: &str,
        ) -> Result<(usize, &'t str), ValueFault> {
            names::find(names.clone(), wanted)
                .and_then(|index| Some((index, names.clone().nth(index)?)))
                .ok_or_else(|| ValueFault::new(names::unknown("case", wanted, names)))
        }
        let found = match ty {
            Type::Enum(cases) => found(cases.iter().map(String::as_str), name)
                .map(|(index, name)| (index, name, None)),
            Type::Variant(cases) => found(cases.iter().map(|case| case.0.as_str()), name)
                .map(|(index, name)| (index, name, cases[index].1.as_ref())),
            Type::Result { ok, err } => {
                found(["ok", "err"].into_iter(), name).map(|(index, name)| {
                    let payload = if index == 0 { ok } else { err };
                    (index, name, payload.as_deref())
                })
            }
            _ => return None,
        };
        Some(found.map(|(index, name, payload)| Self {
            index,
            name,
            payload,
        }))
    }

    /// The fault of a case that lacks its value.
    pub(crate) fn lacks(&self, payload: &Type) -> ValueFault {
        let payload = shortened(payload);
        ValueFault::new(format!(
            "the case `{}` takes a value: expected {payload}, got none",
            self.name
        ))
    }
}

/// Takes the value of a case.
pub(super) fn payload<T: Serialize + ?Sized>(
    encoder: &mut Encoder,
    case: &Case<'_>,
    value: &T,
) -> Result<(), ValueFault> {
    match case.payload {
        Some(ty) => value.serialize(encoder.value(ty)).map_err(|fault| {
            let step = Step::Name(case.name.to_owned());
            fault.at(step)
        }),
        None => value.serialize(TargetSerializer(NothingTarget(case.name))),
    }
}

pub(super) fn at_case(fault: ValueFault, case: Option<&str>) -> ValueFault {
    match case {
        Some(name) => fault.at(Step::Name(name.to_owned())),
        None => fault,
    }
}
