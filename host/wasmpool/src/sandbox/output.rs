//! Standard output and standard error of a guest: captured, with the end kept.
//!
//! A stream takes whatever the guest writes and never fails or blocks it; what is over the
//! limit pushes out what came first, since the last words say most.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::report::Captured;
use crate::sync::lock;

/// How much a guest may write in one call. Bounds what the host holds at once beside the
/// tail; the figure is the usual one of WASI streams.
const PERMIT: usize = 64 << 10;

/// A captured stream. Clones write to the same place.
#[derive(Clone)]
pub(super) struct Capture {
    limit: usize,
    buffer: Arc<Mutex<Buffer>>,
}

#[derive(Default)]
struct Buffer {
    tail: VecDeque<u8>,
    written: u64,
}

impl Capture {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: Arc::default(),
        }
    }

    /// Takes out what was captured, and starts anew.
    pub(super) fn take(&self) -> Captured {
        let buffer = std::mem::take(&mut *self.lock());
        Captured {
            tail: buffer.tail.into(),
            written: buffer.written,
        }
    }

    fn append(&self, bytes: &[u8]) {
        let mut buffer = self.lock();
        buffer.written += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(self.limit)..];
        let excess = (buffer.tail.len() + kept.len()).saturating_sub(self.limit);
        buffer.tail.drain(..excess);
        buffer.tail.extend(kept);
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        lock(&self.buffer)
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

#[async_trait::async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl tokio::io::AsyncWrite for Capture {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for Capture {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Capture {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_output_is_kept() {
        let capture = Capture::new(4);
        for word in ["ab", "cd", "efghijk", "l"] {
            capture.append(word.as_bytes());
        }
        let captured = capture.take();
        assert_eq!((&*captured.text(), captured.written), ("ijkl", 12));
        assert!(captured.is_truncated());
        assert_eq!(capture.take(), Captured::default());
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let capture = Capture::new(0);
        capture.append(b"abc");
        assert_eq!(
            capture.take(),
            Captured {
                tail: Vec::new(),
                written: 3
            }
        );
    }
}
