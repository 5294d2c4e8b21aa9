//! Names of fields, cases and flags.

use serde::de::value::StrDeserializer;
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::{ANY_VALUE, name_size};
use crate::value::typed::names;
use crate::value::typed::path::ValueFault;
use crate::value::typed::wire::Reader;

/// The caller's spelling of `name`, or `name` if its type has none.
pub(super) fn known_name<'a>(known: &'static [&'static str], at: usize, name: &'a str) -> &'a str {
    // Most types declare their parts in the order of the signature.
    match known.get(at) {
        Some(next) if names::is_same_spelled(name, next) => next,
        _ => names::find(known.iter().copied(), name).map_or(name, |index| known[index]),
    }
}

/// Deserializes a name: as text, or as one of the caller's own.
pub(super) struct NameDeserializer<'r, 'de, 't> {
    pub(super) name: &'t str,
    /// Counts the name if the caller may keep it.
    pub(super) counter: Option<&'r mut Reader<'de>>,
}

impl<'r, 'de, 't> NameDeserializer<'r, 'de, 't> {
    /// A name for a caller who may keep it.
    pub(super) fn counted(reader: &'r mut Reader<'de>, name: &'t str) -> Self {
        Self {
            name,
            counter: Some(reader),
        }
    }

    /// The name of the part at index `at`, for a caller whose type has the names `known`. A caller
    /// with names compares it with them; one without may keep it, so it is counted.
    pub(super) fn part(
        reader: &'r mut Reader<'de>,
        known: &'static [&'static str],
        at: usize,
        name: &'t str,
    ) -> Self {
        match known {
            [] => Self::counted(reader, name),
            known => Self {
                name: known_name(known, at, name),
                counter: None,
            },
        }
    }
}

impl<'de> Deserializer<'de> for NameDeserializer<'_, 'de, '_> {
    type Error = ValueFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        if let Some(reader) = self.counter {
            reader.make(name_size(self.name))?;
        }
        visitor.visit_str(self.name)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueFault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        match name {
            ANY_VALUE => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        let name = known_name(known, usize::MAX, self.name);
        visitor.visit_enum(StrDeserializer::<ValueFault>::new(name))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}
