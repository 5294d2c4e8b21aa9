//! The numbers that arrays and values hold.

/// The type of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Int8,
    Uint8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float32,
    Float64,
}

impl Element {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Int8 => "i8",
            Self::Uint8 => "u8",
            Self::Int16 => "i16",
            Self::Uint16 => "u16",
            Self::Int32 => "i32",
            Self::Uint32 => "u32",
            Self::Int64 => "i64",
            Self::Uint64 => "u64",
            Self::Float32 => "f32",
            Self::Float64 => "f64",
        }
    }
}

/// A number that [`Array`](super::Array) and [`Value`](super::Value) hold: `i8`, `u8`, `i16`, `u16`,
/// `i32`, `u32`, `i64`, `u64`, `f32` or `f64`. No other type can implement it.
pub trait Number: sealed::Wide {}

pub(super) mod sealed {
    use super::Element;

    /// How a number travels.
    pub trait Wide: Copy + Default + PartialEq + std::fmt::Debug + 'static {
        // Nobody outside can name this trait.
        #[allow(private_interfaces)]
        const ELEMENT: Element;
        const SIZE: usize;

        /// An integer extended by its sign or by zeros, or the bits of a 64-bit float.
        fn to_wide(self) -> u64;
        fn from_wide(bits: u64) -> Self;

        /// Appends the number as it lies in a memory of WebAssembly.
        fn write(self, bytes: &mut Vec<u8>);
        /// Reads [`SIZE`](Self::SIZE) bytes.
        fn read(bytes: &[u8]) -> Self;
    }
}

macro_rules! number {
    ($($number:ident $element:ident: $to_bits:expr, $from_bits:expr;)+) => {$(
        impl Number for $number {}

        impl sealed::Wide for $number {
            #[allow(private_interfaces)]
            const ELEMENT: Element = Element::$element;
            const SIZE: usize = size_of::<$number>();

            fn to_wide(self) -> u64 {
                $to_bits(self)
            }

            fn from_wide(bits: u64) -> Self {
                $from_bits(bits)
            }

            fn write(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn read(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("they were cut by size"))
            }
        }
    )+};
}

number! {
    i8 Int8: |number| i64::from(number) as u64, |bits| bits as i8;
    u8 Uint8: u64::from, |bits| bits as u8;
    i16 Int16: |number| i64::from(number) as u64, |bits| bits as i16;
    u16 Uint16: u64::from, |bits| bits as u16;
    i32 Int32: |number| i64::from(number) as u64, |bits| bits as i32;
    u32 Uint32: u64::from, |bits| bits as u32;
    i64 Int64: |number| number as u64, |bits| bits as i64;
    u64 Uint64: |number| number, |bits| bits;
    f32 Float32: |number| f64::from(number).to_bits(), |bits| f64::from_bits(bits) as f32;
    f64 Float64: f64::to_bits, f64::from_bits;
}
