//! Arrays without a host.

use std::sync::Arc;

use super::monitor::Monitor;
use crate::shared::CreateError;
use crate::shared::number::Element;
use crate::shared::number::sealed::Wide;

#[derive(Clone)]
pub(crate) struct Array {
    element: Element,
    /// Each as it travels.
    elements: Arc<Monitor<Vec<u64>>>,
}

/// Calls a function that is generic over the type of the elements.
macro_rules! typed {
    ($element:expr, $function:ident($($argument:expr),*)) => {
        match $element {
            Element::Int8 => $function::<i8>($($argument),*),
            Element::Uint8 => $function::<u8>($($argument),*),
            Element::Int16 => $function::<i16>($($argument),*),
            Element::Uint16 => $function::<u16>($($argument),*),
            Element::Int32 => $function::<i32>($($argument),*),
            Element::Uint32 => $function::<u32>($($argument),*),
            Element::Int64 => $function::<i64>($($argument),*),
            Element::Uint64 => $function::<u64>($($argument),*),
            Element::Float32 => $function::<f32>($($argument),*),
            Element::Float64 => $function::<f64>($($argument),*),
        }
    };
}

impl Array {
    pub(in crate::shared) fn create(element: Element, len: u32) -> Result<Self, CreateError> {
        Ok(Self {
            element,
            elements: Arc::new(Monitor::new(vec![0; len as usize])),
        })
    }

    pub(in crate::shared) fn element(&self) -> Element {
        self.element
    }

    pub(in crate::shared) fn len(&self) -> u32 {
        self.elements.read(|elements| super::count(elements.len()))
    }

    pub(in crate::shared) fn load(&self, at: u32) -> Result<u64, String> {
        self.with(at, |element| *element)
    }

    pub(in crate::shared) fn store(&self, at: u32, value: u64) -> Result<(), String> {
        self.with(at, |element| *element = value)
    }

    pub(in crate::shared) fn add(&self, at: u32, value: u64) -> Result<u64, String> {
        self.with(at, |element| {
            let sum = match self.element {
                Element::Float32 => {
                    let sum = f32::from_wide(*element) + f32::from_wide(value);
                    sum.to_wide()
                }
                Element::Float64 => (f64::from_bits(*element) + f64::from_bits(value)).to_bits(),
                // Cut, and extended again.
                integer => typed!(integer, normal(element.wrapping_add(value))),
            };
            std::mem::replace(element, sum)
        })
    }

    pub(in crate::shared) fn compare_exchange(
        &self,
        at: u32,
        expected: u64,
        new: u64,
    ) -> Result<u64, String> {
        self.with(at, |element| {
            let before = *element;
            if before == expected {
                *element = new;
            }
            before
        })
    }

    pub(in crate::shared) fn read(&self, start: u32, count: u32) -> Result<Vec<u8>, String> {
        let (from, n) = (start as usize, count as usize);
        self.elements.read(|elements| {
            let end = from.checked_add(n);
            let range = end.and_then(|end| elements.get(from..end));
            let range = range.ok_or_else(|| beyond(start, n, elements.len()))?;
            Ok(typed!(self.element, to_bytes(range)))
        })
    }

    pub(in crate::shared) fn write(&self, start: u32, bytes: Vec<u8>) -> Result<(), String> {
        let new = typed!(self.element, from_bytes(&bytes));
        let from = start as usize;
        self.elements.change(|elements| {
            let len = elements.len();
            let end = from.checked_add(new.len());
            let range = end.and_then(|end| elements.get_mut(from..end));
            let range = range.ok_or_else(|| beyond(start, new.len(), len))?;
            range.copy_from_slice(&new);
            Ok(())
        })
    }

    fn with<R>(&self, at: u32, access: impl FnOnce(&mut u64) -> R) -> Result<R, String> {
        self.elements.change(|elements| {
            let len = elements.len();
            let element = elements.get_mut(at as usize);
            let element =
                element.ok_or_else(|| format!("there is no element {at} in an array of {len}"))?;
            Ok(access(element))
        })
    }
}

fn beyond(start: u32, count: usize, len: usize) -> String {
    format!("there are no {count} elements from {start} on in an array of {len}")
}

fn normal<T: Wide>(bits: u64) -> u64 {
    T::from_wide(bits).to_wide()
}

fn to_bytes<T: Wide>(elements: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(elements.len() * T::SIZE);
    for element in elements {
        T::from_wide(*element).write(&mut bytes);
    }
    bytes
}

fn from_bytes<T: Wide>(bytes: &[u8]) -> Vec<u64> {
    let elements = bytes.chunks_exact(T::SIZE).map(T::read);
    elements.map(T::to_wide).collect()
}
