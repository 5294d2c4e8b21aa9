//! Standard output and standard error by the functions of WASI 0.3, where a guest writes streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    FutureReader, Linker, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime_wasi::p3::bindings::cli::types::ErrorCode;

use super::captured::{Capture, PERMIT, Stream};
use crate::sandbox::store::State;

/// The interfaces of the streams, of the version that `wasmtime_wasi` has.
const STREAMS: [(&str, Stream); 2] = [
    ("wasi:cli/stdout@0.3.0", Stream::Stdout),
    ("wasi:cli/stderr@0.3.0", Stream::Stderr),
];

/// Takes what a guest writes to a stream, until the stream ends or cannot be written to.
struct Written {
    capture: Capture,
    /// Dropped at the end of the stream.
    failed: Option<oneshot::Sender<ErrorCode>>,
}

/// Replaces the functions of `wasmtime_wasi`, which would tell a guest that its output is over the limit
/// as an error like others, instead of ending it.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    for (interface, stream) in STREAMS {
        linker.instance(interface)?.func_wrap(
            "write-via-stream",
            move |mut store: StoreContextMut<'_, State>, (data,): (StreamReader<u8>,)| {
                let capture = store.data().output.capture(stream);
                let (failed, failure) = oneshot::channel();
                let failed = Some(failed);
                data.pipe(&mut store, Written { capture, failed })?;
                let ended = FutureReader::new(&mut store, async {
                    wasmtime::error::Ok(failure.await.map_or(Ok(()), Err))
                });
                Ok((ended?,))
            },
        )?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

impl StreamConsumer<State> for Written {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let bytes = &bytes[..bytes.len().min(PERMIT)];
        // The end of the guest.
        self.capture.append(bytes)?;
        let result = match self.capture.pass_on(bytes) {
            Ok(()) => StreamResult::Completed,
            Err(error) => {
                let code = match error.kind() {
                    io::ErrorKind::BrokenPipe => ErrorCode::Pipe,
                    _ => ErrorCode::Io,
                };
                // The guest may not want to know.
                let _ = self.failed.take().map(|failed| failed.send(code));
                StreamResult::Dropped
            }
        };
        let len = bytes.len();
        source.mark_read(len);
        Poll::Ready(Ok(result))
    }
}
