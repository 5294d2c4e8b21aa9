//! The wire form of typed values: MessagePack, written and read element by element.
//!
//! The only file of this room that names `rmp`. Does not know types: the caller knows which
//! element comes next.

use rmp::decode;
use rmp::encode;

/// Why writing into memory cannot fail.
const INTO_MEMORY: &str = "writing into a vector does not fail";

/// The most that is reserved for an announced length, which may be false.
const MAX_RESERVED: usize = 16 << 20;

/// Writes elements one after the other.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

/// An array or a run of bytes that has been begun.
#[derive(Debug)]
pub(crate) struct Frame {
    kind: FrameKind,
    start: usize,
    /// The length in the header, which [`Writer::end`] corrects.
    announced: usize,
}

#[derive(Debug, Clone, Copy)]
enum FrameKind {
    Array,
    Bytes,
}

impl Writer {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Where the next element begins.
    pub(super) fn position(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn nil(&mut self) {
        encode::write_nil(&mut self.bytes).expect(INTO_MEMORY);
    }

    pub(super) fn bool(&mut self, value: bool) {
        encode::write_bool(&mut self.bytes, value).expect(INTO_MEMORY);
    }

    pub(super) fn unsigned(&mut self, value: u64) {
        encode::write_uint(&mut self.bytes, value).expect(INTO_MEMORY);
    }

    pub(super) fn signed(&mut self, value: i64) {
        encode::write_sint(&mut self.bytes, value).expect(INTO_MEMORY);
    }

    pub(super) fn f32(&mut self, value: f32) {
        encode::write_f32(&mut self.bytes, value).expect(INTO_MEMORY);
    }

    pub(super) fn f64(&mut self, value: f64) {
        encode::write_f64(&mut self.bytes, value).expect(INTO_MEMORY);
    }

    pub(super) fn text(&mut self, value: &str) -> Result<(), TooLong> {
        let length = u32::try_from(value.len()).map_err(|_| TooLong)?;
        encode::write_str_len(&mut self.bytes, length).expect(INTO_MEMORY);
        self.bytes.extend_from_slice(value.as_bytes());
        Ok(())
    }

    pub(super) fn binary(&mut self, value: &[u8]) -> Result<(), TooLong> {
        let length = u32::try_from(value.len()).map_err(|_| TooLong)?;
        encode::write_bin_len(&mut self.bytes, length).expect(INTO_MEMORY);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// One byte of a run that was begun with [`begin_bytes`](Self::begin_bytes).
    #[inline]
    pub(super) fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// The header of an array of exactly `length` elements.
    pub(super) fn array(&mut self, length: usize) {
        let length = u32::try_from(length).expect("a type has fewer than 2^32 parts");
        encode::write_array_len(&mut self.bytes, length).expect(INTO_MEMORY);
    }

    /// Begins an array of about `announced` elements.
    pub(super) fn begin_array(&mut self, announced: Option<usize>) -> Frame {
        self.begin(FrameKind::Array, announced)
    }

    /// Begins a run of about `announced` bytes.
    pub(super) fn begin_bytes(&mut self, announced: Option<usize>) -> Frame {
        self.begin(FrameKind::Bytes, announced)
    }

    fn begin(&mut self, kind: FrameKind, announced: Option<usize>) -> Frame {
        let announced = announced.filter(|length| u32::try_from(*length).is_ok());
        let announced = announced.unwrap_or(0);
        self.bytes.reserve(announced.min(MAX_RESERVED));
        let start = self.bytes.len();
        write_header(&mut self.bytes, kind, announced as u32);
        Frame {
            kind,
            start,
            announced,
        }
    }

    /// Ends an array or a run of bytes that got `count` elements.
    pub(super) fn end(&mut self, frame: Frame, count: usize) -> Result<(), TooLong> {
        if frame.announced == count {
            return Ok(());
        }
        // The length was not announced, or is another one.
        let length = u32::try_from(count).map_err(|_| TooLong)?;
        let mut header = Vec::new();
        write_header(&mut header, frame.kind, frame.announced as u32);
        let old = frame.start..frame.start + header.len();
        header.clear();
        write_header(&mut header, frame.kind, length);
        self.bytes.splice(old, header);
        Ok(())
    }

    /// Reorders the last elements, those from position `first` on.
    ///
    /// `pieces` are their ranges in the new order; `None` writes a nil.
    pub(super) fn reorder(&mut self, first: usize, pieces: impl Iterator<Item = Option<Piece>>) {
        let mut ordered = Vec::with_capacity(self.bytes.len() - first);
        for piece in pieces {
            match piece {
                Some(piece) => ordered.extend_from_slice(&self.bytes[piece.start..piece.end]),
                None => encode::write_nil(&mut ordered).expect(INTO_MEMORY),
            }
        }
        self.bytes.truncate(first);
        self.bytes.append(&mut ordered);
    }
}

/// The range of an element in the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
}

fn write_header(bytes: &mut Vec<u8>, kind: FrameKind, length: u32) {
    match kind {
        FrameKind::Array => encode::write_array_len(bytes, length),
        FrameKind::Bytes => encode::write_bin_len(bytes, length),
    }
    .expect(INTO_MEMORY);
}

/// A list or a text of 2^32 or more elements, which MessagePack cannot carry.
#[derive(Debug)]
pub(crate) struct TooLong;

/// Reads elements one after the other, from untrusted bytes.
#[derive(Debug)]
pub(crate) struct Reader<'de> {
    bytes: &'de [u8],
    /// How many bytes may be allocated beyond the input, and how many of those are left.
    limit: usize,
    left: usize,
}

/// More bytes would be allocated than the limit.
#[derive(Debug)]
pub(crate) struct TooLarge {
    pub(super) limit: usize,
}

/// The bytes do not continue with the requested element.
#[derive(Debug)]
pub(crate) struct Corrupt;

type Read<T> = Result<T, Corrupt>;

impl<'de> Reader<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self::with_limit(bytes, usize::MAX)
    }

    /// As [`new`](Self::new), with a limit for what decoding allocates.
    pub(super) fn with_limit(bytes: &'de [u8], limit: usize) -> Self {
        Self {
            bytes,
            limit,
            left: limit,
        }
    }

    /// Counts bytes that are allocated.
    #[inline]
    pub(super) fn make(&mut self, n_bytes: usize) -> Result<(), TooLarge> {
        let left = self.left.checked_sub(n_bytes);
        self.left = left.ok_or(TooLarge { limit: self.limit })?;
        Ok(())
    }

    /// How many bytes are left; there cannot be more elements.
    pub(super) fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Takes a nil, if that is what comes next.
    pub(super) fn take_nil(&mut self) -> bool {
        let is_nil = self.bytes.first() == Some(&rmp::Marker::Null.to_u8());
        if is_nil {
            self.bytes = &self.bytes[1..];
        }
        is_nil
    }

    pub(super) fn bool(&mut self) -> Read<bool> {
        decode::read_bool(&mut self.bytes).map_err(|_| Corrupt)
    }

    pub(super) fn unsigned(&mut self) -> Read<u64> {
        decode::read_int(&mut self.bytes).map_err(|_| Corrupt)
    }

    pub(super) fn signed(&mut self) -> Read<i64> {
        decode::read_int(&mut self.bytes).map_err(|_| Corrupt)
    }

    pub(super) fn f32(&mut self) -> Read<f32> {
        decode::read_f32(&mut self.bytes).map_err(|_| Corrupt)
    }

    pub(super) fn f64(&mut self) -> Read<f64> {
        decode::read_f64(&mut self.bytes).map_err(|_| Corrupt)
    }

    pub(super) fn text(&mut self) -> Read<&'de str> {
        let length = decode::read_str_len(&mut self.bytes).map_err(|_| Corrupt)?;
        std::str::from_utf8(self.run(length)?).map_err(|_| Corrupt)
    }

    /// A text of exactly one character.
    pub(super) fn char(&mut self) -> Read<&'de str> {
        let text = self.text()?;
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(_), None) => Ok(text),
            _ => Err(Corrupt),
        }
    }

    pub(super) fn binary(&mut self) -> Read<&'de [u8]> {
        let length = decode::read_bin_len(&mut self.bytes).map_err(|_| Corrupt)?;
        self.run(length)
    }

    /// The header of an array, whose length is at most what is left.
    pub(super) fn array(&mut self) -> Read<usize> {
        let length = decode::read_array_len(&mut self.bytes).map_err(|_| Corrupt)?;
        let length = usize::try_from(length).map_err(|_| Corrupt)?;
        // Each element takes at least a byte, so no caller reserves more than there can be.
        if length > self.left() {
            return Err(Corrupt);
        }
        Ok(length)
    }

    /// The header of an array that must have `length` elements.
    pub(super) fn array_of(&mut self, length: usize) -> Read<()> {
        match self.array()? == length {
            true => Ok(()),
            false => Err(Corrupt),
        }
    }

    fn run(&mut self, length: u32) -> Read<&'de [u8]> {
        let length = usize::try_from(length).map_err(|_| Corrupt)?;
        let (run, rest) = self.bytes.split_at_checked(length).ok_or(Corrupt)?;
        self.bytes = rest;
        Ok(run)
    }
}
