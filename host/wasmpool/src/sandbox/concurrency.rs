//! Whether a component uses the asynchronous part of the component model: asynchronous functions,
//! futures and streams. Read from its bytes, since it decides which engine compiles them.

use wasmparser::{
    CanonicalFunction, CanonicalOption, Chunk, ComponentDefinedType, ComponentType,
    ComponentTypeDeclaration, InstanceTypeDeclaration, Parser, Payload,
};

/// False if its bytes are invalid: the compiler reports that.
pub(super) fn is_used(component: &[u8]) -> bool {
    find(component).unwrap_or(false)
}

fn find(mut rest: &[u8]) -> wasmparser::Result<bool> {
    // A component may have others inside of it. Core modules are passed over: they have the code.
    let (mut parser, mut outer) = (Parser::new(0), Vec::new());
    loop {
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
            return Ok(false);
        };
        rest = &rest[consumed..];
        match payload {
            Payload::ModuleSection {
                unchecked_range, ..
            } => rest = rest.get(unchecked_range.len()..).unwrap_or_default(),
            Payload::ComponentSection { parser: inner, .. } => {
                outer.push(std::mem::replace(&mut parser, inner));
            }
            Payload::ComponentTypeSection(types) => {
                for ty in types {
                    if is_asynchronous(&ty?) {
                        return Ok(true);
                    }
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                for function in functions {
                    if is_built_in(&function?) {
                        return Ok(true);
                    }
                }
            }
            Payload::End(_) => match outer.pop() {
                Some(parent) => parser = parent,
                None => return Ok(false),
            },
            _ => {}
        }
    }
}

fn is_asynchronous(ty: &ComponentType<'_>) -> bool {
    match ty {
        ComponentType::Defined(ty) => matches!(
            ty,
            ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_)
        ),
        ComponentType::Func(function) => function.async_,
        ComponentType::Component(declarations) => declarations.iter().any(|declaration| {
            matches!(declaration, ComponentTypeDeclaration::Type(ty) if is_asynchronous(ty))
        }),
        ComponentType::Instance(declarations) => declarations.iter().any(|declaration| {
            matches!(declaration, InstanceTypeDeclaration::Type(ty) if is_asynchronous(ty))
        }),
        ComponentType::Resource { .. } => false,
    }
}

/// Whether it is a function of the component model itself that is about asynchronous calls, or lifts
/// or lowers a function for these.
fn is_built_in(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.contains(&CanonicalOption::Async)
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        _ => true,
    }
}
