//! Whether a serde type takes the values of a type of the component model: tried with samples.
//!
//! Does not know what the types are for. Serde types do not say which values they take, so sample
//! values are read into them. Samples have each case of each variant, and one element in each list.
//! A fault counts only if serde found it in the type: a kind of value that it does not take, a case
//! or a field that is missing. A type that checks values itself may refuse all samples.

use serde::de::DeserializeOwned;
use serde::de::value::UnitDeserializer;

use super::decode::decode_value;
use super::path::ValueFault;
use super::wire::{Reader, Writer};
use crate::value::Type;

/// How many types are visited for the samples of one function, about. Types come from guests.
const MAX_VISITED: usize = 1 << 18;

/// How many bytes the value of a sample may take where `T` accepts any value.
const MAX_DECODED: usize = 64 << 20;

/// Checks that `T` takes all values of the type, which is the tuple of all arguments.
pub(crate) fn takes_arguments<T: DeserializeOwned>(arguments: &Type) -> Result<(), String> {
    samples(Some(arguments)).try_for_each(|sample| {
        let taken = probe::<T>(Some(arguments), &sample);
        taken.map_err(|fault| fault.of_arguments().to_string())
    })
}

/// Checks that `T` takes some value of the type: if it takes none, then none of its own values is of
/// that type. The error is that of the last sample, which has the last case of each variant.
pub(crate) fn takes_any<T: DeserializeOwned>(ty: Option<&Type>) -> Result<(), String> {
    let mut refused = Ok(());
    for sample in samples(ty) {
        match probe::<T>(ty, &sample) {
            Ok(()) => return Ok(()),
            Err(fault) => refused = Err(fault.to_string()),
        }
    }
    refused
}

fn probe<T: DeserializeOwned>(ty: Option<&Type>, sample: &[u8]) -> Result<(), ValueFault> {
    let taken = match ty {
        Some(_) => decode_value::<T>(ty, Reader::with_limit(sample, MAX_DECODED)).map(drop),
        None => T::deserialize(UnitDeserializer::<ValueFault>::new()).map(drop),
    };
    match taken {
        Err(fault) if fault.is_of_type() => Err(fault),
        _ => Ok(()),
    }
}

/// Samples of a type in the wire form; one empty sample if there is no type.
fn samples(ty: Option<&Type>) -> impl Iterator<Item = Vec<u8>> {
    let n_samples = ty.map_or(1, |ty| n_samples(ty).min(MAX_VISITED / n_types(ty)).max(1));
    (0..n_samples).map(move |number| {
        let mut writer = Writer::default();
        if let Some(ty) = ty {
            write_sample(ty, number, &mut writer);
        }
        writer.into_bytes()
    })
}

/// How many samples have all cases.
fn n_samples(ty: &Type) -> usize {
    let of = |ty: Option<&Type>| ty.map_or(1, n_samples);
    match ty {
        Type::List(element) => n_samples(element),
        Type::Tuple(types) => types.iter().map(n_samples).max().unwrap_or(1),
        Type::Record(fields) => {
            let of_fields = fields.iter().map(|(_, ty)| n_samples(ty));
            of_fields.max().unwrap_or(1)
        }
        Type::Option(inner) => 1 + n_samples(inner),
        Type::Variant(cases) => cases.iter().map(|(_, ty)| of(ty.as_ref())).sum(),
        Type::Enum(names) => names.len(),
        Type::Result { ok, err } => of(ok.as_deref()) + of(err.as_deref()),
        _ => 1,
    }
}

/// How many types a type is made of.
fn n_types(ty: &Type) -> usize {
    let of = |ty: Option<&Type>| ty.map_or(0, n_types);
    1 + match ty {
        Type::List(inner) | Type::Option(inner) => n_types(inner),
        Type::Tuple(types) => types.iter().map(n_types).sum(),
        Type::Record(fields) => fields.iter().map(|(_, ty)| n_types(ty)).sum(),
        Type::Variant(cases) => cases.iter().map(|(_, ty)| of(ty.as_ref())).sum(),
        Type::Result { ok, err } => of(ok.as_deref()) + of(err.as_deref()),
        _ => 0,
    }
}

/// Writes a sample. The fields of a record go through their cases together.
fn write_sample(ty: &Type, number: usize, writer: &mut Writer) {
    const SHORT: &str = "a short text has any length";
    let number = number % n_samples(ty).max(1);
    match ty {
        Type::Bool => writer.bool(true),
        // A type may well not take zero.
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => writer.unsigned(1),
        Type::S8 | Type::S16 | Type::S32 | Type::S64 => writer.signed(1),
        Type::F32 => writer.f32(0.5),
        Type::F64 => writer.f64(0.5),
        Type::Char => writer.text("a").expect(SHORT),
        Type::String => writer.text("text").expect(SHORT),
        Type::List(element) if **element == Type::U8 => writer.binary(&[1]).expect(SHORT),
        Type::List(element) => {
            writer.array(1);
            write_sample(element, number, writer);
        }
        Type::Tuple(types) => {
            writer.array(types.len());
            types.iter().for_each(|ty| write_sample(ty, number, writer));
        }
        Type::Record(fields) => {
            writer.array(fields.len());
            fields
                .iter()
                .for_each(|(_, ty)| write_sample(ty, number, writer));
        }
        Type::Option(_) if number == 0 => writer.nil(),
        Type::Option(inner) => {
            writer.array(1);
            write_sample(inner, number - 1, writer);
        }
        Type::Variant(cases) => {
            let payloads = cases.iter().map(|(_, ty)| ty.as_ref());
            write_case(payloads, number, writer);
        }
        Type::Result { ok, err } => {
            write_case([ok.as_deref(), err.as_deref()].into_iter(), number, writer);
        }
        Type::Enum(_) => writer.unsigned(number as u64),
        Type::Flags(names) => {
            writer.array(names.len());
            (0..names.len()).for_each(|flag| writer.unsigned(flag as u64));
        }
    }
}

/// Writes the sample of this number, of those of all cases one after the other.
fn write_case<'t>(
    payloads: impl Iterator<Item = Option<&'t Type>>,
    mut number: usize,
    writer: &mut Writer,
) {
    for (case, payload) in payloads.enumerate() {
        let of_case = payload.map_or(1, n_samples);
        if number < of_case {
            writer.array(1 + usize::from(payload.is_some()));
            writer.unsigned(case as u64);
            if let Some(ty) = payload {
                write_sample(ty, number, writer);
            }
            return;
        }
        number -= of_case;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU8;

    use serde::Deserialize;

    use super::*;
    use crate::value::Value;

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[expect(dead_code, reason = "only read into")]
    enum Shape {
        Dot,
        Circle(f64),
        Line { from: u8, to: Option<u8> },
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only read into")]
    struct Scene {
        name: Option<String>,
        shapes: Vec<Shape>,
    }

    /// A type that takes even numbers only.
    #[derive(Deserialize)]
    #[serde(try_from = "u8")]
    struct Even;

    impl TryFrom<u8> for Even {
        type Error = String;

        fn try_from(number: u8) -> Result<Self, String> {
            match number % 2 {
                0 => Ok(Self),
                _ => Err("odd".to_owned()),
            }
        }
    }

    fn scene(last: Type) -> Type {
        let line = Type::Record(vec![
            ("from".into(), Type::U8),
            ("to".into(), Type::Option(Box::new(last))),
        ]);
        let shape = Type::Variant(vec![
            ("dot".into(), None),
            ("circle".into(), Some(Type::F64)),
            ("line".into(), Some(line)),
        ]);
        Type::Record(vec![
            ("name".into(), Type::Option(Box::new(Type::String))),
            ("shapes".into(), Type::List(Box::new(shape))),
        ])
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn takes_all<T: DeserializeOwned>(ty: Option<&Type>) -> Result<(), String> {
        let mut samples = samples(ty);
        samples.try_for_each(|sample| probe::<T>(ty, &sample).map_err(|fault| fault.to_string()))
    }

    #[track_caller]
    fn check<T: DeserializeOwned>(ty: &Type, all: Result<(), &str>, any: bool) {
        let taken = takes_all::<T>(Some(ty));
        match (&taken, all) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            other => panic!("{ty}: {other:?}"),
        }
        assert_eq!(takes_any::<T>(Some(ty)).is_ok(), any, "{ty}");
    }

    #[test]
    fn every_case_is_tried_also_deep_inside() {
        check::<Scene>(&scene(Type::U8), Ok(()), true);
        check::<Value>(&scene(Type::Char), Ok(()), true);
        let wrong = ".shapes[0].line.to: invalid type: string \"text\", expected u8";
        check::<Scene>(&scene(Type::String), Err(wrong), true);
        let missing = Type::Record(vec![("name".into(), Type::Option(Box::new(Type::String)))]);
        check::<Scene>(&missing, Err("missing field `shapes`"), false);
        let more = Type::Enum(names(&["dot", "square"]));
        check::<Shape>(&more, Err("square"), true);
        check::<Shape>(&Type::Enum(names(&["square"])), Err("square"), false);
        check::<Vec<u8>>(&Type::List(Box::new(Type::U8)), Ok(()), true);
        check::<String>(&Type::List(Box::new(Type::U8)), Err("invalid type"), false);
        let flags = Type::Flags(names(&["read", "write"]));
        check::<BTreeMap<String, bool>>(&flags, Ok(()), true);
        check::<Vec<String>>(&flags, Ok(()), true);
        check::<u8>(&flags, Err("invalid type"), false);
        let result = Type::Result {
            ok: Some(Box::new(Type::U32)),
            err: None,
        };
        check::<Result<u32, ()>>(&result, Ok(()), true);
        check::<Result<u32, String>>(&result, Err("invalid type: unit"), true);
        check::<u32>(&result, Err("invalid type"), false);
        check::<u32>(
            &Type::Option(Box::new(Type::U32)),
            Err("invalid type"),
            true,
        );
        check::<(u8, char)>(&Type::Tuple(vec![Type::U8, Type::Char]), Ok(()), true);
        check::<(u8,)>(
            &Type::Tuple(vec![Type::U8, Type::Char]),
            Err("1 part"),
            false,
        );
    }

    #[test]
    fn a_value_that_the_type_itself_refuses_does_not_count() {
        check::<Even>(&Type::U8, Ok(()), true);
        check::<NonZeroU8>(&Type::U64, Ok(()), true);
        check::<Even>(&Type::String, Err("invalid type"), false);
        assert!(takes_all::<()>(None).is_ok());
        assert!(takes_all::<u8>(None).is_err());
    }

    #[test]
    fn the_arguments_are_named_by_their_places() {
        let arguments = Type::Tuple(vec![Type::Bool, scene(Type::U8)]);
        assert!(takes_arguments::<(bool, Scene)>(&arguments).is_ok());
        let error = takes_arguments::<(bool, Vec<u8>)>(&arguments).unwrap_err();
        assert!(
            error.starts_with("argument 2: invalid type: map"),
            "{error}"
        );
    }

    #[test]
    fn samples_of_a_large_type_are_bounded() {
        let cases = (0..1_000).map(|case| (case.to_string(), Some(scene(Type::U8))));
        let many = Type::Variant(cases.collect());
        let large = Type::Tuple(vec![many.clone(), many.clone(), many]);
        assert!(n_samples(&large) > 1_000);
        let visited = samples(Some(&large)).count() * n_types(&large);
        assert!(visited <= MAX_VISITED, "{visited}");
    }
}
