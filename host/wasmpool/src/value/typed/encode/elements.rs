//! Sequences: lists, tuples, the names of flags, and the arguments of a function.

use std::fmt;

use serde::ser::{
    Serialize, SerializeSeq, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};

use super::targets::{ByteTarget, FlagTarget, NothingTarget};
use super::{Encoder, at_case, mismatch};
use crate::value::Type;
use crate::value::typed::given::{Given, TargetSerializer, count};
use crate::value::typed::path::{Step, ValueFault, shortened};
use crate::value::typed::wire::Frame;

/// Takes the elements of a list or a tuple, the names of flags, or the arguments.
pub(crate) struct Elements<'e, 't> {
    pub(super) encoder: &'e mut Encoder,
    pub(super) kind: ElementsKind<'t>,
    /// How many elements were written.
    pub(super) count: usize,
    /// The case whose value the elements are.
    pub(super) case: Option<&'t str>,
}

pub(super) enum ElementsKind<'t> {
    /// Numbers below 2^8.
    Bytes(Frame),
    List(&'t Type, Frame),
    Tuple(&'t Type, &'t [Type]),
    Arguments(&'t [(String, Type)]),
    Flags(&'t [String], Vec<usize>),
    /// A case without a value: accepts no elements.
    Nothing,
}

impl Elements<'_, '_> {
    #[inline]
    pub(super) fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
        let index = self.count;
        self.count += 1;
        let encoder = &mut *self.encoder;
        let (done, step) = match &mut self.kind {
            ElementsKind::Bytes(_) => (
                value.serialize(TargetSerializer(ByteTarget(&mut encoder.writer))),
                Step::Index(index),
            ),
            ElementsKind::List(ty, _) => (value.serialize(encoder.value(ty)), Step::Index(index)),
            ElementsKind::Tuple(whole, types) => match types.get(index) {
                Some(ty) => (value.serialize(encoder.value(ty)), Step::Place(index)),
                None => return Err(at_case(mismatch(whole, Given::List(None)), self.case)),
            },
            ElementsKind::Arguments(params) => match params.get(index) {
                Some((_, ty)) => (value.serialize(encoder.value(ty)), Step::Argument(index)),
                None => return Err(wrong_arity(params, self.count)),
            },
            ElementsKind::Flags(names, set) => (
                value.serialize(TargetSerializer(FlagTarget(names, set))),
                Step::Index(index),
            ),
            ElementsKind::Nothing => (
                value.serialize(TargetSerializer(NothingTarget(""))),
                Step::Index(index),
            ),
        };
        match done {
            Ok(()) => Ok(()),
            Err(fault) => Err(at_case(fault.at(step), self.case)),
        }
    }

    pub(super) fn finish(self) -> Result<(), ValueFault> {
        let Self {
            encoder,
            kind,
            count,
            case,
        } = self;
        let done = match kind {
            ElementsKind::Bytes(frame) | ElementsKind::List(_, frame) => {
                encoder.writer.end(frame, count).map_err(ValueFault::from)
            }
            ElementsKind::Tuple(_, types) if count == types.len() => Ok(()),
            ElementsKind::Tuple(whole, _) => Err(mismatch(whole, Given::List(Some(count)))),
            ElementsKind::Arguments(params) => missing_arguments(encoder, params, count),
            ElementsKind::Flags(names, set) => encoder.flags(names, set),
            ElementsKind::Nothing => Ok(()),
        };
        done.map_err(|fault| at_case(fault, case))
    }
}

/// Writes nil for omitted arguments: options at the end.
pub(crate) fn missing_arguments(
    encoder: &mut Encoder,
    params: &[(String, Type)],
    given: usize,
) -> Result<(), ValueFault> {
    for (_, ty) in params.get(given..).unwrap_or_default() {
        match ty {
            Type::Option(_) => encoder.writer.nil(),
            _ => return Err(wrong_arity(params, given)),
        }
    }
    Ok(())
}

/// The fault of too many arguments, or of too few.
#[cold]
pub(crate) fn wrong_arity(params: &[(String, Type)], given: usize) -> ValueFault {
    let expected = match params.len() {
        0 => "no arguments".to_owned(),
        number => {
            let params = shortened(Params(params));
            format!("{} ({params})", count(number, "argument"))
        }
    };
    ValueFault::new(format!("expected {expected}, got {given}"))
}

/// Displays parameters as in a signature.
pub(super) struct Params<'t>(&'t [(String, Type)]);

impl fmt::Display for Params<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, ty)) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(formatter, "{separator}{name}: {ty}")?;
        }
        Ok(())
    }
}

macro_rules! take_elements {
    ($($trait:ident: $method:ident),*) => {
        $(impl $trait for Elements<'_, '_> {
            type Ok = ();
            type Error = ValueFault;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
                self.element(value)
            }

            fn end(self) -> Result<(), ValueFault> {
                self.finish()
            }
        })*
    };
}
take_elements!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);
