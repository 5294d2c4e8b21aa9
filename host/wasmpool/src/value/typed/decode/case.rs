//! Cases of enums, variants and results, as variants of Rust's enums.

use std::iter;

use serde::de::value::UnitDeserializer;
use serde::de::{DeserializeSeed, Deserializer as _, EnumAccess, VariantAccess, Visitor};

use super::ValueDeserializer;
use super::name::NameDeserializer;
use crate::value::Type;
use crate::value::typed::path::{Step, ValueFault, shortened};
use crate::value::typed::wire::Reader;

/// Yields a case to an enum of the caller.
pub(super) struct CaseAccess<'r, 'de, 't> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) name: &'t str,
    pub(super) payload: Option<&'t Type>,
    pub(super) known: &'static [&'static str],
}

impl<'r, 'de, 't> CaseAccess<'r, 'de, 't> {
    fn payload<R>(
        self,
        read: impl FnOnce(ValueDeserializer<'r, 'de, 't>, &'t Type) -> Result<R, ValueFault>,
        nothing: impl FnOnce() -> Result<R, ValueFault>,
    ) -> Result<R, ValueFault> {
        let Self { reader, name, .. } = self;
        match self.payload {
            Some(ty) => read(ValueDeserializer { reader, ty }, ty)
                .map_err(|fault| fault.at(Step::Name(name.to_owned()))),
            None => nothing(),
        }
    }
}

impl<'r, 'de, 't> EnumAccess<'de> for CaseAccess<'r, 'de, 't> {
    type Error = ValueFault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), ValueFault> {
        let name = NameDeserializer::part(self.reader, self.known, usize::MAX, self.name);
        let value = seed.deserialize(name)?;
        Ok((value, self))
    }
}

impl<'de> VariantAccess<'de> for CaseAccess<'_, 'de, '_> {
    type Error = ValueFault;

    fn unit_variant(self) -> Result<(), ValueFault> {
        match self.payload {
            None => Ok(()),
            Some(ty) => {
                let (name, ty) = (self.name, shortened(ty));
                Err(ValueFault::new(format!(
                    "the case `{name}` comes with a value of type {ty}, which was not taken"
                )))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, ValueFault> {
        match self.payload {
            Some(_) => self.payload(
                |value, _| seed.deserialize(value),
                || Err(ValueFault::new("there is no value")),
            ),
            None => seed.deserialize(UnitDeserializer::new()),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        match self.payload {
            Some(_) => self.payload(
                |value, _| value.deserialize_tuple(length, visitor),
                || Err(ValueFault::new("there is no value")),
            ),
            None => visitor.visit_seq(serde::de::value::SeqDeserializer::<_, ValueFault>::new(
                iter::empty::<()>(),
            )),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueFault> {
        match self.payload {
            Some(_) => self.payload(
                |value, _| value.deserialize_struct("", known, visitor),
                || Err(ValueFault::new("there is no value")),
            ),
            None => visitor.visit_map(serde::de::value::MapDeserializer::<_, ValueFault>::new(
                iter::empty::<((), ())>(),
            )),
        }
    }
}
