//! Arguments and results: serde types to MessagePack and back.
//!
//! The only file that names `rmp_serde`. Does not know tasks: the caller and the guest agree on
//! what the bytes mean, or a signature determines it (`typed`).

use std::fmt;

use rmp_serde::decode::Error;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::signature::Signature;
use super::{text, typed};

/// The arguments of a task: a tuple with one element per parameter, up to eight, or a `Vec` if
/// their number is known only at run time.
///
/// The elements are of any [`serde::Serialize`] type. `()` means no arguments.
pub trait Arguments: Serialize + sealed::Sealed {
    /// The number of arguments, where the type fixes it.
    const ARITY: Option<usize>;
}

mod sealed {
    /// Seals the set of argument types: each must encode as an array.
    pub trait Sealed {}
}

macro_rules! tuple_arguments {
    ($arity:literal: $($element:ident),*) => {
        impl<$($element: Serialize),*> sealed::Sealed for ($($element,)*) {}
        impl<$($element: Serialize),*> Arguments for ($($element,)*) {
            const ARITY: Option<usize> = Some($arity);
        }
    };
}
tuple_arguments!(0:);
tuple_arguments!(1: A);
tuple_arguments!(2: A, B);
tuple_arguments!(3: A, B, C);
tuple_arguments!(4: A, B, C, D);
tuple_arguments!(5: A, B, C, D, E);
tuple_arguments!(6: A, B, C, D, E, F);
tuple_arguments!(7: A, B, C, D, E, F, G);
tuple_arguments!(8: A, B, C, D, E, F, G, H);

impl<T: Serialize> sealed::Sealed for Vec<T> {}
impl<T: Serialize> Arguments for Vec<T> {
    const ARITY: Option<usize> = None;
}

/// What a [`map`](crate::Pool::map) accepts as the arguments of a task: the arguments themselves,
/// the only argument of a task with one parameter, or up to five zipped arguments.
pub trait IntoArguments<Args> {
    /// The arguments.
    fn into_arguments(self) -> Args;
}

impl<Args: Arguments> IntoArguments<Args> for Args {
    fn into_arguments(self) -> Args {
        self
    }
}

impl<A> IntoArguments<(A,)> for A {
    fn into_arguments(self) -> (A,) {
        (self,)
    }
}

/// The items of `a.zip(b).zip(c)`.
macro_rules! zipped_arguments {
    ($nested:tt: $($element:ident),*) => {
        impl<$($element),*> IntoArguments<($($element,)*)> for $nested {
            #[allow(non_snake_case)]
            fn into_arguments(self) -> ($($element,)*) {
                let $nested = self;
                ($($element,)*)
            }
        }
    };
}
zipped_arguments!(((A, B), C): A, B, C);
zipped_arguments!((((A, B), C), D): A, B, C, D);
zipped_arguments!(((((A, B), C), D), E): A, B, C, D, E);

/// Encodes the arguments of a task as one MessagePack array: by its signature, or as the contract
/// requires.
pub(crate) fn encode_arguments<Args: Arguments>(
    signature: Option<&Signature>,
    arguments: &Args,
) -> Result<Vec<u8>, String> {
    if let Some(signature) = signature {
        let encoded = typed::encode_arguments(signature, arguments);
        return encoded.map_err(|error| error.to_string());
    }
    if Args::ARITY == Some(0) {
        // Serde's unit is nil; the contract requires an empty array.
        return Ok(vec![0x90]);
    }
    encode(arguments).map_err(|error| format!("the arguments cannot be encoded: {error}"))
}

/// Encodes a value as the contract requires.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_human_readable();
    let encoded = value.serialize(&mut encoder);
    encoded.map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Decodes the result of a task, by its signature or as the contract requires. Decoding by a
/// signature, whose names are not in the bytes, may allocate `limit` bytes.
pub(crate) fn decode_result<'de, T: Deserialize<'de>>(
    signature: Option<&Signature>,
    bytes: &'de [u8],
    limit: usize,
) -> Result<T, String> {
    match signature {
        Some(signature) => typed::decode(signature.output(), bytes, limit),
        None => decode(bytes),
    }
}

/// Decodes a value as the contract requires.
pub(crate) fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, String> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    let value = T::deserialize(&mut decoder).map_err(|error| match error {
        Error::InvalidMarkerRead(_) | Error::InvalidDataRead(_) => {
            "it is not MessagePack, or ends too early".to_owned()
        }
        Error::TypeMismatch(marker) => {
            format!(
                "`{marker:?}` does not fit into `{}`",
                std::any::type_name::<T>()
            )
        }
        other => text::with_exponents(&other.to_string()),
    })?;
    // The decoder does not expose its position, but fails at the end of the bytes.
    match <()>::deserialize(&mut decoder) {
        Err(Error::InvalidMarkerRead(_)) => Ok(value),
        _ => Err("there are bytes after its end".to_owned()),
    }
}

/// A value whose type is known only at run time, for programs that do not know the tasks they run.
///
/// It can be read from and written to any serde format. JSON has limits: bytes become an array of
/// numbers, NaN and infinities become `null`, and the keys of a map must be text.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value: `nil`, `null`, `()`, `None`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A non-negative integer.
    Unsigned(u64),
    /// A negative integer.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A sequence.
    List(Vec<Value>),
    /// Pairs of keys and values, in their original order.
    Map(Vec<(Value, Value)>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Signed(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(values) => values.serialize(serializer),
            Self::Map(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                for (key, value) in pairs {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The deserializer of typed values recognises this name and yields bytes as bytes. Other
        // deserializers ignore it.
        deserializer.deserialize_newtype_struct(typed::ANY_VALUE, ValueVisitor)
    }
}

/// How many elements are reserved for an announced length, which may be false, at each of the
/// thousand levels that MessagePack may have.
const MAX_RESERVED: usize = 1 << 8;

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(match u64::try_from(value) {
            Ok(value) => Value::Unsigned(value),
            Err(_) => Value::Signed(value),
        })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(value.to_owned()))
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let announced = elements.size_hint().unwrap_or(0);
        let mut values = Vec::with_capacity(announced.min(MAX_RESERVED));
        while let Some(value) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let announced = entries.size_hint().unwrap_or(0);
        let mut pairs = Vec::with_capacity(announced.min(MAX_RESERVED));
        while let Some(pair) = entries.next_entry()? {
            pairs.push(pair);
        }
        Ok(Value::Map(pairs))
    }
}
