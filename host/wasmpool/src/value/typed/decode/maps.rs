//! Records, flags, cases and lists of pairs, as maps.

use serde::de::value::UnitDeserializer;
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess};

use super::name::NameDeserializer;
use super::{ValueDeserializer, corrupt};
use crate::value::Type;
use crate::value::typed::path::{Step, ValueFault};
use crate::value::typed::wire::{Corrupt, Reader};

/// Yields the fields of a record.
pub(super) struct Fields<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) fields: std::slice::Iter<'t, (String, Type)>,
    pub(super) current: Option<&'t (String, Type)>,
    pub(super) known: &'static [&'static str],
    pub(super) next: usize,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de, '_> {
    type Error = ValueFault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueFault> {
        self.current = self.fields.next();
        let Some((name, _)) = self.current else {
            return Ok(None);
        };
        let name = NameDeserializer::part(self.reader, self.known, self.next, name);
        self.next += 1;
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ValueFault> {
        let Some((name, ty)) = self.current.take() else {
            return Err(ValueFault::custom("a value was asked for before its key"));
        };
        let reader = &mut *self.reader;
        seed.deserialize(ValueDeserializer { reader, ty })
            .map_err(|fault| fault.at(Step::Name(name.clone())))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.fields.len())
    }
}

/// Yields each flag and whether it is set.
pub(super) struct Truths<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) names: &'t [String],
    pub(super) set: Vec<usize>,
    pub(super) known: &'static [&'static str],
    pub(super) next: usize,
}

impl<'de> MapAccess<'de> for Truths<'_, 'de, '_> {
    type Error = ValueFault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueFault> {
        let Some(name) = self.names.get(self.next) else {
            return Ok(None);
        };
        let name = NameDeserializer::part(self.reader, self.known, self.next, name);
        self.next += 1;
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ValueFault> {
        let index = self.next.checked_sub(1);
        let is_set = index.is_some_and(|index| self.set.binary_search(&index).is_ok());
        seed.deserialize(is_set.into_deserializer())
    }
}

/// Yields a case and its value, or the `some` of an option of an option.
pub(super) struct OnlyEntry<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) name: Option<&'t str>,
    pub(super) payload: Option<(&'t str, Option<&'t Type>)>,
}

impl<'de> MapAccess<'de> for OnlyEntry<'_, 'de, '_> {
    type Error = ValueFault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueFault> {
        match self.name.take() {
            Some(name) => seed
                .deserialize(NameDeserializer::counted(self.reader, name))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ValueFault> {
        match self.payload.take() {
            Some((name, Some(ty))) => {
                let reader = &mut *self.reader;
                seed.deserialize(ValueDeserializer { reader, ty })
                    .map_err(|fault| fault.at(Step::Name(name.to_owned())))
            }
            Some((_, None)) => seed.deserialize(UnitDeserializer::new()),
            None => Err(ValueFault::custom("a value was asked for before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.name.is_some()))
    }
}

/// Yields a list of pairs as a map.
pub(super) struct Pairs<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) pair: &'t Type,
    pub(super) key: &'t Type,
    pub(super) value: &'t Type,
    pub(super) next: usize,
    pub(super) left: usize,
}

impl<'de> MapAccess<'de> for Pairs<'_, 'de, '_> {
    type Error = ValueFault;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, ValueFault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let index = self.next;
        self.next += 1;
        let reader = &mut *self.reader;
        let at = |fault: ValueFault| fault.at(Step::Index(index));
        reader
            .array_of(2)
            .map_err(|Corrupt| at(corrupt(self.pair)))?;
        let ty = self.key;
        seed.deserialize(ValueDeserializer { reader, ty })
            .map(Some)
            .map_err(|fault| at(fault.at(Step::Place(0))))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, ValueFault> {
        let (reader, ty) = (&mut *self.reader, self.value);
        seed.deserialize(ValueDeserializer { reader, ty })
            .map_err(|fault| {
                let index = self.next.saturating_sub(1);
                fault.at(Step::Place(1)).at(Step::Index(index))
            })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}
