//! Numbers in one piece of memory.

use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use super::object::Object;
use super::travel::{Handle, handle_traits};
use super::{CreateError, Number, host};

/// Numbers in one piece of memory, which several tasks read and write.
///
/// Each method is one step: no other task sees half of it. None blocks. Each call goes to the host,
/// so [`read`](Self::read) and [`write`](Self::write) are the way to move many elements.
pub struct Array<T> {
    raw: host::Array,
    elements: PhantomData<fn(T) -> T>,
}

impl<T: Number> Handle for Array<T> {
    fn expected() -> String {
        format!("an array of {}", T::ELEMENT.name())
    }

    fn object(&self) -> Object {
        Object::Array(self.raw.clone())
    }

    fn of(object: &Object) -> Option<Self> {
        match object {
            Object::Array(raw) if raw.element() == T::ELEMENT => Some(Self::new_of(raw.clone())),
            _ => None,
        }
    }
}

handle_traits!(Array<T: Number>);

impl<T> Clone for Array<T> {
    /// Another handle of the same object.
    fn clone(&self) -> Self {
        Self::new_of(self.raw.clone())
    }
}

impl<T> Array<T> {
    fn new_of(raw: host::Array) -> Self {
        Self {
            raw,
            elements: PhantomData,
        }
    }
}

impl<T: Number> Array<T> {
    /// Makes an array of so many zeros.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects or bytes.
    pub fn new(len: u32) -> Result<Self, CreateError> {
        host::Array::create(T::ELEMENT, len).map(Self::new_of)
    }

    /// The number of elements.
    pub fn len(&self) -> u32 {
        self.raw.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    #[track_caller]
    pub fn get(&self, index: u32) -> T {
        T::from_wide(in_range(self.raw.load(index)))
    }

    /// Writes the element at `index`.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    #[track_caller]
    pub fn set(&self, index: u32, value: T) {
        in_range(self.raw.store(index, value.to_wide()));
    }

    /// Adds to the element at `index`, and returns what it was before. Integers wrap around.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    #[track_caller]
    pub fn fetch_add(&self, index: u32, value: T) -> T {
        T::from_wide(in_range(self.raw.add(index, value.to_wide())))
    }

    /// Replaces the element at `index` by `new` if it is `current`, bit by bit.
    ///
    /// # Errors
    ///
    /// If it is another: what it is. Otherwise what it was, which is `current`.
    ///
    /// # Panics
    ///
    /// If there is no such element.
    #[track_caller]
    pub fn compare_exchange(&self, index: u32, current: T, new: T) -> Result<T, T> {
        let (current, new) = (current.to_wide(), new.to_wide());
        let before = in_range(self.raw.compare_exchange(index, current, new));
        match before == current {
            true => Ok(T::from_wide(before)),
            false => Err(T::from_wide(before)),
        }
    }

    /// Copies the elements of the range out.
    ///
    /// # Panics
    ///
    /// If the range ends beyond the array, or before its start.
    #[track_caller]
    pub fn read(&self, range: impl RangeBounds<u32>) -> Vec<T> {
        let start = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.checked_add(1),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => Some(self.len()),
        };
        let (start, end) = start
            .zip(end)
            .expect("no array has an element at the largest index");
        let Some(count) = end.checked_sub(start) else {
            panic!("the range {start}..{end} ends before its start");
        };
        let bytes = in_range(self.raw.read(start, count));
        bytes.chunks_exact(T::SIZE).map(T::read).collect()
    }

    /// Copies `elements` in, from the place `start` on.
    ///
    /// # Panics
    ///
    /// If they do not all fit in; none is written then.
    #[track_caller]
    pub fn write(&self, start: u32, elements: &[T]) {
        let mut bytes = Vec::with_capacity(elements.len() * T::SIZE);
        for element in elements {
            element.write(&mut bytes);
        }
        in_range(self.raw.write(start, bytes));
    }
}

/// The value, or a panic with the host's message, as indexing a slice does it.
#[track_caller]
fn in_range<V>(accessed: Result<V, String>) -> V {
    match accessed {
        Ok(value) => value,
        Err(message) => panic!("{message}"),
    }
}
