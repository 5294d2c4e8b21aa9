//! Converts the wire form to core values and to the guest's memory.

use std::mem::{self, MaybeUninit};
use std::slice::IterMut;

use rmp::{Marker, decode};
use wasmtime::component::__internal::wasmtime_environ::component::VariantInfo;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, ComponentTypes, InstanceType, InterfaceType, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lower, StreamReader};
use wasmtime::{Result, ValRaw, bail, format_err};

use super::{flags_word_size, is_scalar, size};
use crate::call::Payload;
use crate::sync::{Mutex, lock};

/// How many core values the arguments of a call may have. If they have more, they are passed in
/// memory. This is `MAX_FLAT_PARAMS` of the canonical ABI.
pub(super) const MAX_FLAT_PARAMS: usize = 16;

/// The arguments of a call, as one array. They are lowered once and dropped then, so that large
/// arguments do not exist beside the guest's copy. (A mutex, since wasmtime requires `Sync`.)
pub(crate) struct LoweredArguments(Mutex<Payload>);

impl LoweredArguments {
    pub(crate) fn new(wire: Payload) -> Self {
        Self(Mutex::new(wire))
    }
}

// SAFETY: `Lower` is an array of `ValRaw`. `ABI` describes the layout in memory. It is used only if
// the flat form has more than `MAX_FLAT_PARAMS` values, and it has that many.
#[allow(unsafe_code)]
unsafe impl ComponentType for LoweredArguments {
    type Lower = [ValRaw; MAX_FLAT_PARAMS];

    const ABI: CanonicalAbiInfo = CanonicalAbiInfo::ZERO;

    fn typecheck(_params: &InterfaceType, _types: &InstanceType<'_>) -> Result<()> {
        // Every type fits: lowering follows the type of the function.
        Ok(())
    }
}

// SAFETY: see `ComponentType` and `Lower`.
#[allow(unsafe_code)]
unsafe impl ComponentNamedList for LoweredArguments {}

// SAFETY: all of `target` is initialized. `lower` then sets as many values as the parameters have,
// each in the form of its parameter's type. Memory is written through bounds-checked slices.
#[allow(unsafe_code)]
unsafe impl Lower for LoweredArguments {
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

/// Lowers the result of a host function to core values.
pub(super) fn flat_result<T>(
    context: &mut LowerContext<'_, T>,
    results: InterfaceType,
    mut wire: &[u8],
    values: &mut [ValRaw],
) -> Result<()> {
    match only_result(context, results)? {
        Some(ty) => lower(context, ty, &mut wire, Place::Flat(&mut values.iter_mut())),
        None => Ok(()),
    }
}

/// Lowers the result of a host function to the guest's memory.
pub(super) fn result_to_memory<T>(
    context: &mut LowerContext<'_, T>,
    results: InterfaceType,
    mut wire: &[u8],
    address: usize,
) -> Result<()> {
    match only_result(context, results)? {
        Some(ty) => lower(context, ty, &mut wire, Place::Memory(address)),
        None => Ok(()),
    }
}

fn only_result<T>(
    context: &LowerContext<'_, T>,
    results: InterfaceType,
) -> Result<Option<InterfaceType>> {
    let InterfaceType::Tuple(index) = results else {
        bail!("the results of a function are a tuple");
    };
    Ok(context.types[index].types.first().copied())
}

/// Where a value is lowered to.
enum Place<'a, 'b> {
    /// Into core values, one after the other.
    Flat(&'a mut IterMut<'b, ValRaw>),
    /// Into the guest's memory, at this address.
    Memory(usize),
}

impl Place<'_, '_> {
    /// Writes the bits of a core value. Memory gets the lower `size` bytes.
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

    /// Writes an address and a length.
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

/// Reads a value of the type `ty` from the wire and lowers it to `place`.
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
                    // `values` must come second: `zip` takes one item too many from the first
                    // iterator.
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
        InterfaceType::Stream(_) => {
            let bytes = read_bytes(wire)?.to_vec();
            let stream = StreamReader::<u8>::new(&mut context.store, bytes)?;
            let mut handle = MaybeUninit::uninit();
            stream.linear_lower_to_flat(context, ty, &mut handle)?;
            // SAFETY: `linear_lower_to_flat` has initialized it if it succeeds.
            #[allow(unsafe_code)]
            let handle = unsafe { handle.assume_init() };
            place.put(context, handle.get_u32().into(), 4)
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

/// Lowers a case of a variant of the type `ty` with its payload, if it has one.
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
            // The values that only other cases use stay zero.
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

/// Lowers a list to the guest's memory. Returns its address and its number of elements.
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

/// Lowers a set of `n_flags` flags to their bits: one byte, two bytes, or words of four.
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

fn flat_count(types: &ComponentTypes, ty: &InterfaceType) -> Result<usize> {
    let count = types.canonical_abi(ty).flat_count(MAX_FLAT_PARAMS);
    count.ok_or_else(|| format_err!("too many values"))
}

/// The bits of a core value. Signed integers are extended to 32 bits by their sign. All further
/// bits are zero, as variants require whose cases share a core value.
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

/// The wire form, which `typed` has written, does not fit the function: a defect of this library.
fn broken() -> wasmtime::Error {
    format_err!("the arguments do not fit the function's types")
}
