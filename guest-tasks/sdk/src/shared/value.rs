//! A single number.

use super::object::Object;
use super::travel::{Handle, handle_traits};
use super::{Array, CreateError, Number};

/// A number that several tasks read and write. For the host it is an [`Array`] of one element.
///
/// Each method is one step, and none blocks. Steps that belong together need a
/// [`Lock`](super::Lock), or a loop with [`compare_exchange`](Self::compare_exchange).
pub struct Value<T> {
    only: Array<T>,
}

impl<T: Number> Handle for Value<T> {
    fn expected() -> String {
        format!("a value of {}", T::ELEMENT.name())
    }

    fn object(&self) -> Object {
        self.only.object()
    }

    fn of(object: &Object) -> Option<Self> {
        let only = Array::of(object)?;
        (only.len() == 1).then_some(Self { only })
    }
}

handle_traits!(Value<T: Number>);

impl<T> Clone for Value<T> {
    /// Another handle of the same object.
    fn clone(&self) -> Self {
        Self {
            only: self.only.clone(),
        }
    }
}

impl<T: Number> Value<T> {
    /// Makes a value.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new(initial: T) -> Result<Self, CreateError> {
        let only = Array::new(1)?;
        only.set(0, initial);
        Ok(Self { only })
    }

    /// The value now.
    pub fn load(&self) -> T {
        self.only.get(0)
    }

    /// Writes the value.
    pub fn store(&self, value: T) {
        self.only.set(0, value);
    }

    /// Adds to the value, and returns what it was before. Integers wrap around.
    pub fn fetch_add(&self, value: T) -> T {
        self.only.fetch_add(0, value)
    }

    /// Replaces the value by `new` if it is `current`, bit by bit.
    ///
    /// # Errors
    ///
    /// If it is another: what it is. Otherwise what it was, which is `current`.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        self.only.compare_exchange(0, current, new)
    }
}
