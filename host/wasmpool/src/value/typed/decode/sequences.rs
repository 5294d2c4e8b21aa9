//! Lists, tuples, bytes as numbers, and the names of flags.

use serde::de::value::U8Deserializer;
use serde::de::{DeserializeSeed, SeqAccess};

use super::ValueDeserializer;
use super::name::NameDeserializer;
use crate::value::Type;
use crate::value::typed::path::{Step, ValueFault};
use crate::value::typed::wire::Reader;

/// The types of the elements.
#[derive(Clone, Copy)]
pub(super) enum Types<'t> {
    One(&'t Type),
    Each(&'t [Type]),
}

/// Yields the elements of a list or a tuple.
pub(super) struct Parts<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) types: Types<'t>,
    pub(super) next: usize,
    pub(super) left: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, 'de, '_> {
    type Error = ValueFault;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueFault> {
        if self.left == 0 {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        self.left -= 1;
        let ty = match self.types {
            Types::One(ty) => ty,
            Types::Each(types) => &types[index],
        };
        let reader = &mut *self.reader;
        match seed.deserialize(ValueDeserializer { reader, ty }) {
            Ok(value) => Ok(Some(value)),
            Err(fault) => Err(fault.at(match self.types {
                Types::One(_) => Step::Index(index),
                Types::Each(_) => Step::Place(index),
            })),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// Yields bytes as numbers.
pub(super) struct Numbers<'de> {
    pub(super) bytes: std::slice::Iter<'de, u8>,
}

impl<'de> SeqAccess<'de> for Numbers<'de> {
    type Error = ValueFault;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueFault> {
        match self.bytes.next() {
            Some(byte) => seed.deserialize(U8Deserializer::new(*byte)).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.bytes.len())
    }
}

/// Yields the names of flags that are set.
pub(super) struct SetNames<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) names: &'t [String],
    pub(super) set: std::vec::IntoIter<usize>,
}

impl<'de> SeqAccess<'de> for SetNames<'_, 'de, '_> {
    type Error = ValueFault;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueFault> {
        let Some(index) = self.set.next() else {
            return Ok(None);
        };
        let name = &self.names[index];
        seed.deserialize(NameDeserializer::counted(self.reader, name))
            .map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.set.len())
    }
}
