//! From the wire form to any serde type, by the type of the value.
//!
//! Does not trust the bytes. They are read no deeper than the type is nested, and no more memory
//! is reserved than they are long.

mod case;
mod maps;
mod name;
mod sequences;

use serde::Deserialize;
use serde::de::value::UnitDeserializer;
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use self::case::CaseAccess;
use self::maps::{Fields, OnlyEntry, Pairs, Truths};
use self::sequences::{Numbers, Parts, SetNames, Types};
use super::given::count;
use super::number;
use super::path::{Step, ValueFault, shortened};
use super::wire::{Corrupt, Reader, TooLarge};
use crate::value::{HostArguments, Type};

/// The name of the newtype by which a [`Value`](crate::Value) asks for bytes as bytes. Other types
/// that accept any value get an array of numbers.
pub(crate) const ANY_VALUE: &str = "$wasmpool::Value";

/// Decodes a value of type `ty`, or the nil of a function without a result.
///
/// The bytes contain no names, and each byte may be a value, so the decoded form can be far
/// larger. Names are counted if the caller's type does not have them, and values if it accepts any
/// value: `limit` is how many bytes they may take.
///
/// # Errors
///
/// If the bytes are not the wire form of such a value, `T` does not accept it, or it exceeds the
/// limit. The message has the path to the fault.
pub(crate) fn decode<'de, T: Deserialize<'de>>(
    ty: Option<&Type>,
    bytes: &'de [u8],
    limit: usize,
) -> Result<T, String> {
    decode_value(ty, Reader::with_limit(bytes, limit))
        .map_err(|fault| fault.at(Step::Result).to_string())
}

/// Decodes the arguments of a host function, whose types are those of a tuple. The limit is as for
/// [`decode`].
///
/// # Errors
///
/// As [`decode`]. The message has the place of the argument.
pub(crate) fn decode_arguments<A: HostArguments>(
    arguments: &Type,
    bytes: &[u8],
    limit: usize,
) -> Result<A, String> {
    let decoded = match A::ARITY {
        // Serde's unit is no tuple.
        Some(0) => A::deserialize(UnitDeserializer::new()),
        _ => decode_value(Some(arguments), Reader::with_limit(bytes, limit)),
    };
    decoded.map_err(|fault| fault.of_arguments().to_string())
}

pub(super) fn decode_value<'de, T: Deserialize<'de>>(
    ty: Option<&Type>,
    mut reader: Reader<'de>,
) -> Result<T, ValueFault> {
    let reader = &mut reader;
    let value = match ty {
        Some(ty) => T::deserialize(ValueDeserializer { reader, ty })?,
        None if reader.take_nil() => T::deserialize(UnitDeserializer::<ValueFault>::new())?,
        None => {
            return Err(ValueFault::new(
                "there are bytes where no value was expected",
            ));
        }
    };
    match reader.left() {
        0 => Ok(value),
        1 => Err(ValueFault::new("1 byte is left over")),
        left => Err(ValueFault::new(format!("{left} bytes are left over"))),
    }
}

/// Deserializes a value of one type.
pub(super) struct ValueDeserializer<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) ty: &'t Type,
}

#[cold]
pub(super) fn corrupt(ty: &Type) -> ValueFault {
    let ty = shortened(ty);
    ValueFault::new(format!("the bytes do not hold a value of type {ty}"))
}

/// How many bytes are counted for a value without a type: the size of a [`Value`](crate::Value)
/// without its texts.
const VALUE_SIZE: usize = 32;

impl From<TooLarge> for ValueFault {
    #[cold]
    fn from(TooLarge { limit }: TooLarge) -> Self {
        Self::new(format!(
            "its values and their names take more than {limit} bytes, which follow from the \
             `payload_limit`; raise that, or read them into types of your own that have the \
             names"
        ))
    }
}

impl<'r, 'de, 't> ValueDeserializer<'r, 'de, 't> {
    /// The read value, or the fault of corrupt bytes.
    fn read<R>(&self, read: Result<R, Corrupt>) -> Result<R, ValueFault> {
        read.map_err(|Corrupt| corrupt(self.ty))
    }

    /// Reads an index below `count`.
    fn index(&mut self, count: usize) -> Result<usize, ValueFault> {
        let index = self.reader.unsigned().map_err(|Corrupt| corrupt(self.ty))?;
        match usize::try_from(index) {
            Ok(index) if index < count => Ok(index),
            _ => Err(corrupt(self.ty)),
        }
    }

    /// Reads the index of a case; its value comes next.
    pub(super) fn case(&mut self) -> Result<Option<(&'t str, Option<&'t Type>)>, ValueFault> {
        let ty = self.ty;
        let header = match ty {
            Type::Enum(names) => {
                let index = self.index(names.len())?;
                return Ok(Some((&names[index], None)));
            }
            Type::Variant(_) | Type::Result { .. } => self.read_array()?,
            _ => return Ok(None),
        };
        if header == 0 {
            return Err(corrupt(ty));
        }
        let (name, payload) = match ty {
            Type::Variant(cases) => {
                let (name, payload) = &cases[self.index(cases.len())?];
                (name.as_str(), payload.as_ref())
            }
            Type::Result { ok, err } => match self.index(2)? {
                0 => ("ok", ok.as_deref()),
                _ => ("err", err.as_deref()),
            },
            _ => return Ok(None),
        };
        match header == 1 + usize::from(payload.is_some()) {
            true => Ok(Some((name, payload))),
            false => Err(corrupt(ty)),
        }
    }

    fn read_array(&mut self) -> Result<usize, ValueFault> {
        let length = self.reader.array();
        self.read(length)
    }

    fn read_array_of(&mut self, length: usize) -> Result<(), ValueFault> {
        let read = self.reader.array_of(length);
        self.read(read)
    }

    /// Reads the flags that are set.
    pub(super) fn flags(&mut self, names: &[String]) -> Result<Vec<usize>, ValueFault> {
        let length = self.read_array()?;
        if length > names.len() {
            return Err(corrupt(self.ty));
        }
        let mut set = Vec::with_capacity(length);
        for _ in 0..length {
            let index = self.index(names.len())?;
            if set.last().is_some_and(|last| *last >= index) {
                return Err(corrupt(self.ty));
            }
            set.push(index);
        }
        Ok(set)
    }

    /// Reads the header of an option: its inner type, if it holds a value.
    pub(super) fn option(&mut self, inner: &'t Type) -> Result<Option<&'t Type>, ValueFault> {
        if self.reader.take_nil() {
            return Ok(None);
        }
        self.read_array_of(1)?;
        Ok(Some(inner))
    }

    fn inner<'a>(&'a mut self, ty: &'t Type) -> ValueDeserializer<'a, 'de, 't> {
        ValueDeserializer {
            reader: self.reader,
            ty,
        }
    }

    /// The value in an option, for callers that do not ask for an option. Nested options stay as
    /// they are.
    fn present(mut self) -> Result<Option<Self>, ValueFault> {
        match self.ty {
            Type::Option(inner) if !matches!(**inner, Type::Option(_)) => {
                let present = self.option(inner)?;
                let reader = self.reader;
                Ok(present.map(|ty| ValueDeserializer { reader, ty }))
            }
            _ => Ok(Some(self)),
        }
    }

    /// Skips the value.
    fn skip(mut self) -> Result<(), ValueFault> {
        let ty = self.ty;
        match ty {
            Type::Bool => {
                let read = self.reader.bool();
                self.read(read)?;
            }
            Type::F32 => {
                let read = self.reader.f32();
                self.read(read)?;
            }
            Type::F64 => {
                let read = self.reader.f64();
                self.read(read)?;
            }
            Type::Char => {
                let read = self.reader.char();
                self.read(read)?;
            }
            Type::String => {
                let read = self.reader.text();
                self.read(read)?;
            }
            Type::List(element) if **element == Type::U8 => {
                let read = self.reader.binary();
                self.read(read)?;
            }
            Type::List(element) => {
                for _ in 0..self.read_array()? {
                    self.inner(element).skip()?;
                }
            }
            Type::Tuple(types) => {
                self.read_array_of(types.len())?;
                for ty in types {
                    self.inner(ty).skip()?;
                }
            }
            Type::Record(fields) => {
                self.read_array_of(fields.len())?;
                for (_, ty) in fields {
                    self.inner(ty).skip()?;
                }
            }
            Type::Flags(names) => {
                self.flags(names)?;
            }
            Type::Option(inner) => {
                if let Some(inner) = self.option(inner)? {
                    self.inner(inner).skip()?;
                }
            }
            Type::Enum(_) | Type::Variant(_) | Type::Result { .. } => {
                if let Some((_, Some(payload))) = self.case()? {
                    self.inner(payload).skip()?;
                }
            }
            Type::S8 | Type::S16 | Type::S32 | Type::S64 => {
                self.signed()?;
            }
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
                self.unsigned()?;
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn unsigned(&mut self) -> Result<u64, ValueFault> {
        match (self.reader.unsigned(), number::range(self.ty)) {
            (Ok(value), Some((_, greatest))) if value <= greatest => Ok(value),
            _ => Err(corrupt(self.ty)),
        }
    }

    #[inline]
    pub(super) fn signed(&mut self) -> Result<i64, ValueFault> {
        match (self.reader.signed(), number::range(self.ty)) {
            (Ok(value), Some((least, _))) if value < 0 && value >= least => Ok(value),
            (Ok(value), Some((_, greatest))) if value >= 0 && value as u64 <= greatest => Ok(value),
            _ => Err(corrupt(self.ty)),
        }
    }

    /// Yields a list, a tuple or the names of flags.
    fn elements<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        let Some(mut this) = self.present()? else {
            return visitor.visit_unit();
        };
        match this.ty {
            Type::List(element) if **element == Type::U8 => {
                let read = this.reader.binary();
                numbers(visitor, this.read(read)?)
            }
            Type::List(element) => {
                let left = this.read_array()?;
                this.parts(visitor, Types::One(element), left)
            }
            Type::Tuple(types) => {
                this.read_array_of(types.len())?;
                this.parts(visitor, Types::Each(types), types.len())
            }
            Type::Flags(names) => {
                let set = this.flags(names)?;
                let mut names = SetNames {
                    reader: this.reader,
                    names,
                    set: set.into_iter(),
                };
                let value = visitor.visit_seq(&mut names)?;
                too_few_taken(names.set.len())?;
                Ok(value)
            }
            _ => this.any(visitor, Asked::Particular),
        }
    }

    fn parts<V: Visitor<'de>>(
        self,
        visitor: V,
        types: Types<'t>,
        left: usize,
    ) -> Result<V::Value, ValueFault> {
        let mut parts = Parts {
            reader: self.reader,
            types,
            next: 0,
            left,
        };
        let value = visitor.visit_seq(&mut parts)?;
        too_few_taken(parts.left)?;
        Ok(value)
    }

    /// Yields a record by the caller's names for its fields, if they are known.
    fn fields<V: Visitor<'de>>(
        mut self,
        visitor: V,
        fields: &'t [(String, Type)],
        known: &'static [&'static str],
    ) -> Result<V::Value, ValueFault> {
        self.read_array_of(fields.len())?;
        let mut entries = Fields {
            reader: self.reader,
            fields: fields.iter(),
            current: None,
            known,
            next: 0,
        };
        let value = visitor.visit_map(&mut entries)?;
        too_few_taken(entries.fields.len())?;
        Ok(value)
    }

    /// Yields flags as a map from each name to whether it is set.
    fn truths<V: Visitor<'de>>(
        mut self,
        visitor: V,
        names: &'t [String],
        known: &'static [&'static str],
    ) -> Result<V::Value, ValueFault> {
        let set = self.flags(names)?;
        let mut truths = Truths {
            reader: self.reader,
            names,
            set,
            known,
            next: 0,
        };
        visitor.visit_map(&mut truths)
    }

    /// Yields a value in its JSON form.
    fn any<V: Visitor<'de>>(mut self, visitor: V, asked: Asked) -> Result<V::Value, ValueFault> {
        if matches!(asked, Asked::Anything | Asked::AnyValue) {
            self.reader.make(VALUE_SIZE)?;
        }
        let ty = self.ty;
        match ty {
            Type::Bool => {
                let read = self.reader.bool();
                visitor.visit_bool(self.read(read)?)
            }
            Type::S8 | Type::S16 | Type::S32 | Type::S64 => visitor.visit_i64(self.signed()?),
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => visitor.visit_u64(self.unsigned()?),
            Type::F32 => {
                let read = self.reader.f32();
                let value = self.read(read)?;
                match number::not_finite(value.into()) {
                    Some(text) => visitor.visit_borrowed_str(text),
                    None => visitor.visit_f64(number::f32_in_decimal(value)),
                }
            }
            Type::F64 => {
                let read = self.reader.f64();
                let value = self.read(read)?;
                match number::not_finite(value) {
                    Some(text) => visitor.visit_borrowed_str(text),
                    None => visitor.visit_f64(value),
                }
            }
            Type::Char => {
                let read = self.reader.char();
                visitor.visit_borrowed_str(self.read(read)?)
            }
            Type::String => {
                let read = self.reader.text();
                visitor.visit_borrowed_str(self.read(read)?)
            }
            Type::List(element) if **element == Type::U8 => {
                let read = self.reader.binary();
                let bytes = self.read(read)?;
                if matches!(asked, Asked::Bytes | Asked::AnyValue) {
                    return visitor.visit_borrowed_bytes(bytes);
                }
                if asked == Asked::Anything {
                    self.reader.make(bytes.len().saturating_mul(VALUE_SIZE))?;
                }
                numbers(visitor, bytes)
            }
            Type::List(_) | Type::Tuple(_) | Type::Flags(_) => self.elements(visitor),
            Type::Record(fields) => self.fields(visitor, fields, &[]),
            Type::Option(inner) => match self.option(inner)? {
                None => visitor.visit_unit(),
                Some(inner) if matches!(inner, Type::Option(_)) => {
                    self.only_entry(visitor, "some", Some(inner))
                }
                Some(inner) => self.inner(inner).any(visitor, asked),
            },
            Type::Enum(_) | Type::Variant(_) => match self.case()? {
                Some((name, None)) => {
                    self.reader.make(name_size(name))?;
                    visitor.visit_str(name)
                }
                Some((name, payload)) => self.only_entry(visitor, name, payload),
                None => Err(corrupt(ty)),
            },
            Type::Result { .. } => match self.case()? {
                Some((name, payload)) => self.only_entry(visitor, name, payload),
                None => Err(corrupt(ty)),
            },
        }
    }

    fn only_entry<V: Visitor<'de>>(
        self,
        visitor: V,
        name: &'t str,
        payload: Option<&'t Type>,
    ) -> Result<V::Value, ValueFault> {
        let mut entry = OnlyEntry {
            reader: self.reader,
            name: Some(name),
            payload: Some((name, payload)),
        };
        let value = visitor.visit_map(&mut entry)?;
        too_few_taken(usize::from(entry.payload.is_some()))?;
        Ok(value)
    }
}

/// Yields bytes as numbers.
fn numbers<'de, V: Visitor<'de>>(visitor: V, bytes: &'de [u8]) -> Result<V::Value, ValueFault> {
    let mut numbers = Numbers {
        bytes: bytes.iter(),
    };
    let value = visitor.visit_seq(&mut numbers)?;
    too_few_taken(numbers.bytes.len())?;
    Ok(value)
}

/// How many bytes are counted for a name that the caller may keep.
fn name_size(name: &str) -> usize {
    VALUE_SIZE + name.len()
}

/// What the caller's type asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    /// A particular kind of value. It gets the JSON form, if that is of this kind.
    Particular,
    /// As `Particular`, with bytes as bytes.
    Bytes,
    /// Any value. It gets the JSON form, whose values are counted.
    Anything,
    /// As `Anything`, but with bytes as bytes.
    AnyValue,
}

/// A type that took only a part of the value would silently lose the rest.
fn too_few_taken(left: usize) -> Result<(), ValueFault> {
    match left {
        0 => Ok(()),
        left => {
            let parts = count(left, "part");
            Err(ValueFault::new(format!(
                "{parts} more than the type of the caller takes"
            )))
        }
    }
}

macro_rules! forward_to_any {
    ($($method:ident),*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
            self.any(visitor, Asked::Particular)
        })*
    };
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_, 'de, '_> {
    type Error = ValueFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        self.any(visitor, Asked::Anything)
    }

    forward_to_any!(
        deserialize_bool,
        deserialize_i8,
        deserialize_i16,
        deserialize_i32,
        deserialize_i64,
        deserialize_i128,
        deserialize_u8,
        deserialize_u16,
        deserialize_u32,
        deserialize_u64,
        deserialize_u128,
        deserialize_char,
        deserialize_str,
        deserialize_string,
        deserialize_unit,
        deserialize_identifier
    );

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        let Some(this) = self.present()? else {
            return visitor.visit_unit();
        };
        match this.ty {
            Type::F32 => {
                let read = this.reader.f32();
                visitor.visit_f32(this.read(read)?)
            }
            Type::F64 => {
                let read = this.reader.f64();
                visitor.visit_f64(this.read(read)?)
            }
            _ => this.any(visitor, Asked::Particular),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        self.any(visitor, Asked::Bytes)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        self.any(visitor, Asked::Bytes)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ValueFault> {
        match self.ty {
            Type::Option(inner) => match self.option(inner)? {
                Some(inner) => visitor.visit_some(self.inner(inner)),
                None => visitor.visit_none(),
            },
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        match name {
            ANY_VALUE => self.any(visitor, Asked::AnyValue),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        self.elements(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        self.elements(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        self.elements(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        let Some(mut this) = self.present()? else {
            return visitor.visit_unit();
        };
        match this.ty {
            Type::Flags(names) => this.truths(visitor, names, &[]),
            Type::List(element) => match &**element {
                Type::Tuple(types) if types.len() == 2 => {
                    let left = this.read_array()?;
                    let mut pairs = Pairs {
                        reader: this.reader,
                        pair: element,
                        key: &types[0],
                        value: &types[1],
                        next: 0,
                        left,
                    };
                    let value = visitor.visit_map(&mut pairs)?;
                    too_few_taken(pairs.left)?;
                    Ok(value)
                }
                _ => this.any(visitor, Asked::Particular),
            },
            _ => this.any(visitor, Asked::Particular),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        let Some(this) = self.present()? else {
            return visitor.visit_unit();
        };
        match this.ty {
            Type::Record(fields) => this.fields(visitor, fields, known),
            Type::Flags(names) => this.truths(visitor, names, known),
            _ => this.any(visitor, Asked::Particular),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        let Some(mut this) = self.present()? else {
            return visitor.visit_unit();
        };
        if let Type::String = this.ty {
            let read = this.reader.text();
            let text = this.read(read)?;
            return visitor.visit_enum(IntoDeserializer::<ValueFault>::into_deserializer(text));
        }
        match this.case()? {
            Some((name, payload)) => visitor.visit_enum(CaseAccess {
                reader: this.reader,
                name,
                payload,
                known,
            }),
            None => this.any(visitor, Asked::Particular),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        self.skip()?;
        visitor.visit_unit()
    }
}
