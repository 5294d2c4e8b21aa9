//! Numbers in one piece of memory.

use super::budget::{Charge, ObjectBudget};
use crate::sync::{Arc, Mutex, lock};

/// An array of numbers. Every function is one step for all others.
#[derive(Clone)]
pub(crate) struct Array(Arc<Memory>);

struct Memory {
    element: Number,
    len: usize,
    bytes: Mutex<Vec<u8>>,
    _charge: Charge,
}

/// The type of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl Number {
    /// The size of an element in bytes.
    fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// An element as 64 bits: integers extended by their sign or by zeros, floats as 64-bit floats.
    fn widen(self, bytes: &[u8]) -> u64 {
        let mut low = [0; 8];
        low[..bytes.len()].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(low);
        #[expect(clippy::cast_possible_truncation, reason = "the upper bits are zero")]
        match self {
            Self::I8 => i64::from(bits as i8).cast_unsigned(),
            Self::I16 => i64::from(bits as i16).cast_unsigned(),
            Self::I32 => i64::from(bits as i32).cast_unsigned(),
            Self::F32 => f64::from(f32::from_bits(bits as u32)).to_bits(),
            Self::U8 | Self::U16 | Self::U32 | Self::I64 | Self::U64 | Self::F64 => bits,
        }
    }

    /// The bytes of an element; the upper ones of what does not fit are cut off.
    fn narrow(self, bits: u64) -> [u8; 8] {
        #[expect(clippy::cast_possible_truncation, reason = "a wider float is rounded")]
        match self {
            Self::F32 => u64::from((f64::from_bits(bits) as f32).to_bits()).to_le_bytes(),
            _ => bits.to_le_bytes(),
        }
    }

    fn sum(self, a: u64, b: u64) -> u64 {
        match self {
            Self::F32 | Self::F64 => (f64::from_bits(a) + f64::from_bits(b)).to_bits(),
            // The bits that stay are the same for signed and unsigned numbers.
            _ => a.wrapping_add(b),
        }
    }
}

impl Array {
    /// An array of zeros.
    pub(crate) fn new(
        element: Number,
        len: usize,
        budget: &Arc<ObjectBudget>,
    ) -> Result<Self, String> {
        let mut charge = budget.object()?;
        let n_bytes = len.saturating_mul(element.size());
        charge.take(n_bytes)?;
        Ok(Self(Arc::new(Memory {
            element,
            len,
            bytes: Mutex::new(vec![0; n_bytes]),
            _charge: charge,
        })))
    }

    pub(crate) fn element(&self) -> Number {
        self.0.element
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len
    }

    pub(crate) fn load(&self, at: usize) -> Result<u64, String> {
        self.update(at, |_| None)
    }

    pub(crate) fn store(&self, at: usize, value: u64) -> Result<(), String> {
        self.update(at, |_| Some(value)).map(|_| ())
    }

    /// Adds to an element, and returns what it was before.
    pub(crate) fn add(&self, at: usize, value: u64) -> Result<u64, String> {
        let element = self.0.element;
        self.update(at, |former| Some(element.sum(former, value)))
    }

    /// Replaces an element if it is `expected`. Returns what it was before.
    pub(crate) fn compare_exchange(
        &self,
        at: usize,
        expected: u64,
        new: u64,
    ) -> Result<u64, String> {
        self.update(at, |former| (former == expected).then_some(new))
    }

    /// Replaces an element if there is another, and returns what it was before.
    fn update(&self, at: usize, new: impl FnOnce(u64) -> Option<u64>) -> Result<u64, String> {
        let Memory { element, len, .. } = *self.0;
        if at >= len {
            return Err(format!("there is no element {at} in an array of {len}"));
        }
        let size = element.size();
        let mut bytes = lock(&self.0.bytes);
        let place = &mut bytes[at * size..][..size];
        let former = element.widen(place);
        if let Some(new) = new(former) {
            place.copy_from_slice(&element.narrow(new)[..size]);
        }
        Ok(former)
    }

    /// Copies elements out, as bytes.
    pub(crate) fn read(&self, start: usize, count: usize) -> Result<Vec<u8>, String> {
        self.check(start, count)?;
        let size = self.0.element.size();
        Ok(lock(&self.0.bytes)[start * size..][..count * size].to_vec())
    }

    /// Copies elements in, from bytes.
    pub(crate) fn write(&self, start: usize, elements: &[u8]) -> Result<(), String> {
        let size = self.0.element.size();
        if !elements.len().is_multiple_of(size) {
            return Err(format!(
                "{} bytes are not a whole number of elements of {size}",
                elements.len()
            ));
        }
        self.check(start, elements.len() / size)?;
        lock(&self.0.bytes)[start * size..][..elements.len()].copy_from_slice(elements);
        Ok(())
    }

    fn check(&self, start: usize, count: usize) -> Result<(), String> {
        let len = self.0.len;
        match start.checked_add(count) {
            Some(end) if end <= len => Ok(()),
            _ => Err(format!(
                "there are no {count} elements from {start} on in an array of {len}"
            )),
        }
    }
}
