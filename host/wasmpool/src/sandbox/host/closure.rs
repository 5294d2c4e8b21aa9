//! Closures as host functions: their arguments are decoded, their results encoded, and their panics
//! caught.
//!
//! Does not know who calls them.

use std::any::Any;
use std::error::Error;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::HostCall;
use super::functions::HostFunction;
use super::import::{Answer, Encoded, Failed, HostImport};
use super::name::FunctionName;
use crate::sync::{Arc, contain_panic, panic_text};
use crate::value::{self, HostArguments, SampleBudget};

/// The types of a closure.
type Types<A, R> = PhantomData<fn(A) -> R>;

pub(super) struct SyncFunction<F, A, R> {
    function: F,
    types: Types<A, R>,
}

pub(super) struct AsyncFunction<F, A, R> {
    function: F,
    types: Types<A, R>,
}

impl<F, A, R> SyncFunction<F, A, R> {
    pub(super) fn new(function: F) -> Self {
        let types = PhantomData;
        Self { function, types }
    }
}

impl<F, A, R> AsyncFunction<F, A, R> {
    pub(super) fn new(function: F) -> Self {
        let types = PhantomData;
        Self { function, types }
    }
}

impl<F, A, R, E> HostFunction for SyncFunction<F, A, R>
where
    F: Fn(&HostCall, A) -> Result<R, E> + Send + Sync,
    A: HostArguments,
    R: Serialize + DeserializeOwned,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn check(&self, import: &HostImport, samples: &mut SampleBudget) -> Result<(), String> {
        check::<A, R>(import, samples)
    }

    fn call(&self, call: HostCall, import: &Arc<HostImport>, arguments: Vec<u8>) -> Answer {
        let called = catch_unwind(AssertUnwindSafe(|| {
            let arguments = decode(&call, import, arguments)?;
            encode(import, (self.function)(&call, arguments))
        }));
        Answer::Ready(called.unwrap_or_else(|panic| Err(panicked(&import.name, panic))))
    }
}

impl<F, A, O, R, E> HostFunction for AsyncFunction<F, A, R>
where
    F: Fn(HostCall, A) -> O + Send + Sync,
    A: HostArguments,
    O: Future<Output = Result<R, E>> + Send + 'static,
    R: Serialize + DeserializeOwned + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    fn check(&self, import: &HostImport, samples: &mut SampleBudget) -> Result<(), String> {
        check::<A, R>(import, samples)
    }

    fn call(&self, call: HostCall, import: &Arc<HostImport>, arguments: Vec<u8>) -> Answer {
        let called = catch_unwind(AssertUnwindSafe(|| {
            let arguments = decode(&call, import, arguments)?;
            Ok((self.function)(call, arguments))
        }));
        match called {
            Ok(Ok(future)) => Answer::Waits(Box::pin(Contained {
                import: Arc::clone(import),
                future: Some(Box::pin(future)),
            })),
            Ok(Err(failed)) => Answer::Ready(Err(failed)),
            Err(panic) => Answer::Ready(Err(panicked(&import.name, panic))),
        }
    }
}

/// The future of a function, whose panics end with it: when it is polled, and when it is dropped.
struct Contained<O> {
    import: Arc<HostImport>,
    /// `None` when it has ended.
    future: Option<Pin<Box<O>>>,
}

impl<O, R, E> Future for Contained<O>
where
    O: Future<Output = Result<R, E>>,
    R: Serialize,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Encoded;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Encoded> {
        let this = self.get_mut();
        let (import, future) = (&this.import, &mut this.future);
        let future = future.as_mut().expect("it is not polled after its end");
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let returned = future.as_mut().poll(context);
            returned.map(|returned| encode(import, returned))
        }));
        let ended = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(encoded)) => encoded,
            Err(panic) => Err(panicked(&import.name, panic)),
        };
        contain_panic(|| drop(this.future.take()));
        Poll::Ready(ended)
    }
}

impl<O> Drop for Contained<O> {
    fn drop(&mut self) {
        contain_panic(|| drop(self.future.take()));
    }
}

fn check<A: HostArguments, R: Serialize + DeserializeOwned>(
    import: &HostImport,
    samples: &mut SampleBudget,
) -> Result<(), String> {
    let n_params = import.signature.params.len();
    if let Some(expected) = A::ARITY
        && expected != n_params
    {
        return Err(format!(
            "the function of the host takes {expected} arguments, and the import {n_params}"
        ));
    }
    if n_params > 0 {
        value::takes_arguments::<A>(&import.arguments, samples)
            .map_err(|problem| format!("its arguments do not fit: {problem}"))?;
    }
    let result = import.signature.result.as_ref();
    value::gives_result::<R>(result, samples)
        .map_err(|problem| format!("its result does not fit: {problem}"))
}

fn decode<A: HostArguments>(
    call: &HostCall,
    import: &HostImport,
    wire: Vec<u8>,
) -> Result<A, Failed> {
    let limit = call.control.limits().decoded();
    let decoded = value::decode_arguments(&import.arguments, &wire, limit);
    decoded.map_err(|problem| Failed::with_arguments(&import.name, &problem))
}

fn encode<R, E>(import: &HostImport, returned: Result<R, E>) -> Encoded
where
    R: Serialize,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let value = returned.map_err(|error| {
        let error: Box<dyn Error + Send + Sync> = error.into();
        Failed::with_error(&import.name, &*error)
    })?;
    let encoded = value::encode_result(import.signature.result.as_ref(), &value);
    encoded.map_err(|error| Failed::with_result(import, &error.to_string()))
}

fn panicked(name: &FunctionName, panic: Box<dyn Any + Send>) -> Failed {
    let failed = Failed::with_panic(name, panic_text(&*panic));
    // Dropping the payload may panic too.
    std::mem::forget(panic);
    failed
}
