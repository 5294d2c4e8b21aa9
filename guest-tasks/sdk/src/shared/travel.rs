//! How handles travel with the arguments and results of tasks.
//!
//! A handle is encoded as a number: its place in the list of the objects that go along. The list is
//! collected on the side while a value is encoded, and asked while one is decoded; both by thread,
//! since serde hands nothing through.
//!
//! Guests without shared objects must not import them. So nothing that every guest calls names an
//! object here: [`as_result`] finds the function that hands objects back where the first handle has
//! left it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::thread::LocalKey;

use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::ser::{self, Serializer};

use super::host;
use super::object::Object;

/// The name of the newtype by which an encoder can know a handle.
const NAME: &str = "wasmpool:object";

/// Where what is being encoded goes to.
#[derive(Clone, Copy)]
enum Sending {
    /// No object can go along.
    Nowhere,
    Child,
    /// To whoever called the running task.
    Caller,
}

/// Where what is being decoded comes from.
#[derive(Clone, Copy)]
enum Receiving {
    /// No object can have come along.
    Nowhere,
    Arguments,
    /// See [`CHILD`].
    Child,
}

/// The object at a place among those that came with a child's result.
type OfChild = Box<dyn Fn(u32) -> Option<Object>>;

thread_local! {
    static SENDING: Cell<Sending> = const { Cell::new(Sending::Nowhere) };
    static RECEIVING: Cell<Receiving> = const { Cell::new(Receiving::Nowhere) };
    /// The objects that go along with what is being encoded.
    static OBJECTS: RefCell<Vec<Object>> = const { RefCell::new(Vec::new()) };
    /// What to do when the result is encoded, with whether that succeeded. Left here by the first
    /// handle in it.
    static FINISH: Cell<Option<fn(bool)>> = const { Cell::new(None) };
    /// The child whose result is being decoded.
    static CHILD: RefCell<Option<OfChild>> = const { RefCell::new(None) };
}

/// Calls `encode`, which encodes arguments of a child, and adds the objects that go along.
pub(crate) fn as_arguments<R>(objects: &mut Vec<Object>, encode: impl FnOnce() -> R) -> R {
    let outer = OBJECTS.replace(std::mem::take(objects));
    let encoded = within(&SENDING, Sending::Child, encode);
    *objects = OBJECTS.replace(outer);
    encoded
}

/// Calls `encode`, which encodes the result of the running task, and hands back the objects in it.
pub(crate) fn as_result<R, E>(encode: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
    let encoded = within(&SENDING, Sending::Caller, encode);
    if let Some(finish) = FINISH.take() {
        finish(encoded.is_ok());
    }
    encoded
}

/// Calls `encode`, which encodes what objects cannot go along with.
pub(super) fn sending_nowhere<R>(encode: impl FnOnce() -> R) -> R {
    within(&SENDING, Sending::Nowhere, encode)
}

/// Calls `decode`, which decodes an argument of the running task.
pub(crate) fn from_arguments<R>(decode: impl FnOnce() -> R) -> R {
    within(&RECEIVING, Receiving::Arguments, decode)
}

/// Calls `decode`, which decodes the result of a child.
pub(crate) fn from_child<R>(
    received: impl Fn(u32) -> Option<Object> + 'static,
    decode: impl FnOnce() -> R,
) -> R {
    let outer = CHILD.replace(Some(Box::new(received)));
    let decoded = within(&RECEIVING, Receiving::Child, decode);
    CHILD.set(outer);
    decoded
}

/// Calls `decode`, which decodes what objects cannot have come along with.
pub(super) fn receiving_nowhere<R>(decode: impl FnOnce() -> R) -> R {
    within(&RECEIVING, Receiving::Nowhere, decode)
}

/// Calls `action` while the cell has another value.
fn within<V: Copy + 'static, R>(
    cell: &'static LocalKey<Cell<V>>,
    value: V,
    action: impl FnOnce() -> R,
) -> R {
    /// Restores the value after a panic, too.
    struct Restore<V: Copy + 'static>(&'static LocalKey<Cell<V>>, V);

    impl<V: Copy + 'static> Drop for Restore<V> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }

    let _restore = Restore(cell, cell.replace(value));
    action()
}

/// A typed handle of an object.
pub(super) trait Handle: Sized {
    /// What it is a handle of, with an article.
    fn expected() -> String;

    fn object(&self) -> Object;

    /// None if it is an object of another kind.
    fn of(object: &Object) -> Option<Self>;
}

pub(super) fn serialize<S: Serializer>(
    handle: &impl Handle,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let place = push(handle.object()).ok_or_else(|| {
        ser::Error::custom(
            "a shared object travels only as an argument or result of a task, not as an item or \
             value",
        )
    })?;
    serializer.serialize_newtype_struct(NAME, &place)
}

/// Adds an object to those that go along, and returns its place; none if it cannot.
fn push(object: Object) -> Option<u32> {
    match SENDING.get() {
        Sending::Nowhere => return None,
        Sending::Child => {}
        Sending::Caller => FINISH.set(Some(hand_back)),
    }
    OBJECTS.with_borrow_mut(|objects| {
        objects.push(object);
        u32::try_from(objects.len() - 1).ok()
    })
}

fn hand_back(is_encoded: bool) {
    let objects = OBJECTS.take();
    if is_encoded {
        host::hand_back(objects);
    }
}

pub(super) fn deserialize<'de, H: Handle, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<H, D::Error> {
    let place = deserializer.deserialize_newtype_struct(NAME, Place(H::expected))?;
    let object = match RECEIVING.get() {
        Receiving::Nowhere => {
            return Err(de::Error::custom(
                "a shared object comes only as an argument or result of a task, not as an item or \
                 value",
            ));
        }
        Receiving::Arguments => host::received(place),
        Receiving::Child => CHILD.with_borrow(|child| child.as_ref().and_then(|of| of(place))),
    };
    let object = object.ok_or_else(|| {
        de::Error::custom(format_args!(
            "no shared object was handed over at place {place}"
        ))
    })?;
    H::of(&object).ok_or_else(|| {
        let (expected, got) = (H::expected(), object.describe());
        de::Error::custom(format_args!(
            "{expected} is expected, and {got} was handed over"
        ))
    })
}

/// Reads the place of an object. Knows how to name what is expected.
struct Place(fn() -> String);

impl<'de> Visitor<'de> for Place {
    type Value = u32;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&(self.0)())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<u32, D::Error> {
        // Not `deserialize_u32`, whose error would not say what is expected.
        inner.deserialize_any(self)
    }

    fn visit_u64<E: de::Error>(self, place: u64) -> Result<u32, E> {
        u32::try_from(place).map_err(|_| E::invalid_value(Unexpected::Unsigned(place), &self))
    }
}

/// Implements what all handles have in common. The type has a field `raw`.
macro_rules! handle {
    (
        $name:ident $(<$($parameter:ident),+>)?, $expected:literal,
        $variant:ident => |$raw:ident| $make:expr
    ) => {
        impl $(<$($parameter),+>)? $crate::shared::travel::Handle for $name $(<$($parameter),+>)? {
            fn expected() -> String {
                $expected.to_owned()
            }

            fn object(&self) -> $crate::shared::object::Object {
                $crate::shared::object::Object::$variant(self.raw.clone())
            }

            fn of(object: &$crate::shared::object::Object) -> Option<Self> {
                match object {
                    $crate::shared::object::Object::$variant($raw) => {
                        let $raw = $raw.clone();
                        Some($make)
                    }
                    _ => None,
                }
            }
        }

        $crate::shared::travel::handle_traits!($name $(<$($parameter),+>)?);

        impl $(<$($parameter),+>)? Clone for $name $(<$($parameter),+>)? {
            /// Another handle of the same object.
            fn clone(&self) -> Self {
                let $raw = self.raw.clone();
                $make
            }
        }
    };
}

/// What follows from the trait [`Handle`].
macro_rules! handle_traits {
    ($name:ident $(<$($parameter:ident $(: $bound:ident)?),+>)?) => {
        impl $(<$($parameter $(: $bound)?),+>)? std::fmt::Debug
            for $name $(<$($parameter),+>)?
        {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }

        impl $(<$($parameter $(: $bound)?),+>)? serde::Serialize
            for $name $(<$($parameter),+>)?
        {
            fn serialize<Encoder: serde::Serializer>(
                &self,
                serializer: Encoder,
            ) -> Result<Encoder::Ok, Encoder::Error> {
                $crate::shared::travel::serialize(self, serializer)
            }
        }

        impl<'de $($(, $parameter $(: $bound)?)+)?> serde::Deserialize<'de>
            for $name $(<$($parameter),+>)?
        {
            fn deserialize<Decoder: serde::Deserializer<'de>>(
                deserializer: Decoder,
            ) -> Result<Self, Decoder::Error> {
                $crate::shared::travel::deserialize(deserializer)
            }
        }
    };
}

pub(super) use {handle, handle_traits};
