//! Converts core values and the guest's memory to the wire form, within the limits of the call.
//!
//! The result of a call, and the arguments of a host function.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::slice::Iter;

use rmp::{Marker, encode};
use wasmtime::component::__internal::wasmtime_environ::component::{StringEncoding, VariantInfo};
use wasmtime::component::__internal::{
    CanonicalAbiInfo, ComponentTypes, InstanceType, InterfaceType, LiftContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift};
use wasmtime::{Result, ValRaw, bail, format_err};

use super::lower::MAX_FLAT_PARAMS;
use super::size;
use crate::call::Control;
use crate::sandbox::store::Stopped;
use crate::sync::Arc;

/// How many core values the result of a call may have. A result with more is in memory. This is
/// `MAX_FLAT_RESULTS` of the canonical ABI.
pub(super) const MAX_FLAT_RESULTS: usize = 1;

/// The result of a call. It is an error if the function's own result is one.
pub(crate) struct Outcome(pub(in crate::sandbox) Result<Vec<u8>, Vec<u8>>);

// SAFETY: `Lower` is a `ValRaw`. `ABI` is used only if the flat form has more than
// `MAX_FLAT_RESULTS` values. It has one: the value, or its address.
#[allow(unsafe_code)]
unsafe impl ComponentType for Outcome {
    type Lower = ValRaw;

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_results: &InterfaceType, _types: &InstanceType<'_>) -> Result<()> {
        // Every type fits: lifting follows the type of the function.
        Ok(())
    }
}

// SAFETY: see `ComponentType` and `Lift`.
#[allow(unsafe_code)]
unsafe impl ComponentNamedList for Outcome {}

// SAFETY: `source` is read by the type of the results, and memory through bounds-checked slices.
#[allow(unsafe_code)]
unsafe impl Lift for Outcome {
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        results: InterfaceType,
        source: &ValRaw,
    ) -> Result<Self> {
        let Some((result, abi)) = result_type(context, results)? else {
            return Ok(Self(Ok(nil())));
        };
        if abi.flat_count(MAX_FLAT_RESULTS).is_some() {
            let value = in_memory_form(context.types, result, source)?;
            return lift_result(context, result, &value[..size(abi)]).map(Self);
        }
        let bytes = memory(context, source.get_u32(), size(abi), abi.align32)?;
        lift_result(context, result, bytes).map(Self)
    }

    fn linear_lift_from_memory(
        _context: &mut LiftContext<'_>,
        _results: InterfaceType,
        _bytes: &[u8],
    ) -> Result<Self> {
        bail!("results are always lifted from core values")
    }
}

/// The result of an asynchronous function, as [`Outcome`]. It is `N` core values: as many as the value
/// has, or its address if that is more than a function may have parameters, since such a function
/// passes its result to the host as arguments.
pub(super) struct AsyncOutcome<const N: usize>(pub(super) Outcome);

// SAFETY: `Lower` is an array of `ValRaw`. `ABI` is used only for a result in memory, which a function
// that is synchronous inside has: its size of zero makes `lift` get no bytes, only where they begin.
#[allow(unsafe_code)]
unsafe impl<const N: usize> ComponentType for AsyncOutcome<N> {
    type Lower = [ValRaw; N];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_results: &InterfaceType, _types: &InstanceType<'_>) -> Result<()> {
        // Every type fits: lifting follows the type of the function.
        Ok(())
    }
}

// SAFETY: see `ComponentType` and `Lift`.
#[allow(unsafe_code)]
unsafe impl<const N: usize> ComponentNamedList for AsyncOutcome<N> {}

// SAFETY: `source` is read by the type of the results, and memory through bounds-checked slices.
#[allow(unsafe_code)]
unsafe impl<const N: usize> Lift for AsyncOutcome<N> {
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        results: InterfaceType,
        source: &[ValRaw; N],
    ) -> Result<Self> {
        let Some((result, abi)) = result_type(context, results)? else {
            return Ok(Self(Outcome(Ok(nil()))));
        };
        if abi.flat_count(MAX_FLAT_PARAMS).is_some() {
            return Ok(Self(Outcome(lift_flat_result(context, result, source)?)));
        }
        let address = next(&mut source.iter())?.get_u32();
        let bytes = memory(context, address, size(abi), abi.align32)?;
        Ok(Self(Outcome(lift_result(context, result, bytes)?)))
    }

    fn linear_lift_from_memory(
        context: &mut LiftContext<'_>,
        results: InterfaceType,
        bytes: &[u8],
    ) -> Result<Self> {
        let Some((result, abi)) = result_type(context, results)? else {
            bail!("no result lies in memory");
        };
        let address = u32::try_from(address_of(context, bytes))?;
        let bytes = memory(context, address, size(abi), abi.align32)?;
        Ok(Self(Outcome(lift_result(context, result, bytes)?)))
    }
}

/// The type of the only result, and its form in memory. `None` if there is no result.
fn result_type<'a>(
    context: &LiftContext<'a>,
    results: InterfaceType,
) -> Result<Option<(InterfaceType, &'a CanonicalAbiInfo)>> {
    let InterfaceType::Tuple(index) = results else {
        bail!("the results of a function are a tuple");
    };
    let types: &'a ComponentTypes = context.types;
    let results = &types[index];
    Ok(results.types.first().map(|&result| (result, &results.abi)))
}

/// Where `bytes` of the guest's memory begin in it. There may be none.
pub(super) fn address_of(context: &LiftContext<'_>, bytes: &[u8]) -> usize {
    let memory = context.memory().as_ptr() as usize;
    (bytes.as_ptr() as usize).wrapping_sub(memory)
}

thread_local! {
    /// The bounds of what this thread lifts next: the result of a call, or the arguments of a host
    /// function. A thread-local, since wasmtime passes no state of the caller to `Lift`. Set while
    /// the call of a function is polled, and any call of a component that imports host functions.
    static BOUNDS: RefCell<Option<Bounds>> = const { RefCell::new(None) };
}

/// The bounds of a value while it is lifted. The size of the guest's memory is no bound: a list of
/// bytes that are each nested in ninety tuples is ninety times as large on the wire.
#[derive(Clone)]
struct Bounds {
    /// The limit for its size on the wire, in bytes.
    payload_limit: usize,
    control: Arc<Control>,
}

/// Polls `call`, within bounds for what it lifts. It is pinned by the caller, so that it
/// lies in the caller's future only.
pub(crate) async fn bounded<T>(
    payload_limit: usize,
    control: &Arc<Control>,
    mut call: Pin<&mut impl Future<Output = T>>,
) -> T {
    poll_fn(|context| {
        let control = Arc::clone(control);
        BOUNDS.set(Some(Bounds {
            payload_limit,
            control,
        }));
        let _reset = ResetBounds;
        call.as_mut().poll(context)
    })
    .await
}

/// Clears the bounds at the end of a poll: the next poll may be on another thread.
struct ResetBounds;

impl Drop for ResetBounds {
    fn drop(&mut self) {
        BOUNDS.take();
    }
}

/// What is lifted is over the payload limit.
#[derive(Debug, thiserror::Error)]
#[error("{what} over the payload limit of {limit} bytes")]
pub(crate) struct PayloadLimitReached {
    what: &'static str,
    limit: usize,
}

/// How the error about a result begins.
const THE_RESULT_IS: &str = "the result is";

impl PayloadLimitReached {
    pub(super) fn of_result(limit: usize) -> Self {
        let what = THE_RESULT_IS;
        Self { what, limit }
    }
}

/// The part of a result, or of arguments, that has been lifted to the wire.
struct Wire {
    bytes: Vec<u8>,
    bounds: Bounds,
    what: &'static str,
    /// Values since the last check of the stop request.
    n_unchecked: u32,
}

/// The stop request is checked once in so many values: a check costs as much as a value.
const CHECK_AFTER: u32 = 1 << 12;

impl Wire {
    /// For the result of a call.
    fn of_result() -> Result<Self> {
        let bounds = BOUNDS.with_borrow(Clone::clone);
        Self::new(THE_RESULT_IS, bounds)
    }

    /// For the arguments of a host function, of which a call may call many.
    fn of_arguments() -> Result<Self> {
        let bounds = BOUNDS.with_borrow(Clone::clone);
        Self::new("the arguments of a host function are", bounds)
    }

    fn new(what: &'static str, bounds: Option<Bounds>) -> Result<Self> {
        let bounds = bounds.ok_or_else(|| format_err!("a value outside of a call"))?;
        Ok(Self {
            bytes: Vec::new(),
            bounds,
            what,
            n_unchecked: 0,
        })
    }

    /// Admits another value of at least `size` bytes. To be called before it is written.
    fn admit(&mut self, size: usize) -> Result<()> {
        let limit = self.bounds.payload_limit;
        if size > limit.saturating_sub(self.bytes.len()) {
            let what = self.what;
            bail!(PayloadLimitReached { what, limit });
        }
        self.n_unchecked += 1;
        if self.n_unchecked == CHECK_AFTER {
            self.n_unchecked = 0;
            if self.bounds.control.is_forced() {
                bail!(Stopped);
            }
        }
        Ok(())
    }
}

/// Lifts the result of a function. The outcome is an error if the result is the error case of a
/// `result`.
fn lift_result(
    context: &mut LiftContext<'_>,
    ty: InterfaceType,
    bytes: &[u8],
) -> Result<Result<Vec<u8>, Vec<u8>>> {
    let mut wire = Wire::of_result()?;
    let InterfaceType::Result(index) = ty else {
        lift(context, ty, bytes, &mut wire)?;
        return Ok(Ok(wire.bytes));
    };
    let types: &ComponentTypes = context.types;
    let result = &types[index];
    let case = read_discriminant(&result.info, 2, bytes)?;
    match if case == 0 { result.ok } else { result.err } {
        Some(ty) => {
            let payload = payload(types, &result.info, ty, bytes);
            lift(context, ty, payload, &mut wire)?;
        }
        None => wire.bytes = nil(),
    }
    Ok(if case == 0 {
        Ok(wire.bytes)
    } else {
        Err(wire.bytes)
    })
}

/// The same from core values.
fn lift_flat_result(
    context: &mut LiftContext<'_>,
    ty: InterfaceType,
    values: &[ValRaw],
) -> Result<Result<Vec<u8>, Vec<u8>>> {
    let mut wire = Wire::of_result()?;
    let mut values = values.iter();
    let InterfaceType::Result(index) = ty else {
        lift_flat(context, ty, &mut values, &mut wire)?;
        return Ok(Ok(wire.bytes));
    };
    let result = &context.types[index];
    let case = flat_case(next(&mut values)?, 2)?;
    match if case == 0 { result.ok } else { result.err } {
        Some(ty) => lift_flat(context, ty, &mut values, &mut wire)?,
        None => wire.bytes = nil(),
    }
    Ok(if case == 0 {
        Ok(wire.bytes)
    } else {
        Err(wire.bytes)
    })
}

/// Lifts the arguments of a host function from core values.
pub(super) fn flat_arguments(
    context: &mut LiftContext<'_>,
    params: InterfaceType,
    values: &[ValRaw],
) -> Result<Vec<u8>> {
    let mut wire = Wire::of_arguments()?;
    lift_flat(context, params, &mut values.iter(), &mut wire)?;
    Ok(wire.bytes)
}

/// Lifts the arguments of a host function from the guest's memory.
pub(super) fn arguments_in_memory(
    context: &mut LiftContext<'_>,
    params: InterfaceType,
    address: usize,
) -> Result<Vec<u8>> {
    let mut wire = Wire::of_arguments()?;
    let abi = context.types.canonical_abi(&params);
    let bytes = memory(context, u32::try_from(address)?, size(abi), abi.align32)?;
    lift(context, params, bytes, &mut wire)?;
    Ok(wire.bytes)
}

/// Writes the value of the type `ty` that the next core values are to the wire.
fn lift_flat(
    context: &mut LiftContext<'_>,
    ty: InterfaceType,
    values: &mut Iter<'_, ValRaw>,
    wire: &mut Wire,
) -> Result<()> {
    let types: &ComponentTypes = context.types;
    match ty {
        InterfaceType::String | InterfaceType::List(_) => {
            let (address, len) = (next(values)?.get_u32(), next(values)?.get_u32());
            let pair = u64::from(address) | u64::from(len) << 32;
            lift(context, ty, &pair.to_le_bytes(), wire)
        }
        InterfaceType::Record(index) => {
            let fields = &types[index].fields;
            wire.admit(1)?;
            write_array(&mut wire.bytes, fields.len())?;
            let mut fields = fields.iter();
            fields.try_for_each(|field| lift_flat(context, field.ty, values, wire))
        }
        InterfaceType::Tuple(index) => {
            let fields = &types[index].types;
            wire.admit(1)?;
            write_array(&mut wire.bytes, fields.len())?;
            let mut fields = fields.iter();
            fields.try_for_each(|ty| lift_flat(context, *ty, values, wire))
        }
        InterfaceType::Flags(index) => {
            let n_flags = types[index].names.len();
            let mut words = Vec::new();
            for _ in 0..n_flags.div_ceil(32) {
                words.extend_from_slice(&next(values)?.get_u32().to_le_bytes());
            }
            wire.admit(1)?;
            write_flags(n_flags, &words, &mut wire.bytes);
            Ok(())
        }
        InterfaceType::Enum(index) => {
            let case = flat_case(next(values)?, types[index].names.len())?;
            wire.admit(1)?;
            written(encode::write_uint(&mut wire.bytes, case as u64));
            Ok(())
        }
        InterfaceType::Option(index) => {
            let payload = types[index].ty;
            let rest = flat_rest(types, &ty, values)?;
            let case = flat_case(next(values)?, 2)?;
            wire.admit(1)?;
            if case == 0 {
                wire.bytes.push(Marker::Null.to_u8());
            } else {
                written(encode::write_array_len(&mut wire.bytes, 1));
                lift_flat(context, payload, values, wire)?;
            }
            skip_to(rest, values);
            Ok(())
        }
        InterfaceType::Variant(index) => {
            let cases = &types[index].cases;
            let rest = flat_rest(types, &ty, values)?;
            let case = flat_case(next(values)?, cases.len())?;
            lift_flat_case(context, (case, cases[case]), values, wire)?;
            skip_to(rest, values);
            Ok(())
        }
        InterfaceType::Result(index) => {
            let result = &types[index];
            let rest = flat_rest(types, &ty, values)?;
            let case = flat_case(next(values)?, 2)?;
            let payload = if case == 0 { result.ok } else { result.err };
            lift_flat_case(context, (case, payload), values, wire)?;
            skip_to(rest, values);
            Ok(())
        }
        scalar => {
            let bytes = in_memory_form(types, scalar, next(values)?)?;
            let bytes = &bytes[..size(types.canonical_abi(&scalar))];
            wire.admit(1)?;
            write_scalar(scalar, bytes, &mut wire.bytes)
        }
    }
}

/// Lifts a case of a variant with its payload, if it has one. All payloads begin with the first core
/// value after the case. A value that several share has the payload in its lower bits.
fn lift_flat_case(
    context: &mut LiftContext<'_>,
    (case, ty): (usize, Option<InterfaceType>),
    values: &mut Iter<'_, ValRaw>,
    wire: &mut Wire,
) -> Result<()> {
    wire.admit(1)?;
    write_array(&mut wire.bytes, 1 + usize::from(ty.is_some()))?;
    written(encode::write_uint(&mut wire.bytes, case as u64));
    ty.map_or(Ok(()), |ty| lift_flat(context, ty, values, wire))
}

fn next<'v>(values: &mut Iter<'v, ValRaw>) -> Result<&'v ValRaw> {
    values.next().ok_or_else(|| format_err!("too few values"))
}

fn flat_case(value: &ValRaw, n_cases: usize) -> Result<usize> {
    let case = value.get_u32() as usize;
    match case < n_cases {
        true => Ok(case),
        false => bail!("an unknown case of a variant"),
    }
}

/// How many core values come after a variant of this type, whatever its case is.
fn flat_rest(
    types: &ComponentTypes,
    ty: &InterfaceType,
    values: &Iter<'_, ValRaw>,
) -> Result<usize> {
    let count = types.canonical_abi(ty).flat_count(MAX_FLAT_PARAMS);
    let rest = count.and_then(|count| values.len().checked_sub(count));
    rest.ok_or_else(|| format_err!("too few values"))
}

fn skip_to(rest: usize, values: &mut Iter<'_, ValRaw>) {
    while values.len() > rest {
        values.next();
    }
}

/// Writes the value of the type `ty` that `bytes` holds to the wire.
fn lift(
    context: &mut LiftContext<'_>,
    ty: InterfaceType,
    bytes: &[u8],
    wire: &mut Wire,
) -> Result<()> {
    let types: &ComponentTypes = context.types;
    wire.admit(1)?;
    match ty {
        InterfaceType::String => lift_text(context, bytes, wire),
        InterfaceType::List(index) => lift_list(context, types[index].element, bytes, wire),
        InterfaceType::Record(index) => {
            let fields = types[index].fields.iter().map(|field| field.ty);
            lift_each(context, fields, bytes, wire)
        }
        InterfaceType::Tuple(index) => {
            lift_each(context, types[index].types.iter().copied(), bytes, wire)
        }
        InterfaceType::Flags(index) => {
            write_flags(types[index].names.len(), bytes, &mut wire.bytes);
            Ok(())
        }
        InterfaceType::Enum(index) => {
            let names = &types[index];
            let case = read_discriminant(&names.info, names.names.len(), bytes)?;
            written(encode::write_uint(&mut wire.bytes, case as u64));
            Ok(())
        }
        InterfaceType::Option(index) => {
            let option = &types[index];
            if read_discriminant(&option.info, 2, bytes)? == 0 {
                wire.bytes.push(Marker::Null.to_u8());
                return Ok(());
            }
            written(encode::write_array_len(&mut wire.bytes, 1));
            let payload = payload(types, &option.info, option.ty, bytes);
            lift(context, option.ty, payload, wire)
        }
        InterfaceType::Variant(index) => {
            let variant = &types[index];
            let case = read_discriminant(&variant.info, variant.cases.len(), bytes)?;
            lift_case(
                context,
                &variant.info,
                (case, variant.cases[case]),
                bytes,
                wire,
            )
        }
        InterfaceType::Result(index) => {
            let result = &types[index];
            let case = read_discriminant(&result.info, 2, bytes)?;
            let payload = if case == 0 { result.ok } else { result.err };
            lift_case(context, &result.info, (case, payload), bytes, wire)
        }
        scalar => write_scalar(scalar, bytes, &mut wire.bytes),
    }
}

/// Lifts the fields of a record or a tuple.
fn lift_each(
    context: &mut LiftContext<'_>,
    fields: impl ExactSizeIterator<Item = InterfaceType>,
    bytes: &[u8],
    wire: &mut Wire,
) -> Result<()> {
    write_array(&mut wire.bytes, fields.len())?;
    let mut end = 0;
    for ty in fields {
        let abi = context.types.canonical_abi(&ty);
        let start = abi.next_field32_size(&mut end);
        lift(context, ty, &bytes[start..][..size(abi)], wire)?;
    }
    Ok(())
}

/// Lifts a case of a variant with its payload, if it has one.
fn lift_case(
    context: &mut LiftContext<'_>,
    info: &VariantInfo,
    (case, ty): (usize, Option<InterfaceType>),
    bytes: &[u8],
    wire: &mut Wire,
) -> Result<()> {
    write_array(&mut wire.bytes, 1 + usize::from(ty.is_some()))?;
    written(encode::write_uint(&mut wire.bytes, case as u64));
    ty.map_or(Ok(()), |ty| {
        lift(context, ty, payload(context.types, info, ty, bytes), wire)
    })
}

fn lift_text(context: &mut LiftContext<'_>, bytes: &[u8], wire: &mut Wire) -> Result<()> {
    if context.options().string_encoding != StringEncoding::Utf8 {
        let text = String::linear_lift_from_memory(context, InterfaceType::String, bytes)?;
        wire.admit(text.len())?;
        written(encode::write_str(&mut wire.bytes, &text));
        return Ok(());
    }
    let (address, len) = pointer_pair(bytes);
    let text = memory(context, address, len as usize, 1)?;
    context.consume_fuel(text.len())?;
    wire.admit(text.len())?;
    written(encode::write_str(
        &mut wire.bytes,
        std::str::from_utf8(text)?,
    ));
    Ok(())
}

fn lift_list(
    context: &mut LiftContext<'_>,
    element: InterfaceType,
    bytes: &[u8],
    wire: &mut Wire,
) -> Result<()> {
    let abi = context.types.canonical_abi(&element);
    let (size, align) = (size(abi), abi.align32);
    let (address, len) = pointer_pair(bytes);
    let n_bytes = (len as usize).checked_mul(size);
    let n_bytes = n_bytes.ok_or_else(|| format_err!("a list that is larger than memory"))?;
    let elements = memory(context, address, n_bytes, align)?;
    // Fuel bounds the copies: any number of lists can have the same elements.
    context.consume_fuel(n_bytes)?;
    if element == InterfaceType::U8 {
        wire.admit(elements.len())?;
        written(encode::write_bin(&mut wire.bytes, elements));
        return Ok(());
    }
    // Each element has at least a byte.
    wire.admit(len as usize)?;
    write_array(&mut wire.bytes, len as usize)?;
    for bytes in elements.chunks_exact(size) {
        lift(context, element, bytes, wire)?;
    }
    Ok(())
}

/// A slice of the guest's memory.
fn memory<'a>(context: &LiftContext<'a>, address: u32, len: usize, align: u32) -> Result<&'a [u8]> {
    if !address.is_multiple_of(align) {
        bail!("a pointer that is not aligned");
    }
    // A guest that returns nothing in memory may have no memory.
    if len == 0 {
        return Ok(&[]);
    }
    let from = context.memory().get(address as usize..);
    let bytes = from.and_then(|memory| memory.get(..len));
    bytes.ok_or_else(|| format_err!("a pointer out of the bounds of memory"))
}

/// The memory form of a value that is a core value.
fn in_memory_form(types: &ComponentTypes, ty: InterfaceType, value: &ValRaw) -> Result<[u8; 8]> {
    let inner = match ty {
        InterfaceType::Record(index) => types[index].fields.first().map(|field| field.ty),
        InterfaceType::Tuple(index) => types[index].types.first().copied(),
        _ => None,
    };
    if let Some(inner) = inner {
        return in_memory_form(types, inner, value);
    }
    let is_case = matches!(
        ty,
        InterfaceType::Enum(_)
            | InterfaceType::Variant(_)
            | InterfaceType::Option(_)
            | InterfaceType::Result(_)
    );
    let bits = match ty {
        InterfaceType::Bool => u64::from(value.get_u32() != 0),
        _ if is_case => {
            let case = u64::from(value.get_u32());
            if case >> (8 * size(types.canonical_abi(&ty))) != 0 {
                bail!("an unknown case of a variant");
            }
            case
        }
        _ => value.get_u64(),
    };
    Ok(bits.to_le_bytes())
}

fn read_discriminant(info: &VariantInfo, n_cases: usize, bytes: &[u8]) -> Result<usize> {
    let case = little_endian(&bytes[..info.size.byte_size() as usize]);
    usize::try_from(case)
        .ok()
        .filter(|&case| case < n_cases)
        .ok_or_else(|| format_err!("an unknown case of a variant"))
}

/// The bytes of a variant's payload.
fn payload<'a>(
    types: &ComponentTypes,
    info: &VariantInfo,
    ty: InterfaceType,
    bytes: &'a [u8],
) -> &'a [u8] {
    &bytes[info.payload_offset32 as usize..][..size(types.canonical_abi(&ty))]
}

fn pointer_pair(bytes: &[u8]) -> (u32, u32) {
    let half = |bytes| u32::try_from(little_endian(bytes)).expect("four bytes");
    (half(&bytes[..4]), half(&bytes[4..8]))
}

fn little_endian(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

fn write_scalar(ty: InterfaceType, bytes: &[u8], wire: &mut Vec<u8>) -> Result<()> {
    let bits = little_endian(bytes);
    let unused = 64 - 8 * bytes.len();
    match ty {
        InterfaceType::Bool => written(encode::write_bool(wire, bits != 0)),
        InterfaceType::Char => {
            let character = u32::try_from(bits).ok().and_then(char::from_u32);
            let character = character.ok_or_else(|| format_err!("an invalid character"))?;
            written(encode::write_str(wire, character.encode_utf8(&mut [0; 4])));
        }
        InterfaceType::S8 | InterfaceType::S16 | InterfaceType::S32 | InterfaceType::S64 => {
            let value = (bits << unused).cast_signed() >> unused;
            written(encode::write_sint(wire, value));
        }
        InterfaceType::U8 | InterfaceType::U16 | InterfaceType::U32 | InterfaceType::U64 => {
            written(encode::write_uint(wire, bits));
        }
        InterfaceType::Float32 => {
            let bits = u32::try_from(bits).expect("four bytes");
            written(encode::write_f32(wire, f32::from_bits(bits)));
        }
        InterfaceType::Float64 => written(encode::write_f64(wire, f64::from_bits(bits))),
        _ => bail!("a value of a type that is not supported"),
    }
    Ok(())
}

/// Writes the indices of the flags that are set.
fn write_flags(n_flags: usize, bytes: &[u8], wire: &mut Vec<u8>) {
    let is_set = |flag: &usize| bytes[flag / 8] >> (flag % 8) & 1 == 1;
    let set = (0..n_flags).filter(is_set).collect::<Vec<_>>();
    write_array(wire, set.len()).expect("there are less than 8,192 flags");
    for flag in set {
        written(encode::write_uint(wire, flag as u64));
    }
}

fn write_array(wire: &mut Vec<u8>, len: usize) -> Result<()> {
    written(encode::write_array_len(wire, u32::try_from(len)?));
    Ok(())
}

fn nil() -> Vec<u8> {
    vec![Marker::Null.to_u8()]
}

/// Writing into memory cannot fail.
fn written<T, E>(result: Result<T, E>) {
    debug_assert!(result.is_ok());
}
