//! Joins the functions of the embedder with a component that imports them, when it is loaded.
//!
//! A component that imports none keeps the pool's own linker, and pays for none of this.

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker};

use super::functions::{HostFunction, HostFunctions};
use super::import::{Answer, HostImport};
use super::name::{FunctionName, InterfaceName};
use crate::error::{LoadError, UnfitImport};
use crate::sandbox::exports::{self, Budget, Streams};
use crate::sandbox::store::State;
use crate::sandbox::{abi, imports};
use crate::sync::Arc;
use crate::value::{SampleBudget, text};

/// The linker of a component, and the functions of the embedder that it imports.
type Linked = (Linker<State>, Vec<Arc<HostImport>>);

/// A function of the embedder, bound to the import of a component.
pub(crate) struct BoundFunction {
    pub(crate) import: Arc<HostImport>,
    function: Arc<dyn HostFunction>,
}

impl BoundFunction {
    /// Calls the function for the guest with this state. The arguments and the result are encoded.
    pub(crate) fn call(&self, state: &mut State, arguments: Vec<u8>) -> wasmtime::Result<Answer> {
        let call = state.host_call(&self.import.name)?;
        Ok(self.function.call(call, &self.import, arguments))
    }
}

/// Makes a linker for a component that imports functions of the embedder. `None` if it imports none.
///
/// # Errors
///
/// If it imports functions that are not offered, or of other types.
pub(crate) fn link(
    engine: &Engine,
    linker: &Linker<State>,
    offered: &HostFunctions,
    component: &Component,
) -> Result<Option<Linked>, LoadError> {
    let mut wanted = Wanted {
        offered,
        budget: exports::MAX_TYPES,
        samples: SampleBudget::default(),
        bound: Vec::new(),
        missing: Vec::new(),
        unfit: Vec::new(),
    };
    for (name, import) in component.component_type().imports(engine) {
        if imports::is_known(name) {
            continue;
        }
        match import.ty {
            ComponentItem::ComponentFunc(function) => {
                if let Ok(name) = FunctionName::of_import(None, name) {
                    wanted.add(name, &function);
                }
            }
            ComponentItem::ComponentInstance(instance) => {
                if let Ok(interface) = InterfaceName::parse(name)
                    && offered.has_interface(&interface)
                {
                    wanted.add_interface(&interface, &instance, engine);
                }
            }
            _ => {}
        }
    }
    wanted.into_linker(linker)
}

/// What a component wants of the embedder.
struct Wanted<'a> {
    offered: &'a HostFunctions,
    budget: Budget,
    samples: SampleBudget,
    bound: Vec<Arc<BoundFunction>>,
    missing: Vec<String>,
    unfit: Vec<UnfitImport>,
}

impl Wanted<'_> {
    fn add_interface(
        &mut self,
        interface: &InterfaceName,
        instance: &ComponentInstance,
        engine: &Engine,
    ) {
        let mut has_resource = false;
        for (export, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => {
                    let name = FunctionName {
                        interface: Some(interface.clone()),
                        function: export.to_owned(),
                    };
                    self.add(name, &function);
                }
                // The first one says enough.
                ComponentItem::Resource(_) if !has_resource => {
                    has_resource = true;
                    self.unfit.push(UnfitImport {
                        name: interface.to_string(),
                        signature: None,
                        problem: format!(
                            "it has the resource `{}`, and resources cannot be passed between \
                             guests and functions of the host: pass numbers or texts that name \
                             things",
                            text::name(export)
                        ),
                    });
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, name: FunctionName, function: &ComponentFunc) {
        // That it has a resource says enough.
        if name.function.starts_with('[') {
            return;
        }
        let Some(offered) = self.offered.find(&name) else {
            if self.missing.len() < imports::MAX_LISTED {
                self.missing.push(name.to_string());
            }
            return;
        };
        let signature = match exports::signature(function, Streams::Refused, &mut self.budget) {
            Ok(signature) => signature,
            Err(problem) => {
                return self.unfit.push(UnfitImport {
                    name: name.to_string(),
                    signature: None,
                    problem,
                });
            }
        };
        let import = HostImport::new(name, signature, function.async_());
        match offered.function.check(&import, &mut self.samples) {
            Ok(()) => self.bound.push(Arc::new(BoundFunction {
                import: Arc::new(import),
                function: Arc::clone(&offered.function),
            })),
            Err(problem) => self.unfit.push(UnfitImport {
                name: import.name.to_string(),
                signature: Some(import.signature.to_string()),
                problem,
            }),
        }
    }

    fn into_linker(self, linker: &Linker<State>) -> Result<Option<Linked>, LoadError> {
        if !self.missing.is_empty() {
            return Err(LoadError::UnknownImport {
                offered: self.offered.instead_of(&self.missing),
                imports: self.missing,
            });
        }
        if !self.unfit.is_empty() {
            return Err(LoadError::HostFunctions {
                imports: self.unfit,
            });
        }
        if self.bound.is_empty() {
            return Ok(None);
        }
        let mut linker = linker.clone();
        define(&mut linker, &self.bound)
            .map_err(|error| LoadError::WrongTypes(format!("{error:#}")))?;
        let imports = self.bound.iter().map(|bound| Arc::clone(&bound.import));
        Ok(Some((linker, imports.collect())))
    }
}

/// Defines the functions, interface by interface: those of one come one after the other.
fn define(linker: &mut Linker<State>, bound: &[Arc<BoundFunction>]) -> wasmtime::Result<()> {
    let interface = |bound: &Arc<BoundFunction>| bound.import.name.interface.clone();
    for functions in bound.chunk_by(|one, other| interface(one) == interface(other)) {
        let name = interface(&functions[0]).map(|interface| interface.to_string());
        let mut instance = match &name {
            Some(name) => linker.instance(name)?,
            None => linker.root(),
        };
        for function in functions {
            abi::define(&mut instance, Arc::clone(function))?;
        }
    }
    Ok(())
}
