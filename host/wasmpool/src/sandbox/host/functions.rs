//! The functions that an embedder offers to guests, by their names.
//!
//! Does not know how guests reach them, nor who may call them.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::HostCall;
use super::closure::{AsyncFunction, SyncFunction};
use super::import::{Answer, HostImport};
use super::name::{FunctionName, InterfaceName};
use crate::error::HostFunctionError;
use crate::sandbox::imports;
use crate::sync::Arc;
use crate::value::{HostArguments, SampleBudget};

/// Functions of the embedding program that guests may import: Rust closures, by the names of a WIT
/// interface.
///
/// A pool gets them when it is built ([`PoolBuilder::host_functions`]). Any component that it loads
/// may import them. To call them it needs a grant ([`Capabilities::host_function`]).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use wasmpool::{Capabilities, HostCall, HostFunctions, HostResult, Pool};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # #[serde(rename_all = "kebab-case")]
/// # enum Level { Debug, Info, Warning }
///
/// // interface log {
/// //     enum level { debug, info, warning }
/// //     write: func(level: level, message: string);
/// // }
/// let functions = HostFunctions::new()
///     .add(
///         "acme:host/log#write",
///         |call: &HostCall, (_level, message): (Level, String)| -> HostResult<()> {
///             println!("{}: {message}", call.tenant().unwrap_or("somebody"));
///             Ok(())
///         },
///     )?
///     .add_async(
///         "acme:host/log#flush",
///         |_call: HostCall, (): ()| async {
///             tokio::time::sleep(Duration::from_millis(1)).await;
///             HostResult::Ok(())
///         },
///     )?;
/// let pool = Pool::builder().host_functions(functions).build()?;
/// let rights = Capabilities::new().host_function("acme:host/log#write")?;
/// # Ok(())
/// # }
/// ```
///
/// # Names
///
/// A name is that of the import: `acme:host/log#write`, with the version of the package if it has
/// one: `acme:host/log@1.2.0#write`. A name with a version is for imports of compatible versions, by
/// the rules of semantic versions: 1.2.0 for all of 1, 0.2.0 for all of 0.2. An exact match comes
/// first, then the highest version. A name without a version is for imports without one. A function
/// that a component imports by itself, outside of interfaces, has a name without `#`.
///
/// # Types
///
/// Arguments are a tuple, with one element for each parameter, or a `Vec<Value>` for any number of
/// them. Serde types stand for WIT types as in tasks: see [`json_form`](crate::json_form). The
/// closure gets owned values. A WIT `result` is a `Result`, inside of the closure's own:
/// `Ok(Err(...))` is an error that the guest can handle, and `Err(...)` ends its task.
///
/// The types are compared with the import when a module is loaded: sample values of the import's
/// types are read into them, and for a result written again. So it is found whether they have the
/// right kinds, cases and fields. A type that refuses some values of the right kind is not at fault:
/// such a value ends the task of the guest that passes it, and so does a number that is too large for
/// the closure's type ([`HostArguments`](crate::TaskErrorKind::HostArguments)).
///
/// Resources, streams and futures cannot be passed: a module that wants that is refused.
///
/// # Failures
///
/// An error and a panic of a function end the task as
/// [`HostFunction`](crate::TaskErrorKind::HostFunction). Its instance is dropped, as after a trap.
/// Nobody else is affected.
///
/// # Blocking and waiting
///
/// A function of [`add`](Self::add) runs on the worker, and the worker does nothing else meanwhile.
/// If it blocks longer than the task may run, the task ends in time all the same; the thread is given
/// up and replaced, and counts in [`PoolStats::stuck`](crate::PoolStats::stuck) until the function
/// returns. A thread for each of them may be too many: a function that waits belongs into
/// [`add_async`](Self::add_async).
///
/// The future of an async function is polled on workers. While it waits, the task holds no worker
/// ([`TaskState::Suspended`](crate::TaskState::Suspended)); when the task is stopped, the future is
/// dropped. Sockets and timers of tokio work in it, on the pool's own runtime. Tasks that a function
/// spawns there run on the pool's only thread for all waits, so they must neither compute nor block;
/// the end of the pool waits for a poll of them. Its threads for blocking work
/// (`tokio::task::spawn_blocking`, `tokio::fs`, look-ups of names) are those of the files of all
/// guests, 64 of them. A runtime of your own is reached with its `Handle`.
///
/// Functions run on the guest's stack, of which at least 1 MiB is left for them. They may submit
/// tasks to the same pool, which never blocks there. A function that waits for such a task may wait
/// for ever, as a [callback](crate#callbacks) may.
///
/// [`PoolBuilder::host_functions`]: crate::PoolBuilder::host_functions
/// [`Capabilities::host_function`]: crate::Capabilities::host_function
#[derive(Clone, Default)]
#[must_use = "functions do nothing until a pool is built with them"]
pub struct HostFunctions(Vec<Offered>);

/// What a host function returns. Any other `Result` will do whose error can become a boxed one, such
/// as that of `anyhow`.
pub type HostResult<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// An offered function.
#[derive(Clone)]
pub(crate) struct Offered {
    pub(crate) name: FunctionName,
    pub(crate) function: Arc<dyn HostFunction>,
}

/// A function of the embedder, whatever its types.
pub(crate) trait HostFunction: Send + Sync {
    /// Checks that its types fit the import, with samples of its values. The error says what does not.
    fn check(&self, import: &HostImport, samples: &mut SampleBudget) -> Result<(), String>;

    /// Calls it with encoded arguments. Does not panic.
    fn call(&self, call: HostCall, import: &Arc<HostImport>, arguments: Vec<u8>) -> Answer;
}

impl HostFunctions {
    /// No functions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a function that returns without waiting. It runs on the worker of its caller.
    ///
    /// # Errors
    ///
    /// If no component can import the name, the pool provides it itself (WASI, `wasmpool:task`), or
    /// it was added before.
    pub fn add<F, A, R, E>(self, name: &str, function: F) -> Result<Self, HostFunctionError>
    where
        F: Fn(&HostCall, A) -> Result<R, E> + Send + Sync + 'static,
        A: HostArguments,
        R: Serialize + DeserializeOwned + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.with(name, Arc::new(SyncFunction::new(function)))
    }

    /// Offers a function that returns a future. Its task holds no worker while the future waits. If the
    /// guest imports it as an `async func`, it can do something else meanwhile, and call the function
    /// several times at once.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_async<F, A, O, R, E>(
        self,
        name: &str,
        function: F,
    ) -> Result<Self, HostFunctionError>
    where
        F: Fn(HostCall, A) -> O + Send + Sync + 'static,
        A: HostArguments,
        O: Future<Output = Result<R, E>> + Send + 'static,
        R: Serialize + DeserializeOwned + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        self.with(name, Arc::new(AsyncFunction::new(function)))
    }

    fn with(
        mut self,
        text: &str,
        function: Arc<dyn HostFunction>,
    ) -> Result<Self, HostFunctionError> {
        let name = FunctionName::parse(text).map_err(|problem| HostFunctionError::Name {
            name: text.to_owned(),
            problem,
        })?;
        let interface = name.interface.as_ref();
        if interface.is_some_and(|interface| imports::is_reserved(&interface.base)) {
            let name = text.to_owned();
            return Err(HostFunctionError::Provided { name });
        }
        if self.0.iter().any(|offered| offered.name == name) {
            let name = text.to_owned();
            return Err(HostFunctionError::Twice { name });
        }
        self.0.push(Offered { name, function });
        Ok(self)
    }

    /// The names of all functions, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|offered| offered.name.to_string())
    }

    /// The function for an import: of that very name, or else of the highest compatible version.
    pub(crate) fn find(&self, import: &FunctionName) -> Option<&Offered> {
        let fitting = self.0.iter().filter(|offered| offered.name.fits(import));
        fitting.max_by_key(|offered| {
            let numbers = offered.name.version().map(|version| version.numbers());
            (offered.name == *import, numbers)
        })
    }

    /// Whether there is a function for an imported interface.
    pub(crate) fn has_interface(&self, import: &InterfaceName) -> bool {
        let mut interfaces = self
            .0
            .iter()
            .filter_map(|offered| offered.name.interface.as_ref());
        interfaces.any(|interface| interface.fits(import))
    }

    /// What is offered to somebody who asks for these imports in vain: the functions of the same
    /// interfaces, in whichever version, or else all.
    pub(crate) fn instead_of(&self, imports: &[String]) -> Vec<String> {
        let base = |name: &str| {
            let interface = name
                .split_once('#')
                .map_or(name, |(interface, _)| interface);
            interface.split('@').next().unwrap_or_default().to_owned()
        };
        let wanted = imports
            .iter()
            .map(|import| base(import))
            .collect::<Vec<_>>();
        let names = self.names().collect::<Vec<_>>();
        let alike = names.iter().filter(|name| wanted.contains(&base(name)));
        let alike = alike.cloned().collect::<Vec<_>>();
        if alike.is_empty() { names } else { alike }
    }
}

impl fmt::Debug for HostFunctions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}
