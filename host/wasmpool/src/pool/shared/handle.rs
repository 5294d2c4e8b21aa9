//! Handles of shared objects as arguments and results.

use std::fmt;

use serde::de::{Error as _, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::objects::{Object, hand_over, received};

/// What a handle is called in serde's terms: a newtype of a `u32`.
const NAME: &str = "wasmpool:object";

pub(super) fn serialize<S: Serializer>(object: Object, serializer: S) -> Result<S::Ok, S::Error> {
    let place = hand_over(object).map_err(S::Error::custom)?;
    serializer.serialize_newtype_struct(NAME, &place)
}

/// The object that came along, if `choose` takes it. `expected` is what it is, as in "a queue".
pub(super) fn deserialize<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    choose: impl FnOnce(Object) -> Result<T, Object>,
) -> Result<T, D::Error> {
    let place = deserializer.deserialize_newtype_struct(NAME, PlaceVisitor { expected })?;
    let object = received(place).ok_or_else(|| {
        D::Error::custom(format_args!(
            "no shared object came along at place {place}, where {expected} is expected"
        ))
    })?;
    choose(object).map_err(|object| {
        D::Error::custom(format_args!(
            "{} came along where {expected} is expected",
            object.kind()
        ))
    })
}

struct PlaceVisitor {
    expected: &'static str,
}

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = u32;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the place of {}", self.expected)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<u32, D::Error> {
        u32::deserialize(inner)
    }

    fn visit_u64<E: serde::de::Error>(self, place: u64) -> Result<u32, E> {
        u32::try_from(place).map_err(E::custom)
    }
}

/// Makes a type of handles arguments and results: `[parameters] type, what it is, the kind of object
/// => the handle`.
macro_rules! travels {
    (
        [$($parameters:tt)*] $handle:ty, $expected:literal,
        $object:pat $(if $guard:expr)? => $made:expr
    ) => {
        impl<$($parameters)*> ::serde::Serialize for $handle {
            fn serialize<Ser: ::serde::Serializer>(&self, to: Ser) -> Result<Ser::Ok, Ser::Error> {
                $crate::pool::shared::handle::serialize(self.object(), to)
            }
        }

        impl<'de, $($parameters)*> ::serde::Deserialize<'de> for $handle {
            fn deserialize<De: ::serde::Deserializer<'de>>(from: De) -> Result<Self, De::Error> {
                $crate::pool::shared::handle::deserialize(from, $expected, |object| match object {
                    $object $(if $guard)? => Ok($made),
                    other => Err(other),
                })
            }
        }
    };
}
pub(super) use travels;
