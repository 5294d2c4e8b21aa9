//! What a program gives where a typed value is expected.
//!
//! Knows nothing of types: a value is seen here as serde hands it over.

use std::fmt;

use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeTuple, Serializer};

use super::path::{Fault, shortened};

/// A value of serde's data model, of which the compound ones are only named.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    /// `()`, `None`, `null`.
    Null,
    Bool(bool),
    /// An integer from 0.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// An integer beyond 64 bits.
    Wide(i128),
    /// An integer beyond 127 bits.
    VeryWide(u128),
    F32(f32),
    F64(f64),
    Char(char),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A case of an enum, without a value.
    Case(&'a str),
    /// A sequence or a tuple, of a length that may be known.
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
pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Who looks at a value that has no parts, or only elements.
pub(super) trait Look: Sized {
    /// Takes the elements.
    type Elements: SerializeSeq<Ok = (), Error = Fault> + SerializeTuple<Ok = (), Error = Fault>;

    /// Takes a value without parts, or says why not. One with parts is shown only to hear that.
    fn look(self, given: Given<'_>) -> Result<(), Fault>;

    /// Takes a list.
    fn elements(self, length: Option<usize>) -> Result<Self::Elements, Fault> {
        Err(refusal(self, Given::List(length)))
    }
}

/// What a [`Look`] says that does not take `given`.
fn refusal<L: Look>(look: L, given: Given<'_>) -> Fault {
    match look.look(given) {
        Ok(()) => Fault::new(format!("unexpected: {given}")),
        Err(fault) => fault,
    }
}

/// Shows a value without parts to a [`Look`], one with parts by its name only.
pub(super) struct Show<L>(pub(super) L);

/// The methods of a serializer that take a value without parts.
macro_rules! show_scalars {
    () => {
        #[inline]
        fn serialize_bool(self, value: bool) -> Result<(), Fault> {
            self.look(Given::Bool(value))
        }
        #[inline]
        fn serialize_i8(self, value: i8) -> Result<(), Fault> {
            self.look(Given::from(i64::from(value)))
        }
        #[inline]
        fn serialize_i16(self, value: i16) -> Result<(), Fault> {
            self.look(Given::from(i64::from(value)))
        }
        #[inline]
        fn serialize_i32(self, value: i32) -> Result<(), Fault> {
            self.look(Given::from(i64::from(value)))
        }
        #[inline]
        fn serialize_i64(self, value: i64) -> Result<(), Fault> {
            self.look(Given::from(value))
        }
        fn serialize_i128(self, value: i128) -> Result<(), Fault> {
            self.look(Given::from(value))
        }
        #[inline]
        fn serialize_u8(self, value: u8) -> Result<(), Fault> {
            self.look(Given::Unsigned(value.into()))
        }
        #[inline]
        fn serialize_u16(self, value: u16) -> Result<(), Fault> {
            self.look(Given::Unsigned(value.into()))
        }
        #[inline]
        fn serialize_u32(self, value: u32) -> Result<(), Fault> {
            self.look(Given::Unsigned(value.into()))
        }
        #[inline]
        fn serialize_u64(self, value: u64) -> Result<(), Fault> {
            self.look(Given::Unsigned(value))
        }
        fn serialize_u128(self, value: u128) -> Result<(), Fault> {
            self.look(Given::from(value))
        }
        #[inline]
        fn serialize_f32(self, value: f32) -> Result<(), Fault> {
            self.look(Given::F32(value))
        }
        #[inline]
        fn serialize_f64(self, value: f64) -> Result<(), Fault> {
            self.look(Given::F64(value))
        }
        fn serialize_char(self, value: char) -> Result<(), Fault> {
            self.look(Given::Char(value))
        }
        fn serialize_str(self, value: &str) -> Result<(), Fault> {
            self.look(Given::Text(value))
        }
        fn serialize_bytes(self, value: &[u8]) -> Result<(), Fault> {
            self.look(Given::Bytes(value))
        }
        fn serialize_none(self) -> Result<(), Fault> {
            self.look(Given::Null)
        }
        fn serialize_unit(self) -> Result<(), Fault> {
            self.look(Given::Null)
        }
        fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Fault> {
            self.look(Given::Null)
        }
        fn serialize_unit_variant(
            self,
            _name: &'static str,
            _index: u32,
            variant: &'static str,
        ) -> Result<(), Fault> {
            self.look(Given::Case(variant))
        }
        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _name: &'static str,
            value: &T,
        ) -> Result<(), Fault> {
            value.serialize(self)
        }
    };
}
pub(super) use show_scalars;

impl<L: Look> Show<L> {
    #[inline]
    fn look(self, given: Given<'_>) -> Result<(), Fault> {
        self.0.look(given)
    }
}

impl<L: Look> Serializer for Show<L> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = L::Elements;
    type SerializeTuple = L::Elements;
    type SerializeTupleStruct = Impossible<(), Fault>;
    type SerializeTupleVariant = Impossible<(), Fault>;
    type SerializeMap = Impossible<(), Fault>;
    type SerializeStruct = Impossible<(), Fault>;
    type SerializeStructVariant = Impossible<(), Fault>;

    show_scalars!();

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Fault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<L::Elements, Fault> {
        self.0.elements(length)
    }

    fn serialize_tuple(self, length: usize) -> Result<L::Elements, Fault> {
        self.0.elements(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Self::SerializeTupleStruct, Fault> {
        Err(refusal(self.0, Given::List(Some(length))))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Fault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, Fault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStruct, Fault> {
        Err(refusal(self.0, Given::Map))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Fault> {
        Err(refusal(self.0, Given::Map))
    }
}
