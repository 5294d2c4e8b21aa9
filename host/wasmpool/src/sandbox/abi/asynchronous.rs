//! Calls of asynchronous functions, and of functions that take or return streams of bytes.
//!
//! Such a stream is written from bytes that are there, or read to its end. So on the wire it is a list
//! of bytes.
//!
//! wasmtime takes how many core values a result has from its static type, and an asynchronous function
//! may return as many as it may have parameters. So there is such a type for each number.

use std::pin::Pin;
use std::task::{Context, Poll};

use serde_bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::component::{
    ComponentExportIndex, Func, Source, StreamConsumer, StreamReader, StreamResult,
};
use wasmtime::{Store, StoreContextMut, format_err};

use super::flat_count;
use super::lift::{AsyncOutcome, Outcome, PayloadLimitReached};
use super::lower::{LoweredArguments, MAX_FLAT_PARAMS};
use crate::call::Payload;
use crate::sandbox::store::State;
use crate::value::{self, Type};

/// An asynchronous function that a component exports.
#[derive(Clone, Copy)]
pub(crate) struct AsyncFunction {
    pub(crate) export: ComponentExportIndex,
    result: ResultForm,
}

/// What the result of an asynchronous function is.
#[derive(Clone, Copy)]
enum ResultForm {
    /// So many core values: the value, or its address.
    CoreValues(u8),
    /// A stream of bytes.
    Stream,
}

impl AsyncFunction {
    /// The function that is exported there.
    pub(crate) fn new(export: ComponentExportIndex, result: Option<&Type>) -> Self {
        let n_values = match result.map_or(0, flat_count) {
            n_values @ 0..=MAX_FLAT_PARAMS => n_values as u8,
            _ => 1,
        };
        Self {
            export,
            result: ResultForm::CoreValues(n_values),
        }
    }

    /// The function that is exported there, whose result is a stream of bytes.
    pub(crate) fn with_stream(export: ComponentExportIndex) -> Self {
        let result = ResultForm::Stream;
        Self { export, result }
    }
}

/// Calls the function until it has returned, and a stream that it returns has ended. What it has begun
/// and not awaited may still be under way then.
pub(crate) async fn call_async(
    store: &mut Store<State>,
    callee: AsyncFunction,
    function: Func,
    arguments: Payload,
    payload_limit: usize,
) -> wasmtime::Result<Outcome> {
    let arguments = LoweredArguments::new(arguments);
    let n_values = match callee.result {
        ResultForm::CoreValues(n_values) => n_values,
        ResultForm::Stream => {
            let function = function.typed::<LoweredArguments, (StreamReader<u8>,)>(&*store)?;
            let (stream,) = function.call_async(&mut *store, arguments).await?;
            let bytes = read(store, stream, payload_limit).await?;
            let wire = value::encode(&Bytes::new(&bytes)).expect("bytes");
            return Ok(Outcome(Ok(wire)));
        }
    };
    macro_rules! with_so_many {
        ($($count:literal)*) => {
            match n_values {
                $($count => {
                    let function = function.typed::<LoweredArguments, AsyncOutcome<$count>>(&*store)?;
                    // In a box: otherwise this future has room for one of each number.
                    let AsyncOutcome(outcome) = Box::pin(function.call_async(store, arguments)).await?;
                    Ok(outcome)
                })*
                _ => unreachable!("more core values than a function may have parameters"),
            }
        };
    }
    with_so_many!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

/// Reads a stream to its end.
async fn read(
    store: &mut Store<State>,
    stream: StreamReader<u8>,
    limit: usize,
) -> wasmtime::Result<Vec<u8>> {
    let (sender, received) = oneshot::channel();
    let reading = Reading {
        bytes: Vec::new(),
        limit,
        ended: Some(sender),
    };
    stream.pipe(&mut *store, reading)?;
    let received = store.run_concurrent(async |_| received.await).await?;
    received.map_err(|_| format_err!("the stream was not read to its end"))
}

/// What has been read of a stream.
struct Reading {
    bytes: Vec<u8>,
    limit: usize,
    /// Gets the bytes at the end of the stream.
    ended: Option<oneshot::Sender<Vec<u8>>>,
}

impl StreamConsumer<State> for Reading {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, State>,
        source: Source<'_, u8>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let read = source.remaining();
        if read.len() > self.limit - self.bytes.len() {
            return Poll::Ready(Err(PayloadLimitReached::of_result(self.limit).into()));
        }
        self.bytes.extend_from_slice(read);
        let len = read.len();
        source.mark_read(len);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // The call may have ended before.
        let _ = self.ended.take().map(|ended| ended.send(bytes));
    }
}
