//! Values of one type.

use serde::ser::{Serialize, Serializer};

use super::elements::{Elements, ElementsKind};
use super::entries::{CaseEntry, Entries, EntriesKind};
use super::record::Record;
use super::targets::{ByteTarget, takes_nothing};
use super::{Case, Encoder, at_case, mismatch, payload};
use crate::value::Type;
use crate::value::typed::given::{Given, TargetSerializer, accept_scalars};
use crate::value::typed::number;
use crate::value::typed::path::{Step, ValueFault};
use crate::value::typed::wire::Writer;

/// Takes a value of one type.
pub(crate) struct ValueSerializer<'e, 't> {
    pub(crate) encoder: &'e mut Encoder,
    pub(crate) ty: &'t Type,
}

impl<'e, 't> ValueSerializer<'e, 't> {
    /// Takes a value without parts.
    pub(crate) fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        if let (Type::Option(_), Given::Null) = (self.ty, given) {
            self.encoder.writer.nil();
            return Ok(());
        }
        let Self { encoder, ty } = self.present();
        let writer = &mut encoder.writer;
        match (ty, given) {
            (Type::Bool, Given::Bool(value)) => writer.bool(value),
            (Type::F64, given) => match float(given) {
                Some(value) => writer.f64(value),
                None => return Err(mismatch(ty, given)),
            },
            (Type::F32, given) => match narrow_float(given) {
                Some(value) => writer.f32(value),
                None => return Err(mismatch(ty, given)),
            },
            (Type::Char, Given::Char(value)) => writer.text(value.encode_utf8(&mut [0; 4]))?,
            (Type::Char, Given::Text(text)) if text.chars().count() == 1 => {
                writer.text(text)?;
            }
            (Type::String, Given::Text(text) | Given::Case(text)) => writer.text(text)?,
            (Type::String, Given::Char(value)) => writer.text(value.encode_utf8(&mut [0; 4]))?,
            (Type::List(element), Given::Bytes(bytes)) if **element == Type::U8 => {
                writer.binary(bytes)?;
            }
            (ty, Given::Text(name) | Given::Case(name)) => match Case::find(ty, name) {
                Some(case) => {
                    let case = case?;
                    if let Some(payload) = case.payload {
                        return Err(case.lacks(payload));
                    }
                    encoder.case(ty, &case);
                }
                None => match integer(ty, given) {
                    Some(value) => value.write(writer),
                    None => return Err(mismatch(ty, given)),
                },
            },
            (Type::Tuple(types), Given::Null) if types.is_empty() => writer.array(0),
            (Type::Record(fields), Given::Null) if fields.is_empty() => writer.array(0),
            (ty, given) => match integer(ty, given) {
                Some(value) => value.write(writer),
                None => return Err(mismatch(ty, given)),
            },
        }
        Ok(())
    }

    /// Writes the headers of present options, for a value that is not itself an option.
    fn present(self) -> Self {
        let Self { encoder, mut ty } = self;
        while let Type::Option(inner) = ty {
            encoder.writer.array(1);
            ty = inner;
        }
        Self { encoder, ty }
    }

    /// Takes a sequence.
    fn elements(self, length: Option<usize>) -> Result<Elements<'e, 't>, ValueFault> {
        let Self { encoder, ty } = self.present();
        let kind = match ty {
            Type::List(element) if **element == Type::U8 => {
                ElementsKind::Bytes(encoder.writer.begin_bytes(length))
            }
            Type::List(element) => ElementsKind::List(element, encoder.writer.begin_array(length)),
            Type::Tuple(types) if length.is_none_or(|length| length == types.len()) => {
                encoder.writer.array(types.len());
                ElementsKind::Tuple(ty, types)
            }
            Type::Flags(names) => ElementsKind::Flags(names, Vec::new()),
            ty => return Err(mismatch(ty, Given::List(length))),
        };
        Ok(Elements {
            encoder,
            kind,
            count: 0,
            case: None,
        })
    }

    /// Takes a map or a struct.
    fn entries(self) -> Result<Entries<'e, 't>, ValueFault> {
        let nested = |inner: &Type| matches!(inner, Type::Option(_));
        // `{"some": ...}` distinguishes the outer none from the inner one in JSON.
        let this = match self.ty {
            Type::Option(inner) if nested(inner) => self,
            _ => self.present_once(),
        };
        let Self { encoder, ty } = this;
        let kind = match ty {
            Type::Record(fields) => EntriesKind::Record(Record::begin(encoder, ty, fields)),
            Type::Option(_) | Type::Enum(_) | Type::Variant(_) | Type::Result { .. } => {
                EntriesKind::Case(ty, CaseEntry::Missing)
            }
            Type::Flags(names) => EntriesKind::Flags(names, Vec::new(), 0),
            Type::List(element) => match &**element {
                Type::U8 => EntriesKind::Base64(CaseEntry::Missing),
                Type::Tuple(types) => match types.as_slice() {
                    [key, value] => EntriesKind::Pairs {
                        key,
                        value,
                        frame: encoder.writer.begin_array(None),
                        count: 0,
                    },
                    _ => return Err(mismatch(ty, Given::Map)),
                },
                _ => return Err(mismatch(ty, Given::Map)),
            },
            ty => return Err(mismatch(ty, Given::Map)),
        };
        Ok(Entries {
            encoder,
            kind,
            case: None,
        })
    }

    fn present_once(self) -> Self {
        match self.ty {
            Type::Option(_) => self.present(),
            _ => self,
        }
    }

    /// Writes the index of a case with a value, and returns the encoder for the value.
    fn with_case(self, name: &str) -> Result<(&'e mut Encoder, Case<'t>), ValueFault> {
        let Self { encoder, ty } = self.present();
        match Case::find(ty, name) {
            Some(case) => {
                let case = case?;
                encoder.case(ty, &case);
                Ok((encoder, case))
            }
            None => Err(mismatch(ty, Given::Case(name))),
        }
    }
}

/// An integer that fits its type.
pub(super) enum Integer {
    Unsigned(u64),
    Signed(i64),
}

impl Integer {
    #[inline]
    fn write(self, writer: &mut Writer) {
        match self {
            Self::Unsigned(value) => writer.unsigned(value),
            Self::Signed(value) => writer.signed(value),
        }
    }
}

/// The given value as an integer of type `ty`.
#[inline]
pub(super) fn integer(ty: &Type, given: Given<'_>) -> Option<Integer> {
    let (least, greatest) = number::range(ty)?;
    let given = match given {
        Given::F32(value) => number::float_as_integer(value.into())?.into(),
        Given::F64(value) => number::float_as_integer(value)?.into(),
        Given::Text(text) => text.parse::<i128>().ok()?.into(),
        given => given,
    };
    match given {
        Given::Unsigned(value) if value <= greatest => Some(Integer::Unsigned(value)),
        Given::Signed(value) if value >= least => Some(Integer::Signed(value)),
        _ => None,
    }
}

/// The given value as a 64-bit float.
#[inline]
pub(super) fn float(given: Given<'_>) -> Option<f64> {
    match given {
        Given::F64(value) => Some(value),
        Given::F32(value) => Some(value.into()),
        Given::Unsigned(value) => number::integer_as_f64(value.into()),
        Given::Signed(value) => number::integer_as_f64(value.into()),
        Given::Text(text) => number::not_finite_from(text),
        _ => None,
    }
}

/// The given value as a 32-bit float.
#[inline]
pub(super) fn narrow_float(given: Given<'_>) -> Option<f32> {
    match given {
        Given::F32(value) => Some(value),
        Given::F64(value) => number::f64_as_f32(value),
        Given::Unsigned(value) => number::integer_as_f32(value.into()),
        Given::Signed(value) => number::integer_as_f32(value.into()),
        Given::Text(text) => number::not_finite_from(text).map(|value| value as f32),
        _ => None,
    }
}

impl<'e, 't> Serializer for ValueSerializer<'e, 't> {
    type Ok = ();
    type Error = ValueFault;
    type SerializeSeq = Elements<'e, 't>;
    type SerializeTuple = Elements<'e, 't>;
    type SerializeTupleStruct = Elements<'e, 't>;
    type SerializeTupleVariant = Elements<'e, 't>;
    type SerializeMap = Entries<'e, 't>;
    type SerializeStruct = Entries<'e, 't>;
    type SerializeStructVariant = Entries<'e, 't>;

    accept_scalars!();

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), ValueFault> {
        match self.ty {
            Type::Option(inner) => {
                self.encoder.writer.array(1);
                value.serialize(self.encoder.value(inner))
            }
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), ValueFault> {
        let (encoder, case) = self.with_case(variant)?;
        payload(encoder, &case, value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'e, 't>, ValueFault> {
        self.elements(length)
    }

    /// Slices and vectors call this: for bulk data the kind is matched only once.
    fn collect_seq<I>(self, elements: I) -> Result<(), ValueFault>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let given = elements.into_iter();
        let length = match given.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        };
        let mut elements = self.elements(length)?;
        match elements.kind {
            ElementsKind::Bytes(_) => {
                let writer = &mut elements.encoder.writer;
                for (index, value) in given.enumerate() {
                    value
                        .serialize(TargetSerializer(ByteTarget(writer)))
                        .map_err(|fault| fault.at(Step::Index(index)))?;
                    elements.count += 1;
                }
            }
            ElementsKind::List(ty, _) => {
                for (index, value) in given.enumerate() {
                    value
                        .serialize(elements.encoder.value(ty))
                        .map_err(|fault| fault.at(Step::Index(index)))?;
                    elements.count += 1;
                }
            }
            _ => {
                for value in given {
                    elements.element(&value)?;
                }
            }
        }
        elements.finish()
    }

    fn serialize_tuple(self, length: usize) -> Result<Elements<'e, 't>, ValueFault> {
        self.elements(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Elements<'e, 't>, ValueFault> {
        self.elements(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Elements<'e, 't>, ValueFault> {
        let (encoder, case) = self.with_case(variant)?;
        match case.payload {
            Some(ty) => {
                let elements = encoder.value(ty).elements(Some(length));
                let mut elements = elements.map_err(|fault| at_case(fault, Some(case.name)))?;
                elements.case = Some(case.name);
                Ok(elements)
            }
            None if length == 0 => Ok(Elements {
                encoder,
                kind: ElementsKind::Nothing,
                count: 0,
                case: None,
            }),
            None => Err(takes_nothing(case.name, Given::List(Some(length)))),
        }
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Entries<'e, 't>, ValueFault> {
        self.entries()
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Entries<'e, 't>, ValueFault> {
        self.entries()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Entries<'e, 't>, ValueFault> {
        let (encoder, case) = self.with_case(variant)?;
        match case.payload {
            Some(ty) => {
                let entries = encoder.value(ty).entries();
                let mut entries = entries.map_err(|fault| at_case(fault, Some(case.name)))?;
                entries.case = Some(case.name);
                Ok(entries)
            }
            None if length == 0 => Ok(Entries {
                encoder,
                kind: EntriesKind::Nothing,
                case: None,
            }),
            None => Err(takes_nothing(case.name, Given::Map)),
        }
    }
}
