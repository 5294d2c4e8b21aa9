//! Captures the standard output and standard error of a guest.
//!
//! A stream accepts whatever the guest writes, and never fails or blocks it. It keeps the last
//! bytes up to its limit, since the last lines are the most useful. The output of a program is its
//! result: it is kept as a whole, and output over its limit ends the program.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::call::{Captured, Control, TaskEvent};
use crate::sync::lock;

/// How much a guest may write in one call. Bounds what the host holds beside the kept output. The
/// figure is the usual one for WASI streams.
pub(super) const PERMIT: usize = 64 << 10;

/// The captured output of the guest of one store. Clones share it.
#[derive(Clone)]
pub(crate) struct CapturedStreams {
    limit: usize,
    /// Whether output also goes to the process's own streams.
    is_inherited: bool,
    captured: Arc<Mutex<Buffers>>,
}

/// One of the two streams of a [`CapturedStreams`].
#[derive(Clone)]
pub(crate) struct Capture {
    output: CapturedStreams,
    stream: Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

#[derive(Default)]
struct Buffers {
    /// The control block of the running task, through which its listeners get the output.
    control: Option<Arc<Control>>,
    /// The limit for both streams together, if they are kept as a whole.
    whole: Option<usize>,
    stdout: Buffer,
    stderr: Buffer,
}

#[derive(Default)]
struct Buffer {
    tail: VecDeque<u8>,
    written: u64,
}

/// A program has printed more than its limit.
#[derive(Debug, thiserror::Error)]
#[error("it printed more than {limit} bytes, the limit of a program's output")]
pub(crate) struct OutputLimitReached {
    limit: usize,
}

impl CapturedStreams {
    /// Keeps the last `limit` bytes of each stream.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            is_inherited: false,
            captured: Arc::default(),
        }
    }

    /// As [`new`](Self::new), but also writes all output to the process's own streams.
    pub(crate) fn inherited(limit: usize) -> Self {
        Self {
            is_inherited: true,
            ..Self::new(limit)
        }
    }

    pub(crate) fn capture(&self, stream: Stream) -> Capture {
        let output = self.clone();
        Capture { output, stream }
    }

    /// Begins the output of a task.
    pub(crate) fn begin(&self, control: &Arc<Control>) {
        lock(&self.captured).control = Some(Arc::clone(control));
    }

    /// Keeps the whole output until [`take_whole`](Self::take_whole), up to `limit` bytes of both
    /// streams together. Does nothing if the streams are inherited.
    pub(crate) fn keep_whole(&self, limit: usize) {
        lock(&self.captured).whole = (!self.is_inherited).then_some(limit);
    }

    /// Takes the whole standard output and standard error. Leaves the end of each for the report.
    pub(crate) fn take_whole(&self) -> (Vec<u8>, Vec<u8>) {
        let mut buffers = lock(&self.captured);
        if buffers.whole.take().is_none() {
            return (Vec::new(), Vec::new());
        }
        let stdout = buffers.stdout.take_whole(self.limit);
        (stdout, buffers.stderr.take_whole(self.limit))
    }

    /// Takes the captured output at the end of a task. The next task begins with none.
    pub(crate) fn take(&self) -> (Captured, Captured) {
        let buffers = std::mem::take(&mut *lock(&self.captured));
        let captured = |buffer: Buffer| buffer.captured(self.limit);
        (captured(buffers.stdout), captured(buffers.stderr))
    }
}

impl Buffer {
    fn take_whole(&mut self, limit: usize) -> Vec<u8> {
        let whole = Vec::from(std::mem::take(&mut self.tail));
        self.tail
            .extend(&whole[whole.len().saturating_sub(limit)..]);
        whole
    }

    fn captured(mut self, limit: usize) -> Captured {
        self.cut(limit);
        Captured {
            tail: self.tail.into(),
            written: self.written,
        }
    }

    /// Drops the first bytes until `limit` bytes are left.
    fn cut(&mut self, limit: usize) {
        self.tail.drain(..self.tail.len().saturating_sub(limit));
    }
}

impl Capture {
    pub(super) fn append(&self, bytes: &[u8]) -> Result<(), OutputLimitReached> {
        let mut buffers = lock(&self.output.captured);
        let whole = buffers.whole;
        let held = buffers.stdout.tail.len() + buffers.stderr.tail.len();
        let buffer = match self.stream {
            Stream::Stdout => &mut buffers.stdout,
            Stream::Stderr => &mut buffers.stderr,
        };
        buffer.written += bytes.len() as u64;
        match whole {
            Some(limit) if bytes.len() > limit.saturating_sub(held) => {
                return Err(OutputLimitReached { limit });
            }
            Some(_) => buffer.tail.extend(bytes),
            None => {
                let limit = self.output.limit;
                let kept = &bytes[bytes.len().saturating_sub(limit)..];
                buffer.cut(limit - kept.len());
                buffer.tail.extend(kept);
            }
        }
        if let Some(control) = &buffers.control
            && control.is_heard()
        {
            control.tell(|| match self.stream {
                Stream::Stdout => TaskEvent::Stdout(bytes.to_vec()),
                Stream::Stderr => TaskEvent::Stderr(bytes.to_vec()),
            });
        }
        Ok(())
    }

    /// Writes to the process's own stream, if it is inherited. Blocks until the stream takes it.
    pub(super) fn pass_on(&self, bytes: &[u8]) -> io::Result<()> {
        fn write(mut stream: impl io::Write, bytes: &[u8]) -> io::Result<()> {
            stream.write_all(bytes)?;
            stream.flush()
        }
        match self.stream {
            _ if !self.output.is_inherited => Ok(()),
            Stream::Stdout => write(io::stdout().lock(), bytes),
            Stream::Stderr => write(io::stderr().lock(), bytes),
        }
    }
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > PERMIT {
            let error = wasmtime::Error::msg("a write larger than was permitted");
            return Err(StreamError::Trap(error));
        }
        let kept = self.append(&bytes);
        kept.map_err(|reached| StreamError::Trap(reached.into()))?;
        let passed_on = self.pass_on(&bytes);
        passed_on.map_err(|error| StreamError::LastOperationFailed(error.into()))
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
        let kept = self.append(bytes).map_err(io::Error::other);
        Poll::Ready(
            kept.and_then(|()| self.pass_on(bytes))
                .map(|()| bytes.len()),
        )
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
        self.output.is_inherited
            && match self.stream {
                Stream::Stdout => io::IsTerminal::is_terminal(&io::stdout()),
                Stream::Stderr => io::IsTerminal::is_terminal(&io::stderr()),
            }
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
        let output = CapturedStreams::new(4);
        let capture = output.capture(Stream::Stderr);
        for word in ["ab", "cd", "efghijk", "l"] {
            capture.append(word.as_bytes()).unwrap();
        }
        let (stdout, stderr) = output.take();
        assert_eq!((&*stderr.text(), stderr.written), ("ijkl", 12));
        assert!(stderr.is_truncated());
        assert_eq!(stdout, Captured::default());
        assert_eq!(output.take(), (stdout.clone(), stdout));
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let output = CapturedStreams::new(0);
        output.capture(Stream::Stdout).append(b"abc").unwrap();
        let (stdout, _) = output.take();
        assert_eq!((stdout.tail, stdout.written), (Vec::new(), 3));
    }

    #[test]
    fn the_whole_output_is_kept_up_to_its_limit() {
        let output = CapturedStreams::new(2);
        output.keep_whole(6);
        let (stdout, stderr) = (
            output.capture(Stream::Stdout),
            output.capture(Stream::Stderr),
        );
        stdout.append(b"abc").unwrap();
        stderr.append(b"def").unwrap();
        assert!(stdout.append(b"g").is_err());
        assert_eq!(output.take_whole(), (b"abc".to_vec(), b"def".to_vec()));
        let (stdout, _) = output.take();
        assert_eq!((&*stdout.text(), stdout.written), ("bc", 4));
    }
}
