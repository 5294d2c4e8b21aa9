//! The engines of a pool, each with what its guests may call: one for most modules, and one for
//! components that use the asynchronous part of the component model.
//!
//! An engine that supports the second kind makes each call of the first kind dearer. So there are
//! two, and the second one is made when it is first needed.

use wasmtime::Engine;

use super::engine::{self, EngineSettings};
use super::host::HostFunctions;
use super::linkers::Linkers;
use crate::call::Allocation;
use crate::error::LoadError;
use crate::sync::OnceLock;

/// An engine, and what guests on it may call.
pub(super) struct Linked {
    pub(super) engine: Engine,
    pub(super) linkers: Linkers,
}

/// Whether a component needs an engine on which several of its functions can be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Most modules do not.
    Plain,
    /// It has asynchronous functions, futures or streams.
    Concurrency,
}

pub(super) struct Engines {
    plain: Linked,
    concurrent: OnceLock<Result<Linked, String>>,
    settings: EngineSettings,
    /// What a memory reserves, if memories are not pooled.
    reservation: Option<u64>,
}

impl Engines {
    /// `allocation` is where the memory of the `plain` engine comes from.
    pub(super) fn new(
        plain: Engine,
        settings: EngineSettings,
        allocation: &Allocation,
        host_functions: HostFunctions,
    ) -> wasmtime::Result<Self> {
        let reservation = match allocation {
            Allocation::Pooled { .. } => None,
            Allocation::OnDemand { reservation, .. } => Some(*reservation),
        };
        Ok(Self {
            plain: Linked {
                linkers: Linkers::new(&plain, host_functions)?,
                engine: plain,
            },
            concurrent: OnceLock::new(),
            settings,
            reservation,
        })
    }

    /// The engine for most modules.
    pub(super) fn plain(&self) -> &Linked {
        &self.plain
    }

    /// The engine for a component with these needs. Made by the first such component, which takes a
    /// millisecond.
    pub(super) fn of(&self, needs: Needs) -> Result<&Linked, LoadError> {
        match needs {
            Needs::Plain => Ok(&self.plain),
            Needs::Concurrency => {
                let concurrent = self.concurrent.get_or_init(|| self.make_concurrent());
                concurrent.as_ref().map_err(|problem| {
                    LoadError::Unsupported(format!(
                        "asynchronous functions, futures or streams, for which the engine cannot be \
                         set up: {problem}"
                    ))
                })
            }
        }
    }

    fn make_concurrent(&self) -> Result<Linked, String> {
        let engine = engine::concurrent(self.settings, self.reservation)?;
        let host_functions = self.plain.linkers.host_functions.clone();
        let linkers = Linkers::with_concurrency(&engine, host_functions);
        let linkers = linkers.map_err(|error| format!("{error:#}"))?;
        Ok(Linked { engine, linkers })
    }

    /// Those that were made so far.
    pub(super) fn all(&self) -> impl Iterator<Item = &Engine> {
        let concurrent = self.concurrent.get().and_then(|made| made.as_ref().ok());
        let concurrent = concurrent.map(|linked| &linked.engine);
        [&self.plain.engine].into_iter().chain(concurrent)
    }
}
