//! Functions of the embedder for guests: lifts the arguments that a guest passes to the wire form, and
//! lowers the result from it.
//!
//! wasmtime reads the parameters of a host function as core values, as many as the static type of its
//! arguments has. So there is such a type for each number of core values, and one for each of the two
//! forms of a result.

use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{
    Accessor, ComponentNamedList, ComponentType, Lift, LinkerInstance, Lower,
};
use wasmtime::{Result, StoreContextMut, ValRaw, bail};

use super::flat_count;
use super::lift::{self, MAX_FLAT_RESULTS};
use super::lower::{self, MAX_FLAT_PARAMS};
use crate::sandbox::host::BoundFunction;
use crate::sandbox::store::State;
use crate::sync::Arc;
use crate::value::Signature;
use std::mem::MaybeUninit;

/// The arguments of a call in the wire form, as one array. In the guest they are `N` core values, or
/// lie in memory.
struct HostArguments<const N: usize>(Vec<u8>);

/// The result of a call in the wire form. For the guest it is `N` core values, or lies in memory.
struct HostOutcome<const N: usize>(Vec<u8>);

// SAFETY: `Lower` is an array of `ValRaw`. `ABI` is used only for arguments in memory: its size of
// zero makes `lift` get no bytes, only where they begin.
#[allow(unsafe_code)]
unsafe impl<const N: usize> ComponentType for HostArguments<N> {
    type Lower = [ValRaw; N];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_params: &InterfaceType, _types: &InstanceType<'_>) -> Result<()> {
        // Every type fits: lifting follows the type of the function.
        Ok(())
    }
}

// SAFETY: see `ComponentType` and `Lift`.
#[allow(unsafe_code)]
unsafe impl<const N: usize> ComponentNamedList for HostArguments<N> {}

// SAFETY: `source` is read by the type of the parameters, and memory through bounds-checked slices.
#[allow(unsafe_code)]
unsafe impl<const N: usize> Lift for HostArguments<N> {
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        params: InterfaceType,
        source: &[ValRaw; N],
    ) -> Result<Self> {
        lift::flat_arguments(context, params, source).map(Self)
    }

    fn linear_lift_from_memory(
        context: &mut LiftContext<'_>,
        params: InterfaceType,
        bytes: &[u8],
    ) -> Result<Self> {
        // They are at the beginning of `bytes`, which has none of them: see `ABI`.
        let address = lift::address_of(context, bytes);
        lift::arguments_in_memory(context, params, address).map(Self)
    }
}

// SAFETY: `Lower` is an array of `ValRaw`. `ABI` is not used: results are lowered to core values, or
// to a place whose size wasmtime takes from the type of the function.
#[allow(unsafe_code)]
unsafe impl<const N: usize> ComponentType for HostOutcome<N> {
    type Lower = [ValRaw; N];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_results: &InterfaceType, _types: &InstanceType<'_>) -> Result<()> {
        // Every type fits: lowering follows the type of the function.
        Ok(())
    }
}

// SAFETY: see `ComponentType` and `Lower`.
#[allow(unsafe_code)]
unsafe impl<const N: usize> ComponentNamedList for HostOutcome<N> {}

// SAFETY: all of `target` is initialized. `lower` then sets values by the type of the result. Memory
// is written through bounds-checked slices.
#[allow(unsafe_code)]
unsafe impl<const N: usize> Lower for HostOutcome<N> {
    fn linear_lower_to_flat<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        results: InterfaceType,
        target: &mut MaybeUninit<[ValRaw; N]>,
    ) -> Result<()> {
        let values = target.write([ValRaw::i64(0); N]);
        lower::flat_result(context, results, &self.0, values)
    }

    fn linear_lower_to_memory<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        results: InterfaceType,
        address: usize,
    ) -> Result<()> {
        lower::result_to_memory(context, results, &self.0, address)
    }
}

/// Defines a function in an instance of a linker.
pub(crate) fn define(
    instance: &mut LinkerInstance<'_, State>,
    function: Arc<BoundFunction>,
) -> Result<()> {
    let Signature { params, result } = &function.import.signature;
    let params = params.iter().map(|(_, ty)| flat_count(ty)).sum::<usize>();
    // Those in memory are no core values.
    let params = Some(params).filter(|&count| count <= MAX_FLAT_PARAMS);
    let result = result.as_ref().map_or(0, flat_count);
    macro_rules! with_so_many {
        ($($count:literal)*) => {
            match (params.unwrap_or(0), result.min(MAX_FLAT_RESULTS)) {
                $(
                    ($count, 0) => wrap::<$count, 0>(instance, function),
                    ($count, _) => wrap::<$count, 1>(instance, function),
                )*
                _ => bail!("too many parameters"),
            }
        };
    }
    with_so_many!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

fn wrap<const PARAMS: usize, const RESULTS: usize>(
    instance: &mut LinkerInstance<'_, State>,
    function: Arc<BoundFunction>,
) -> Result<()> {
    let name = function.import.name.function.clone();
    if function.import.is_async {
        return instance.func_wrap_concurrent(
            &name,
            move |accessor: &Accessor<State>, HostArguments::<PARAMS>(arguments)| {
                let called = accessor.with(|mut store| function.call(store.data_mut(), arguments));
                Box::pin(async move { Ok(HostOutcome::<RESULTS>(called?.encoded().await?)) })
            },
        );
    }
    instance.func_wrap_async(
        &name,
        move |mut store: StoreContextMut<'_, State>, HostArguments::<PARAMS>(arguments)| {
            let called = function.call(store.data_mut(), arguments);
            Box::new(async move { Ok(HostOutcome::<RESULTS>(called?.encoded().await?)) })
        },
    )
}
