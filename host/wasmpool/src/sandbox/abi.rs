//! Between the wire form of values and a guest's memory, along the guest's own types.
//!
//! The wire form is what jobs carry: MessagePack without names, written by `typed` along the
//! same signature. Values go from there straight to where the canonical ABI wants them, and
//! back, with no tree of values in between: a list of bytes is one copy.
//!
//! This implements the traits that wasmtime's own `derive` macros implement, which are public
//! for their sake only. What can be left to wasmtime is: layouts, calls of the guest's
//! allocator, encodings of text.

use std::borrow::Cow;
use std::cell::RefCell;
use std::mem::{self, MaybeUninit};
use std::slice::IterMut;

use rmp::{Marker, decode, encode};
use wasmtime::component::__internal::wasmtime_environ::component::{StringEncoding, VariantInfo};
use wasmtime::component::__internal::{
    CanonicalAbiInfo, ComponentTypes, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};
use wasmtime::{Result, ValRaw, bail, format_err};

use super::store::Stopped;
use crate::call::Control;
use crate::sync::{Arc, Mutex, lock};

/// How many core values the arguments of a call may take; where they take more they go
/// through memory. The canonical ABI's `MAX_FLAT_PARAMS`.
const MAX_FLAT_PARAMS: usize = 16;

/// The same for its result: `MAX_FLAT_RESULTS`.
const MAX_FLAT_RESULTS: usize = 1;

/// The arguments of a call: one array. Lowered once, and dropped when they are: large ones
/// need not lie beside what the guest makes of them. (A mutex, since wasmtime wants `Sync`.)
pub(super) struct LoweredArguments<'a>(Mutex<Cow<'a, [u8]>>);

impl<'a> LoweredArguments<'a> {
    pub(super) fn new(wire: Cow<'a, [u8]>) -> Self {
        Self(Mutex::new(wire))
    }
}

/// The result of a call. It is an error if the function's own result is one.
pub(super) struct Outcome(pub(super) Result<Vec<u8>, Vec<u8>>);

// SAFETY: `Lower` is an array of `ValRaw`. `ABI` would tell the layout in memory; it is used
// only where the flat form has more than `MAX_FLAT_PARAMS` values, and it has that many.
#[allow(unsafe_code)]
unsafe impl ComponentType for LoweredArguments<'_> {
    type Lower = [ValRaw; MAX_FLAT_PARAMS];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_params: &InterfaceType, _types: &InstanceType<'_>) -> Result<()> {
        // Every type fits: what is lowered follows the type that is there.
        Ok(())
    }
}

// SAFETY: see `ComponentType` and `Lower`.
#[allow(unsafe_code)]
unsafe impl ComponentNamedList for LoweredArguments<'_> {}

// SAFETY: all of `target` is initialized. As many values as the parameters take are then set
// by `lower`, each in the form that the type of its parameter asks for; what writes to memory
// does so through bounds-checked slices.
#[allow(unsafe_code)]
unsafe impl Lower for LoweredArguments<'_> {
    fn linear_lower_to_flat<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        params: InterfaceType,
        target: &mut MaybeUninit<Self::Lower>,
    ) -> Result<()> {
        let mut values = target.write([ValRaw::i64(0); MAX_FLAT_PARAMS]).iter_mut();
        let wire = mem::take(&mut *lock(&self.0));
        let mut wire = &*wire;
        let abi = context.types.canonical_abi(&params);
        if abi.flat_count(MAX_FLAT_PARAMS).is_some() {
            return lower(context, params, &mut wire, Place::Flat(&mut values));
        }
        let address = context.realloc(0, 0, abi.align32, size(abi))?;
        lower(context, params, &mut wire, Place::Memory(address))?;
        Place::Flat(&mut values).put(context, address as u64, 4)
    }

    fn linear_lower_to_memory<T>(
        &self,
        _context: &mut LowerContext<'_, T>,
        _params: InterfaceType,
        _address: usize,
    ) -> Result<()> {
        bail!("arguments are always lowered to core values")
    }
}

// SAFETY: `Lower` is a `ValRaw`. `ABI` is used only where the flat form has more than
// `MAX_FLAT_RESULTS` values, and it has one: the value itself, or where it lies.
#[allow(unsafe_code)]
unsafe impl ComponentType for Outcome {
    type Lower = ValRaw;

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_results: &InterfaceType, _types: &InstanceType<'_>) -> Result<()> {
        // Every type fits: what is lifted follows the type that is there.
        Ok(())
    }
}

// SAFETY: see `ComponentType` and `Lift`.
#[allow(unsafe_code)]
unsafe impl ComponentNamedList for Outcome {}

// SAFETY: reads `source` as the type of the results asks for, and memory through
// bounds-checked slices.
#[allow(unsafe_code)]
unsafe impl Lift for Outcome {
    fn linear_lift_from_flat(
        context: &mut LiftContext<'_>,
        results: InterfaceType,
        source: &ValRaw,
    ) -> Result<Self> {
        let types: &ComponentTypes = context.types;
        let InterfaceType::Tuple(index) = results else {
            bail!("the results of a function are a tuple");
        };
        let Some(&result) = types[index].types.first() else {
            return Ok(Self(Ok(nil())));
        };
        let abi = &types[index].abi;
        if abi.flat_count(MAX_FLAT_RESULTS).is_some() {
            let value = in_memory_form(types, result, source)?;
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

thread_local! {
    /// What bounds the result that this thread lifts next: wasmtime hands no state of the
    /// caller's to what lifts. Set for as long as a function is called.
    static BOUNDS: RefCell<Option<Bounds>> = const { RefCell::new(None) };
}

/// What bounds a result while it is lifted. What lies in the guest's memory bounds nothing: a
/// list of a byte each, nested in ninety tuples, is ninety times as large on the wire.
struct Bounds {
    /// Bytes that it may have on the wire.
    payload_limit: usize,
    control: Arc<Control>,
}

/// Bounds results that this thread lifts, until it is dropped.
pub(super) struct Bounded(());

pub(super) fn bound(payload_limit: usize, control: &Arc<Control>) -> Bounded {
    let control = Arc::clone(control);
    BOUNDS.set(Some(Bounds {
        payload_limit,
        control,
    }));
    Bounded(())
}

impl Drop for Bounded {
    fn drop(&mut self) {
        BOUNDS.take();
    }
}

/// A result is larger than a payload may be.
#[derive(Debug, thiserror::Error)]
#[error("the result is over the payload limit of {limit} bytes")]
pub(super) struct PayloadLimitReached {
    limit: usize,
}

/// A result on the wire, as far as it has been lifted.
struct Wire {
    bytes: Vec<u8>,
    bounds: Bounds,
    /// Values since the last look at the stop request.
    n_unlooked: u32,
}

/// After so many values the stop request is looked at: a look costs as much as a value.
const LOOK_AFTER: u32 = 1 << 12;

impl Wire {
    fn new() -> Result<Self> {
        // A call has one result.
        let bounds = BOUNDS.take();
        let bounds = bounds.ok_or_else(|| format_err!("a result that nobody asked for"))?;
        Ok(Self {
            bytes: Vec::new(),
            bounds,
            n_unlooked: 0,
        })
    }

    /// One more value comes, of `size` bytes at the least. To be called before it is written.
    fn admit(&mut self, size: usize) -> Result<()> {
        let limit = self.bounds.payload_limit;
        if size > limit.saturating_sub(self.bytes.len()) {
            bail!(PayloadLimitReached { limit });
        }
        self.n_unlooked += 1;
        if self.n_unlooked == LOOK_AFTER {
            self.n_unlooked = 0;
            if self.bounds.control.is_forced() {
                bail!(Stopped);
            }
        }
        Ok(())
    }
}

/// Where a value goes.
enum Place<'a, 'b> {
    /// Into core values, one after the other.
    Flat(&'a mut IterMut<'b, ValRaw>),
    /// Into the guest's memory, at this address.
    Memory(usize),
}

impl Place<'_, '_> {
    /// Puts down the bits of a core value, of which memory holds the lower `size` bytes.
    fn put<T>(self, context: &mut LowerContext<'_, T>, bits: u64, size: usize) -> Result<()> {
        match self {
            Self::Flat(values) => {
                let value = values
                    .next()
                    .ok_or_else(|| format_err!("too many values"))?;
                *value = ValRaw::u64(bits);
            }
            Self::Memory(address) => {
                let target = &mut context.as_slice_mut()[address..][..size];
                target.copy_from_slice(&bits.to_le_bytes()[..size]);
            }
        }
        Ok(())
    }

    /// Puts down where something lies, and how long it is.
    fn put_pointer_pair<T>(
        self,
        context: &mut LowerContext<'_, T>,
        (address, len): (usize, usize),
    ) -> Result<()> {
        match self {
            Self::Flat(values) => {
                Place::Flat(values).put(context, address as u64, 4)?;
                Place::Flat(values).put(context, len as u64, 4)
            }
            Self::Memory(place) => {
                Place::Memory(place).put(context, address as u64, 4)?;
                Place::Memory(place + 4).put(context, len as u64, 4)
            }
        }
    }
}

/// Takes a value of the type `ty` off the wire and puts it down.
fn lower<T>(
    context: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    wire: &mut &[u8],
    place: Place<'_, '_>,
) -> Result<()> {
    let types = context.types;
    match ty {
        InterfaceType::String => {
            let text = read_text(wire)?;
            match place {
                Place::Flat(values) => {
                    let mut pair = MaybeUninit::uninit();
                    text.linear_lower_to_flat(context, ty, &mut pair)?;
                    // SAFETY: `linear_lower_to_flat` has initialized it if it succeeds.
                    #[allow(unsafe_code)]
                    let pair = unsafe { pair.assume_init() };
                    // In this order: who comes first has taken one too many at the end.
                    for (lowered, value) in pair.into_iter().zip(values) {
                        *value = lowered;
                    }
                    Ok(())
                }
                Place::Memory(address) => text.linear_lower_to_memory(context, ty, address),
            }
        }
        InterfaceType::List(index) => {
            let pair = lower_list(context, types[index].element, wire)?;
            place.put_pointer_pair(context, pair)
        }
        InterfaceType::Record(index) => {
            let fields = types[index].fields.iter().map(|field| field.ty);
            lower_each(context, fields, wire, place)
        }
        InterfaceType::Tuple(index) => {
            lower_each(context, types[index].types.iter().copied(), wire, place)
        }
        InterfaceType::Flags(index) => lower_flags(context, types[index].names.len(), wire, place),
        InterfaceType::Enum(index) => {
            let case = read_integer::<u32>(wire)?;
            place.put(
                context,
                case.into(),
                types[index].info.size.byte_size() as usize,
            )
        }
        InterfaceType::Option(index) => {
            let (info, payload) = (&types[index].info, types[index].ty);
            if wire.first() == Some(&Marker::Null.to_u8()) {
                *wire = &wire[1..];
                return lower_case(context, ty, info, (0, None), wire, place);
            }
            read_array(wire, 1)?;
            lower_case(context, ty, info, (1, Some(payload)), wire, place)
        }
        InterfaceType::Variant(index) => {
            let variant = &types[index];
            let case = read_case(wire)?;
            let payload = variant.cases.get_index(case as usize).ok_or_else(broken)?.1;
            lower_case(context, ty, &variant.info, (case, *payload), wire, place)
        }
        InterfaceType::Result(index) => {
            let result = &types[index];
            let case = read_case(wire)?;
            let payload = if case == 0 { result.ok } else { result.err };
            lower_case(context, ty, &result.info, (case, payload), wire, place)
        }
        scalar => {
            let bits = read_scalar(scalar, wire)?;
            place.put(context, bits, size(types.canonical_abi(&scalar)))
        }
    }
}

/// Lowers the fields of a record or a tuple.
fn lower_each<T>(
    context: &mut LowerContext<'_, T>,
    fields: impl ExactSizeIterator<Item = InterfaceType>,
    wire: &mut &[u8],
    place: Place<'_, '_>,
) -> Result<()> {
    read_array(wire, fields.len())?;
    match place {
        Place::Flat(values) => {
            for ty in fields {
                lower(context, ty, wire, Place::Flat(values))?;
            }
        }
        Place::Memory(mut end) => {
            for ty in fields {
                let abi = context.types.canonical_abi(&ty);
                let address = abi.next_field32_size(&mut end);
                lower(context, ty, wire, Place::Memory(address))?;
            }
        }
    }
    Ok(())
}

/// Lowers a case of a variant of the type `ty`, with the payload that it may have.
fn lower_case<T>(
    context: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    info: &VariantInfo,
    (case, payload): (u32, Option<InterfaceType>),
    wire: &mut &[u8],
    place: Place<'_, '_>,
) -> Result<()> {
    let case_size = info.size.byte_size() as usize;
    match place {
        Place::Flat(values) => {
            let n_values = flat_count(context.types, &ty)?;
            let left = values.len().saturating_sub(n_values);
            Place::Flat(values).put(context, case.into(), case_size)?;
            if let Some(ty) = payload {
                lower(context, ty, wire, Place::Flat(values))?;
            }
            // What other cases need and this one does not is zero.
            while values.len() > left {
                values.next();
            }
            Ok(())
        }
        Place::Memory(address) => {
            Place::Memory(address).put(context, case.into(), case_size)?;
            payload.map_or(Ok(()), |ty| {
                let address = address + info.payload_offset32 as usize;
                lower(context, ty, wire, Place::Memory(address))
            })
        }
    }
}

/// Lowers a list into memory of the guest's; says where it lies, and how many elements it has.
fn lower_list<T>(
    context: &mut LowerContext<'_, T>,
    element: InterfaceType,
    wire: &mut &[u8],
) -> Result<(usize, usize)> {
    if element == InterfaceType::U8 {
        let bytes = read_bytes(wire)?;
        let address = context.realloc(0, 0, 1, bytes.len())?;
        context.as_slice_mut()[address..][..bytes.len()].copy_from_slice(bytes);
        return Ok((address, bytes.len()));
    }
    let abi = context.types.canonical_abi(&element);
    let (size, align) = (size(abi), abi.align32);
    let len = decode::read_array_len(wire).map_err(|_| broken())? as usize;
    let n_bytes = len.checked_mul(size).ok_or_else(broken)?;
    let address = context.realloc(0, 0, align, n_bytes)?;
    if is_scalar(&element) {
        let memory = &mut context.as_slice_mut()[address..][..n_bytes];
        for target in memory.chunks_exact_mut(size) {
            let bits = read_scalar(element, wire)?;
            target.copy_from_slice(&bits.to_le_bytes()[..size]);
        }
    } else {
        for index in 0..len {
            lower(
                context,
                element,
                wire,
                Place::Memory(address + index * size),
            )?;
        }
    }
    Ok((address, len))
}

/// Lowers a set of `n_flags`: their bits, in one or two bytes or in words of four.
fn lower_flags<T>(
    context: &mut LowerContext<'_, T>,
    n_flags: usize,
    wire: &mut &[u8],
    mut place: Place<'_, '_>,
) -> Result<()> {
    let mut words = vec![0_u32; n_flags.div_ceil(32)];
    for _ in 0..decode::read_array_len(wire).map_err(|_| broken())? {
        let flag = read_integer::<usize>(wire)?;
        *words.get_mut(flag / 32).ok_or_else(broken)? |= 1 << (flag % 32);
    }
    let word_size = flags_word_size(n_flags);
    for (index, word) in words.into_iter().enumerate() {
        let place = match &mut place {
            Place::Flat(values) => Place::Flat(values),
            Place::Memory(address) => Place::Memory(*address + index * word_size),
        };
        place.put(context, word.into(), word_size)?;
    }
    Ok(())
}

/// Lifts the result of a function: the value, or either side of a `result`.
fn lift_result(
    context: &mut LiftContext<'_>,
    ty: InterfaceType,
    bytes: &[u8],
) -> Result<Result<Vec<u8>, Vec<u8>>> {
    let mut wire = Wire::new()?;
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

/// Puts a value of the type `ty`, which lies in `bytes`, on the wire.
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

/// Lifts a case of a variant, with the payload that it may have.
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
    // The same elements can be in any number of lists.
    context.consume_fuel(n_bytes)?;
    if element == InterfaceType::U8 {
        wire.admit(elements.len())?;
        written(encode::write_bin(&mut wire.bytes, elements));
        return Ok(());
    }
    // Each element has a byte at the least.
    wire.admit(len as usize)?;
    write_array(&mut wire.bytes, len as usize)?;
    for bytes in elements.chunks_exact(size) {
        lift(context, element, bytes, wire)?;
    }
    Ok(())
}

/// A piece of the guest's memory.
fn memory<'a>(context: &LiftContext<'a>, address: u32, len: usize, align: u32) -> Result<&'a [u8]> {
    if !address.is_multiple_of(align) {
        bail!("a pointer that is not aligned");
    }
    // Who never returned anything in memory may have none.
    if len == 0 {
        return Ok(&[]);
    }
    let from = context.memory().get(address as usize..);
    let bytes = from.and_then(|memory| memory.get(..len));
    bytes.ok_or_else(|| format_err!("a pointer out of the bounds of memory"))
}

/// A value that came as a core value, as it would lie in memory.
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

fn size(abi: &CanonicalAbiInfo) -> usize {
    abi.size32 as usize
}

fn flat_count(types: &ComponentTypes, ty: &InterfaceType) -> Result<usize> {
    let count = types.canonical_abi(ty).flat_count(MAX_FLAT_PARAMS);
    count.ok_or_else(|| format_err!("too many values"))
}

/// Bytes of a word of a set of so many flags.
fn flags_word_size(n_flags: usize) -> usize {
    match n_flags {
        ..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    let mut all = [0; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(all)
}

fn is_scalar(ty: &InterfaceType) -> bool {
    matches!(
        ty,
        InterfaceType::Bool
            | InterfaceType::Char
            | InterfaceType::S8
            | InterfaceType::U8
            | InterfaceType::S16
            | InterfaceType::U16
            | InterfaceType::S32
            | InterfaceType::U32
            | InterfaceType::S64
            | InterfaceType::U64
            | InterfaceType::Float32
            | InterfaceType::Float64
    )
}

/// The bits of a core value. Small integers are extended to 32 bits by their sign, and all
/// further by zeros, as a variant's cases that share a core value want it.
fn read_scalar(ty: InterfaceType, wire: &mut &[u8]) -> Result<u64> {
    Ok(match ty {
        InterfaceType::Bool => decode::read_bool(wire).map_err(|_| broken())?.into(),
        InterfaceType::Char => {
            let mut text = read_text(wire)?.chars();
            u32::from(text.next().ok_or_else(broken)?).into()
        }
        InterfaceType::S8 | InterfaceType::S16 | InterfaceType::S32 => {
            read_integer::<i32>(wire)?.cast_unsigned().into()
        }
        InterfaceType::S64 => read_integer::<i64>(wire)?.cast_unsigned(),
        InterfaceType::U8 | InterfaceType::U16 | InterfaceType::U32 => {
            read_integer::<u32>(wire)?.into()
        }
        InterfaceType::U64 => read_integer::<u64>(wire)?,
        InterfaceType::Float32 => {
            let value = decode::read_f32(wire).map_err(|_| broken())?;
            value.to_bits().into()
        }
        InterfaceType::Float64 => decode::read_f64(wire).map_err(|_| broken())?.to_bits(),
        _ => bail!("a value of a type that is not supported"),
    })
}

fn write_scalar(ty: InterfaceType, bytes: &[u8], wire: &mut Vec<u8>) -> Result<()> {
    let bits = little_endian(bytes);
    let unused = 64 - 8 * bytes.len();
    match ty {
        InterfaceType::Bool => written(encode::write_bool(wire, bits != 0)),
        InterfaceType::Char => {
            let character = u32::try_from(bits).ok().and_then(char::from_u32);
            let character = character.ok_or_else(|| format_err!("a character that is none"))?;
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

fn read_array(wire: &mut &[u8], len: usize) -> Result<()> {
    match decode::read_array_len(wire) {
        Ok(found) if found as usize == len => Ok(()),
        _ => Err(broken()),
    }
}

/// Reads the beginning of a variant: the array's length and the case.
fn read_case(wire: &mut &[u8]) -> Result<u32> {
    match decode::read_array_len(wire) {
        Ok(1 | 2) => read_integer(wire),
        _ => Err(broken()),
    }
}

fn read_integer<N: TryFrom<i64> + TryFrom<u64>>(wire: &mut &[u8]) -> Result<N> {
    let is_negative = matches!(
        wire.first().map(|&byte| Marker::from_u8(byte)),
        Some(Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64)
    );
    let value = if is_negative {
        let value = decode::read_int::<i64, _>(wire).map_err(|_| broken())?;
        N::try_from(value).ok()
    } else {
        let value = decode::read_int::<u64, _>(wire).map_err(|_| broken())?;
        N::try_from(value).ok()
    };
    value.ok_or_else(broken)
}

fn read_text<'a>(wire: &mut &'a [u8]) -> Result<&'a str> {
    let len = decode::read_str_len(wire).map_err(|_| broken())?;
    Ok(std::str::from_utf8(take(wire, len)?)?)
}

fn read_bytes<'a>(wire: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = decode::read_bin_len(wire).map_err(|_| broken())?;
    take(wire, len)
}

fn take<'a>(wire: &mut &'a [u8], len: u32) -> Result<&'a [u8]> {
    let (taken, rest) = wire.split_at_checked(len as usize).ok_or_else(broken)?;
    *wire = rest;
    Ok(taken)
}

fn nil() -> Vec<u8> {
    vec![Marker::Null.to_u8()]
}

/// Writing into memory cannot fail.
fn written<T, E>(result: Result<T, E>) {
    debug_assert!(result.is_ok());
}

/// What `typed` has written does not fit the function: a defect of ours.
fn broken() -> wasmtime::Error {
    format_err!("the arguments do not fit the function's types")
}
