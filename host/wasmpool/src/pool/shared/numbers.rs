//! Values and arrays of numbers.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::handle::travels;
use crate::objects::{self as core, Object};

/// A number that a [`Value`] or an [`Array`] may hold.
pub trait Number: sealed::Sealed + Copy + PartialEq + fmt::Debug {}

pub(super) mod sealed {
    use super::core;

    /// How a number lies in a shared array.
    pub trait Sealed: Sized {
        #[doc(hidden)]
        fn element() -> Element;
        #[doc(hidden)]
        fn to_bits(self) -> u64;
        #[doc(hidden)]
        fn from_bits(bits: u64) -> Self;
        #[doc(hidden)]
        fn from_bytes(bytes: &[u8]) -> Vec<Self>;
        #[doc(hidden)]
        fn to_bytes(numbers: &[Self]) -> Vec<u8>;
    }

    /// The type of an element.
    #[derive(Clone, Copy)]
    pub struct Element(pub(in crate::pool) core::Number);
}

macro_rules! numbers {
    ($($number:ty, $element:ident, $to:expr, $from:expr;)*) => {$(
        impl Number for $number {}

        impl sealed::Sealed for $number {
            fn element() -> sealed::Element {
                sealed::Element(core::Number::$element)
            }

            fn to_bits(self) -> u64 {
                $to(self)
            }

            fn from_bits(bits: u64) -> Self {
                $from(bits)
            }

            fn from_bytes(bytes: &[u8]) -> Vec<Self> {
                let (numbers, _) = bytes.as_chunks();
                numbers.iter().map(|number| Self::from_le_bytes(*number)).collect()
            }

            fn to_bytes(numbers: &[Self]) -> Vec<u8> {
                numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
            }
        }
    )*};
}

/// Cuts a number out of the lower bits. A 32-bit float travels as a 64-bit one.
macro_rules! cut {
    ($number:ty) => {
        |bits: u64| bits as $number
    };
}

numbers! {
    i8, I8, |n| i64::from(n).cast_unsigned(), cut!(i8);
    u8, U8, u64::from, cut!(u8);
    i16, I16, |n| i64::from(n).cast_unsigned(), cut!(i16);
    u16, U16, u64::from, cut!(u16);
    i32, I32, |n| i64::from(n).cast_unsigned(), cut!(i32);
    u32, U32, u64::from, cut!(u32);
    i64, I64, |n: i64| n.cast_unsigned(), |bits: u64| bits.cast_signed();
    u64, U64, |n| n, |bits| bits;
    f32, F32, |n| f64::from(n).to_bits(), |bits| f64::from_bits(bits) as f32;
    f64, F64, f64::to_bits, f64::from_bits;
}

/// A number that tasks and threads share: the `Value` of `multiprocessing`, with the functions of an
/// atomic number of the standard library. Made by [`Pool::value`](crate::Pool::value).
///
/// A handle that is cheap to clone: all clones are the same value.
pub struct Value<T> {
    core: core::Array,
    number: PhantomData<fn(T) -> T>,
}

impl<T: Number> Value<T> {
    pub(super) fn of(core: core::Array) -> Self {
        let number = PhantomData;
        Self { core, number }
    }

    fn object(&self) -> Object {
        Object::Array(self.core.clone())
    }

    /// The number.
    pub fn load(&self) -> T {
        T::from_bits(there(self.core.load(0)))
    }

    /// Replaces the number.
    pub fn store(&self, number: T) {
        there(self.core.store(0, number.to_bits()));
    }

    /// Adds to the number, and returns what it was before. Integers wrap around.
    pub fn fetch_add(&self, number: T) -> T {
        T::from_bits(there(self.core.add(0, number.to_bits())))
    }

    /// Replaces the number if it is `current`, bit by bit, and returns what it was before.
    ///
    /// # Errors
    ///
    /// If it is another: that one.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        exchanged(&self.core, 0, current, new)
    }
}

/// Numbers in one piece of memory that tasks and threads share: the `Array` of `multiprocessing`. Made
/// by [`Pool::array`](crate::Pool::array).
///
/// Each function is one step: nobody sees half of it. Those that take a place panic, as slices do, if
/// there is no such element.
///
/// A handle that is cheap to clone: all clones are the same array.
pub struct Array<T> {
    core: core::Array,
    number: PhantomData<fn(T) -> T>,
}

impl<T: Number> Array<T> {
    pub(super) fn of(core: core::Array) -> Self {
        let number = PhantomData;
        Self { core, number }
    }

    fn object(&self) -> Object {
        Object::Array(self.core.clone())
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An element.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    pub fn get(&self, at: usize) -> T {
        T::from_bits(there(self.core.load(at)))
    }

    /// Replaces an element.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    pub fn set(&self, at: usize, number: T) {
        there(self.core.store(at, number.to_bits()));
    }

    /// Adds to an element, and returns what it was before. Integers wrap around.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    pub fn fetch_add(&self, at: usize, number: T) -> T {
        T::from_bits(there(self.core.add(at, number.to_bits())))
    }

    /// Replaces an element if it is `current`, bit by bit, and returns what it was before.
    ///
    /// # Errors
    ///
    /// If it is another: that one.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    pub fn compare_exchange(&self, at: usize, current: T, new: T) -> Result<T, T> {
        exchanged(&self.core, at, current, new)
    }

    /// Copies elements out.
    ///
    /// # Panics
    ///
    /// If the range is not within the array.
    pub fn read(&self, range: impl RangeBounds<usize>) -> Vec<T> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => self.len(),
        };
        T::from_bytes(&there(self.core.read(start, end.saturating_sub(start))))
    }

    /// Copies elements in, from the place `start` on.
    ///
    /// # Panics
    ///
    /// If they do not fit there.
    pub fn write(&self, start: usize, elements: &[T]) {
        there(self.core.write(start, &T::to_bytes(elements)));
    }
}

travels!(
    [T: Number] Value<T>, "a value of this type",
    Object::Array(core) if core.element() == T::element().0 && core.len() == 1 => Self::of(core)
);
travels!(
    [T: Number] Array<T>, "an array of this type",
    Object::Array(core) if core.element() == T::element().0 => Self::of(core)
);

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        let (core, number) = (self.core.clone(), PhantomData);
        Self { core, number }
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        let (core, number) = (self.core.clone(), PhantomData);
        Self { core, number }
    }
}

impl<T: Number> fmt::Debug for Value<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Value").field(&self.load()).finish()
    }
}

impl<T> fmt::Debug for Array<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Array")
            .field("len", &self.core.len())
            .finish_non_exhaustive()
    }
}

#[track_caller]
fn there<T>(access: Result<T, String>) -> T {
    access.unwrap_or_else(|problem| panic!("{problem}"))
}

#[track_caller]
fn exchanged<T: Number>(array: &core::Array, at: usize, current: T, new: T) -> Result<T, T> {
    let expected = current.to_bits();
    let former = there(array.compare_exchange(at, expected, new.to_bits()));
    match former == expected {
        true => Ok(T::from_bits(former)),
        false => Err(T::from_bits(former)),
    }
}
