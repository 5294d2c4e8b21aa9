//! A host function as a component imports it, and how a call of it ends.
//!
//! Does not know the types of the function.

use std::error::Error;
use std::pin::Pin;

use super::name::FunctionName;
use crate::error::TaskErrorKind;
use crate::value::{Signature, Type, text};

/// A function of the host that a component imports.
pub(crate) struct HostImport {
    pub(crate) name: FunctionName,
    pub(crate) signature: Signature,
    /// The types of the parameters as one type: what the wire has.
    pub(crate) arguments: Type,
    /// Whether the guest may do something else while it runs.
    pub(crate) is_async: bool,
}

impl HostImport {
    pub(crate) fn new(name: FunctionName, signature: Signature, is_async: bool) -> Self {
        let types = signature.params.iter().map(|(_, ty)| ty.clone());
        Self {
            name,
            arguments: Type::Tuple(types.collect()),
            signature,
            is_async,
        }
    }
}

/// The encoded result of a function, or why there is none.
pub(crate) type Encoded = Result<Vec<u8>, Failed>;

/// What a function answers to a call.
pub(crate) enum Answer {
    Ready(Encoded),
    /// The future does not panic.
    Waits(Pin<Box<dyn Future<Output = Encoded> + Send>>),
}

impl Answer {
    pub(crate) async fn encoded(self) -> wasmtime::Result<Vec<u8>> {
        Ok(match self {
            Self::Ready(encoded) => encoded,
            Self::Waits(future) => future.await,
        }?)
    }
}

/// A host function failed, or does not fit what its guest passed: the end of the task.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failed {
    pub(crate) kind: TaskErrorKind,
    message: String,
}

/// A guest called a host function that it may not call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotGranted {
    #[error(
        "it called the host function `{name}`, which it was not granted; grant it with \
         `Capabilities::host_function`"
    )]
    Function { name: String },
    /// It has no task whose rights it could have.
    #[error(
        "it called the host function `{name}` while it listed its tasks; it may call one in a task or \
         in its initializer"
    )]
    WhileListing { name: String },
}

/// How many causes of an error are told.
const CAUSES: usize = 16;

impl Failed {
    /// The function has returned an error.
    pub(crate) fn with_error(name: &FunctionName, error: &(dyn Error + 'static)) -> Self {
        let mut told = text::message(error);
        let causes = std::iter::successors(error.source(), |&error| error.source());
        for cause in causes.take(CAUSES) {
            let cause = text::message(cause);
            // Some errors have their cause in their own text.
            if !told.ends_with(&cause) {
                told = text::message(format_args!("{told}: {cause}"));
            }
        }
        Self::of_function(format!("the host function `{name}` failed: {told}"))
    }

    pub(crate) fn with_panic(name: &FunctionName, panic: &str) -> Self {
        let panic = text::message(panic);
        Self::of_function(format!("the host function `{name}` panicked: {panic}"))
    }

    fn of_function(message: String) -> Self {
        Self {
            kind: TaskErrorKind::HostFunction,
            message,
        }
    }

    /// The arguments do not fit the function's types.
    pub(crate) fn with_arguments(name: &FunctionName, problem: &str) -> Self {
        Self {
            kind: TaskErrorKind::HostArguments,
            message: format!(
                "the host function `{name}` does not take what the guest passed: {problem}"
            ),
        }
    }

    /// The result does not fit the type of the import.
    pub(crate) fn with_result(import: &HostImport, problem: &str) -> Self {
        let HostImport {
            name, signature, ..
        } = import;
        Self::of_function(text::message(format_args!(
            "the host function `{name}` returned what the guest does not take: {problem}; its type \
             there is `{signature}`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no row")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot look up")]
        Bare(#[source] Inner),
        #[error("cannot look up: {0}")]
        Told(#[source] Inner),
    }

    #[test]
    fn an_error_is_told_with_its_causes_once() {
        let name = FunctionName::parse("a:b/c#f").unwrap();
        for error in [Outer::Bare(Inner), Outer::Told(Inner)] {
            let failed = Failed::with_error(&name, &error);
            let expected = "the host function `a:b/c#f` failed: cannot look up: no row";
            assert_eq!(failed.to_string(), expected);
        }
    }
}
