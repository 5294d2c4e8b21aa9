//! Components that return their argument, for any type.
//!
//! They implement the layout of the canonical ABI independently: they store the core values of the
//! argument into memory, and return it from there.
//!
//! The fuzz targets include this file, with the `Type` of the library's own files.

use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::Type;

/// The most core values of arguments that are not passed through memory.
const MAX_FLAT: usize = 16;

/// The address at which the component stores values.
const AREA: u64 = 16;

/// A component with `echo: func(value: T) -> tuple<T>`.
pub(super) fn echo(ty: &Type) -> Vec<u8> {
    let flat = flat(ty);
    let (mut params, mut body) = (String::new(), String::new());
    let result = match &flat[..] {
        // A single core value is also the result.
        [only] => {
            write!(params, "(param {only})").unwrap();
            body += "(local.get 0)";
            only
        }
        flat if flat.len() <= MAX_FLAT => {
            let locals = flat.iter().enumerate();
            let locals = locals.map(|(index, core)| (*core, format!("(local.get {index})")));
            for core in flat {
                write!(params, "(param {core})").unwrap();
            }
            store(ty, AREA, &locals.collect::<Vec<_>>(), &mut body);
            write!(body, "(i32.const {AREA})").unwrap();
            "i32"
        }
        // The arguments are in memory already.
        _ => {
            params += "(param i32)";
            body += "(local.get 0)";
            "i32"
        }
    };
    let module = format!(
        r#"(module
            (memory (export "memory") 4)
            (global $free (mut i32) (i32.const 131072))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $free (i32.and
                    (i32.add (global.get $free) (i32.sub (local.get 2) (i32.const 1)))
                    (i32.sub (i32.const 0) (local.get 2))))
                (local.tee 0 (global.get $free))
                (global.set $free (i32.add (global.get $free) (local.get 3)))
                (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
                    (then (drop (memory.grow (i32.const 4))))))
            (func (export "test:echo/types#echo") {params} (result {result}) {body}))"#
    );
    let mut core = wat::parse_str(&module).unwrap();
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("echo.wit", &wit(ty)).unwrap();
    let world = resolve.select_world(&[package], Some("echoing")).unwrap();
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().validate(true);
    encoder.module(&core).unwrap().encode().unwrap()
}

fn wit(ty: &Type) -> String {
    let mut types = Vec::new();
    let name = wit_name(ty, &mut types);
    format!(
        "package test:echo;\n\
         interface types {{ {}\n echo: func(value: {name}) -> tuple<{name}>; }}\n\
         world echoing {{ export types; }}",
        types.join("\n")
    )
}

/// The name of a type; anonymous types are declared in `types`.
fn wit_name(ty: &Type, types: &mut Vec<String>) -> String {
    let payload = |ty: &Option<Box<Type>>, types: &mut Vec<String>| {
        let ty = ty.as_ref();
        ty.map_or("_".to_owned(), |ty| wit_name(ty, types))
    };
    let (keyword, parts) = match ty {
        Type::List(element) => return format!("list<{}>", wit_name(element, types)),
        Type::Option(inner) => return format!("option<{}>", wit_name(inner, types)),
        Type::Tuple(parts) => {
            let parts = parts.iter().map(|ty| wit_name(ty, types));
            return format!("tuple<{}>", parts.collect::<Vec<_>>().join(", "));
        }
        Type::Result { ok, err } => {
            let (ok, err) = (payload(ok, types), payload(err, types));
            return format!("result<{ok}, {err}>")
                .replace(", _>", ">")
                .replace("<_>", "");
        }
        Type::Record(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, ty)| format!("{name}: {}", wit_name(ty, types)));
            ("record", fields.collect::<Vec<_>>())
        }
        Type::Variant(cases) => {
            let cases = cases.iter().map(|(name, payload)| match payload {
                Some(ty) => format!("{name}({})", wit_name(ty, types)),
                None => name.clone(),
            });
            ("variant", cases.collect())
        }
        Type::Enum(names) => ("enum", names.clone()),
        Type::Flags(names) => ("flags", names.clone()),
        scalar => return scalar.to_string(),
    };
    let name = format!("t{}", types.len());
    types.push(format!("{keyword} {name} {{ {} }}", parts.join(", ")));
    name
}

/// Joins the core types of a variant's cases with those of one more case.
pub(super) fn join(joined: &mut Vec<&'static str>, case: impl IntoIterator<Item = &'static str>) {
    for (index, core) in case.into_iter().enumerate() {
        match joined.get_mut(index) {
            None => joined.push(core),
            Some(other) if *other == core => {}
            Some(other) => {
                let is_small = |core| core == "i32" || core == "f32";
                let both = is_small(*other) && is_small(core);
                *other = if both { "i32" } else { "i64" };
            }
        }
    }
}

/// The core types that a value is passed as.
fn flat(ty: &Type) -> Vec<&'static str> {
    match ty {
        Type::S64 | Type::U64 => vec!["i64"],
        Type::F32 => vec!["f32"],
        Type::F64 => vec!["f64"],
        Type::String | Type::List(_) => vec!["i32", "i32"],
        Type::Record(_) | Type::Tuple(_) => parts(ty).iter().flat_map(flat).collect(),
        Type::Flags(names) => vec!["i32"; names.len().div_ceil(32)],
        Type::Variant(_) | Type::Option(_) | Type::Result { .. } => {
            let mut joined = Vec::new();
            for case in cases(ty).iter().flatten() {
                join(&mut joined, flat(case));
            }
            joined.insert(0, "i32");
            joined
        }
        _ => vec!["i32"],
    }
}

fn parts(ty: &Type) -> Vec<Type> {
    match ty {
        Type::Record(fields) => fields.iter().map(|(_, ty)| ty.clone()).collect(),
        Type::Tuple(types) => types.clone(),
        _ => Vec::new(),
    }
}

fn cases(ty: &Type) -> Vec<Option<Type>> {
    let unboxed = |ty: &Option<Box<Type>>| ty.as_deref().cloned();
    match ty {
        Type::Variant(cases) => cases.iter().map(|(_, payload)| payload.clone()).collect(),
        Type::Enum(names) => vec![None; names.len()],
        Type::Option(inner) => vec![None, Some((**inner).clone())],
        Type::Result { ok, err } => vec![unboxed(ok), unboxed(err)],
        _ => Vec::new(),
    }
}

/// The size of a value in memory, and its alignment.
fn layout(ty: &Type) -> (u64, u64) {
    match ty {
        Type::Bool | Type::S8 | Type::U8 => (1, 1),
        Type::S16 | Type::U16 => (2, 2),
        Type::S64 | Type::U64 | Type::F64 => (8, 8),
        Type::String | Type::List(_) => (8, 4),
        Type::Record(_) | Type::Tuple(_) => {
            let (mut size, mut align) = (0_u64, 1);
            for (part_size, part_align) in parts(ty).iter().map(layout) {
                size = size.next_multiple_of(part_align) + part_size;
                align = align.max(part_align);
            }
            (size.next_multiple_of(align), align)
        }
        Type::Flags(names) => match names.len() {
            ..=8 => (1, 1),
            9..=16 => (2, 2),
            n_flags => (4 * n_flags.div_ceil(32) as u64, 4),
        },
        Type::Variant(_) | Type::Enum(_) | Type::Option(_) | Type::Result { .. } => {
            let (offset, align) = payload_layout(ty);
            let sizes = cases(ty).into_iter().flatten().map(|ty| layout(&ty).0);
            (
                (offset + sizes.max().unwrap_or(0)).next_multiple_of(align),
                align,
            )
        }
        _ => (4, 4),
    }
}

fn discriminant_size(ty: &Type) -> u64 {
    if cases(ty).len() <= 256 { 1 } else { 2 }
}

/// Where the payload of a variant begins, and the alignment of the whole.
fn payload_layout(ty: &Type) -> (u64, u64) {
    let aligns = cases(ty).into_iter().flatten().map(|ty| layout(&ty).1);
    let payload_align = aligns.max().unwrap_or(1);
    let size = discriminant_size(ty);
    (
        size.next_multiple_of(payload_align),
        size.max(payload_align),
    )
}

/// Writes the instructions that store core values as a value at an address.
fn store(ty: &Type, address: u64, values: &[(&'static str, String)], code: &mut String) {
    let mut put = |instruction: &str, address: u64, value: &str| {
        writeln!(code, "({instruction} (i32.const {address}) {value})").unwrap();
    };
    let value = values[0].1.as_str();
    match ty {
        Type::Bool | Type::S8 | Type::U8 => put("i32.store8", address, value),
        Type::S16 | Type::U16 => put("i32.store16", address, value),
        Type::S64 | Type::U64 => put("i64.store", address, value),
        Type::F32 => put("f32.store", address, value),
        Type::F64 => put("f64.store", address, value),
        Type::String | Type::List(_) => {
            put("i32.store", address, value);
            put("i32.store", address + 4, &values[1].1);
        }
        Type::Record(_) | Type::Tuple(_) => {
            let (mut end, mut left) = (address, values);
            for part in parts(ty) {
                let (size, align) = layout(&part);
                let start = end.next_multiple_of(align);
                let (own, others) = left.split_at(flat(&part).len());
                store(&part, start, own, code);
                (end, left) = (start + size, others);
            }
        }
        Type::Flags(_) | Type::Enum(_) => match layout(ty).0 {
            1 => put("i32.store8", address, value),
            2 => put("i32.store16", address, value),
            _ => put("i32.store", address, value),
        },
        Type::Variant(_) | Type::Option(_) | Type::Result { .. } => {
            put("i32.store8", address, value);
            let payload_address = address + payload_layout(ty).0;
            for (case, payload) in cases(ty).iter().enumerate() {
                let Some(payload) = payload else { continue };
                let wanted = flat(payload).into_iter().zip(&values[1..]);
                let wanted = wanted.map(|(to, (from, value))| (to, converted(from, to, value)));
                let wanted = wanted.collect::<Vec<_>>();
                writeln!(code, "(if (i32.eq {value} (i32.const {case})) (then").unwrap();
                store(payload, payload_address, &wanted, code);
                code.push_str("))\n");
            }
        }
        _ => put("i32.store", address, value),
    }
}

/// Converts a core value that several cases share to the type of one of them.
fn converted(from: &str, to: &str, value: &str) -> String {
    match (from, to) {
        (from, to) if from == to => value.to_owned(),
        ("i64", "i32") => format!("(i32.wrap_i64 {value})"),
        ("i32", "f32") => format!("(f32.reinterpret_i32 {value})"),
        ("i64", "f32") => format!("(f32.reinterpret_i32 (i32.wrap_i64 {value}))"),
        ("i64", "f64") => format!("(f64.reinterpret_i64 {value})"),
        _ => panic!("{from} is never joined with {to}"),
    }
}
