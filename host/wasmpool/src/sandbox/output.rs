//! Standard output and standard error of a guest: captured, with the end kept.
//!
//! A stream takes whatever the guest writes and never fails or blocks it; what is over the
//! limit pushes out what came first, since the last words say most.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::control::Control;
use crate::events::TaskEvent;
use crate::report::Captured;
use crate::sync::lock;

/// How much a guest may write in one call. Bounds what the host holds at once beside the
/// tail; the figure is the usual one of WASI streams.
const PERMIT: usize = 64 << 10;

/// What the guest of one store writes. Clones are of the same.
#[derive(Clone)]
pub(super) struct Output {
    limit: usize,
    captured: Arc<Mutex<Buffers>>,
}

/// One of the two streams of an [`Output`].
#[derive(Clone)]
pub(super) struct Capture {
    output: Output,
    stream: Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

#[derive(Default)]
struct Buffers {
    /// Of the task that runs: those who listen to it hear what it writes.
    control: Option<Arc<Control>>,
    stdout: Buffer,
    stderr: Buffer,
}

#[derive(Default)]
struct Buffer {
    tail: VecDeque<u8>,
    written: u64,
}

impl Output {
    /// Keeps the last `limit` bytes of each stream.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            captured: Arc::default(),
        }
    }

    pub(super) fn capture(&self, stream: Stream) -> Capture {
        let output = self.clone();
        Capture { output, stream }
    }

    /// A task begins.
    pub(super) fn begin(&self, control: &Arc<Control>) {
        lock(&self.captured).control = Some(Arc::clone(control));
    }

    /// The task has ended: takes out what was captured, and starts anew.
    pub(super) fn take(&self) -> (Captured, Captured) {
        let buffers = std::mem::take(&mut *lock(&self.captured));
        (buffers.stdout.into(), buffers.stderr.into())
    }
}

impl From<Buffer> for Captured {
    fn from(buffer: Buffer) -> Self {
        Self {
            tail: buffer.tail.into(),
            written: buffer.written,
        }
    }
}

impl Capture {
    fn append(&self, bytes: &[u8]) {
        let limit = self.output.limit;
        let mut buffers = lock(&self.output.captured);
        let buffer = match self.stream {
            Stream::Stdout => &mut buffers.stdout,
            Stream::Stderr => &mut buffers.stderr,
        };
        buffer.written += bytes.len() as u64;
        let kept = &bytes[bytes.len().saturating_sub(limit)..];
        let excess = (buffer.tail.len() + kept.len()).saturating_sub(limit);
        buffer.tail.drain(..excess);
        buffer.tail.extend(kept);
        if let Some(control) = &buffers.control
            && control.is_heard()
        {
            control.tell(match self.stream {
                Stream::Stdout => TaskEvent::Stdout(bytes.to_vec()),
                Stream::Stderr => TaskEvent::Stderr(bytes.to_vec()),
            });
        }
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
        let output = Output::new(4);
        let capture = output.capture(Stream::Stderr);
        for word in ["ab", "cd", "efghijk", "l"] {
            capture.append(word.as_bytes());
        }
        let (stdout, stderr) = output.take();
        assert_eq!((&*stderr.text(), stderr.written), ("ijkl", 12));
        assert!(stderr.is_truncated());
        assert_eq!(stdout, Captured::default());
        assert_eq!(output.take(), (stdout.clone(), stdout));
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let output = Output::new(0);
        output.capture(Stream::Stdout).append(b"abc");
        let (stdout, _) = output.take();
        assert_eq!((stdout.tail, stdout.written), (Vec::new(), 3));
    }
}
