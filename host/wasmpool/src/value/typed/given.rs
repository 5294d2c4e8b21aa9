//! The value that a program gives where a typed value is expected.
//!
//! Does not know types: a value has the form in which serde passes it.

use std::fmt;

use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeTuple, Serializer};

use super::path::{ValueFault, shortened};

/// A value of serde's data model; of compound values only the kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given<'a> {
    /// `()`, `None`, `null`.
    Null,
    Bool(bool),
    /// A non-negative integer.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// An integer that needs more than 64 bits.
    Wide(i128),
    /// An integer that needs all 128 bits.
    VeryWide(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A case of an enum, without a value.
    Case(&'a str),
    /// A sequence or a tuple, with its length if known.
    List(Option<usize>),
    /// A map or a struct.
    Map,
}

impl From<i64> for Given<'_> {
    fn from(value: i64) -> Self {
        match u64::try_from(value) {
            Ok(value) => Self::Unsigned(value),
            Err(_) => Self::Signed(value),
        }
    }
}

impl From<i128> for Given<'_> {
    fn from(value: i128) -> Self {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => Self::Unsigned(value),
            (_, Ok(value)) => Self::Signed(value),
            _ => Self::Wide(value),
        }
    }
}

impl From<u128> for Given<'_> {
    fn from(value: u128) -> Self {
        match i128::try_from(value) {
            Ok(value) => value.into(),
            Err(_) => Self::VeryWide(value),
        }
    }
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Bool(value) => value.fmt(formatter),
            Self::Unsigned(value) => value.fmt(formatter),
            Self::Signed(value) => value.fmt(formatter),
            Self::Wide(value) => value.fmt(formatter),
            Self::VeryWide(value) => value.fmt(formatter),
            Self::F32(value) => write!(formatter, "{value:?}"),
            Self::F64(value) => write!(formatter, "{value:?}"),
            Self::Char(value) => write!(formatter, "{value:?}"),
            Self::Text(value) => write!(formatter, "{:?}", shortened(value)),
            Self::Bytes(value) => write!(formatter, "{}", count(value.len(), "byte")),
            Self::Case(name) => write!(formatter, "the case `{name}`"),
            Self::List(Some(length)) => {
                write!(formatter, "a list of {}", count(*length, "element"))
            }
            Self::List(None) => formatter.write_str("a list"),
            Self::Map => formatter.write_str("a map"),
        }
    }
}

/// `1 byte`, `2 bytes`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Takes a value without parts, or with elements.
pub(crate) trait Target: Sized {
    /// Takes the elements.
    type Elements: SerializeSeq<Ok = (), Error = ValueFault>
        + SerializeTuple<Ok = (), Error = ValueFault>;

    /// Takes a value without parts, or returns why not. Called with the kind of a compound value
    /// only for the error.
    fn accept(self, given: Given<'_>) -> Result<(), ValueFault>;

    /// Takes a list.
    fn elements(self, length: Option<usize>) -> Result<Self::Elements, ValueFault> {
        Err(refusal(self, Given::List(length)))
    }
}

/// The error of a [`Target`] that does not take `given`.
fn refusal<T: Target>(target: T, given: Given<'_>) -> ValueFault {
    match target.accept(given) {
        Ok(()) => ValueFault::new(format!("unexpected: {given}")),
        Err(fault) => fault,
    }
}

/// Passes a value without parts to a [`Target`], and of a compound value only its kind.
pub(crate) struct TargetSerializer<T>(pub(super) T);

/// The methods of a serializer that take a value without parts.
macro_rules! accept_scalars {
    () => {
        #[inline]
        fn serialize_bool(self, value: bool) -> Result<(), ValueFault> {
            self.accept(Given::Bool(value))
        }
        #[inline]
        fn serialize_i8(self, value: i8) -> Result<(), ValueFault> {
            self.accept(Given::from(i64::from(value)))
        }
        #[inline]
        fn serialize_i16(self, value: i16) -> Result<(), ValueFault> {
            self.accept(Given::from(i64::from(value)))
        }
        #[inline]
        fn serialize_i32(self, value: i32) -> Result<(), ValueFault> {
            self.accept(Given::from(i64::from(value)))
        }
        #[inline]
        fn serialize_i64(self, value: i64) -> Result<(), ValueFault> {
            self.accept(Given::from(value))
        }
        fn serialize_i128(self, value: i128) -> Result<(), ValueFault> {
            self.accept(Given::from(value))
        }
        #[inline]
        fn serialize_u8(self, value: u8) -> Result<(), ValueFault> {
            self.accept(Given::Unsigned(value.into()))
        }
        #[inline]
        fn serialize_u16(self, value: u16) -> Result<(), ValueFault> {
            self.accept(Given::Unsigned(value.into()))
        }
        #[inline]
        fn serialize_u32(self, value: u32) -> Result<(), ValueFault> {
            self.accept(Given::Unsigned(value.into()))
        }
        #[inline]
        fn serialize_u64(self, value: u64) -> Result<(), ValueFault> {
            self.accept(Given::Unsigned(value))
        }
        fn serialize_u128(self, value: u128) -> Result<(), ValueFault> {
            self.accept(Given::from(value))
        }
        #[inline]
        fn serialize_f32(self, value: f32) -> Result<(), ValueFault> {
            self.accept(Given::F32(value))
        }
        #[inline]
        fn serialize_f64(self, value: f64) -> Result<(), ValueFault> {
            self.accept(Given::F64(value))
        }
        fn serialize_char(self, value: char) -> Result<(), ValueFault> {
            self.accept(Given::Char(value))
        }
        fn serialize_str(self, value: &str) -> Result<(), ValueFault> {
            self.accept(Given::Text(value))
        }
        fn serialize_bytes(self, value: &[u8]) -> Result<(), ValueFault> {
            self.accept(Given::Bytes(value))
        }
        fn serialize_none(self) -> Result<(), ValueFault> {
            self.accept(Given::Null)
        }
        fn serialize_unit(self) -> Result<(), ValueFault> {
            self.accept(Given::Null)
        }
        fn serialize_unit_struct(self, _name: &'static str) -> Result<(), ValueFault> {
            self.accept(Given::Null)
        }
        fn serialize_unit_variant(
            self,
            _name: &'static str,
            _index: u32,
            variant: &'static str,
        ) -> Result<(), ValueFault> {
            self.accept(Given::Case(variant))
        }
        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _name: &'static str,
            value: &T,
        ) -> Result<(), ValueFault> {
            value.serialize(self)
        }
    };
}
pub(super) use accept_scalars;

impl<L: Target> TargetSerializer<L> {
    #[inline]
    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        self.0.accept(given)
    }
}

impl<L: Target> Serializer for TargetSerializer<L> {
    type Ok = ();
    type Error = ValueFault;
    type SerializeSeq = L::Elements;
    type SerializeTuple = L::Elements;
    type SerializeTupleStruct = Impossible<(), ValueFault>;
    type SerializeTupleVariant = Impossible<(), ValueFault>;
    type SerializeMap = Impossible<(), ValueFault>;
    type SerializeStruct = Impossible<(), ValueFault>;
    type SerializeStructVariant = Impossible<(), ValueFault>;

    accept_scalars!();

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), ValueFault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), ValueFault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<L::Elements, ValueFault> {
        self.0.elements(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<L::Elements, ValueFault> {
        self.0.elements(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, ValueFault> {
        Err(refusal(self.0, Given::List(Some(length))))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, ValueFault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, ValueFault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStruct, ValueFault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, ValueFault> {
        Err(refusal(self.0, Given::Map))
    }
}
