//! The messages of worker processes: the length in four bytes, then as many bytes of MessagePack.

use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

/// A call to a worker process.
#[derive(Serialize, Deserialize)]
pub(crate) enum Call<'a> {
    Factorize(u64),
    /// A chunk.
    FactorizeMany(Vec<u64>),
    #[serde(borrow)]
    Echo(&'a Bytes),
    /// Sleeps for this many milliseconds.
    Sleep(u64),
    /// Computes for longer than any caller waits.
    Spin,
    /// Ends the process at once.
    Crash,
}

/// Appends a value as a message.
pub(crate) fn write(message: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    message.clear();
    message.extend([0; 4]);
    rmp_serde::encode::write(message, value).expect("a vector takes all");
    let length = u32::try_from(message.len() - 4).expect("it is not that long");
    message[..4].copy_from_slice(&length.to_le_bytes());
}

/// Reads the next message, without its length.
pub(crate) fn receive(from: &mut impl Read, message: &mut Vec<u8>) -> io::Result<()> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    message.resize(u32::from_le_bytes(length) as usize, 0);
    from.read_exact(message)
}
