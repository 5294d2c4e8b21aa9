//! Whether a serde type takes the values of a type of the component model: tried with samples.
//!
//! Does not know what the types are for. Serde types do not say which values they take, so sample
//! values are read into them. Samples have each case of each variant, and one element in each list.
//! A fault counts only if serde found it in the type: a kind of value that it does not take, a case
//! or a field that is missing. A type that checks values itself may refuse all samples.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::UnitDeserializer;

use super::decode::decode_value;
use super::encode::encode_result;
use super::path::ValueFault;
use super::wire::{Reader, Writer};
use crate::value::Type;

/// How many types are still visited for samples, about. Types come from guests: one budget is for all
/// functions of a component. Each function gets one sample at least.
pub(crate) struct SampleBudget(usize);

impl Default for SampleBudget {
    fn default() -> Self {
        Self(1 << 18)
    }
}

/// How many bytes the value of a sample may take where `T` accepts any value.
const MAX_DECODED: usize = 64 << 20;

/// Checks that `T` takes all values of the type, which is the tuple of all arguments.
pub(crate) fn takes_arguments<T: DeserializeOwned>(
    arguments: &Type,
    budget: &mut SampleBudget,
) -> Result<(), String> {
    let samples = Samples::of(Some(arguments));
    (0..samples.affordable(budget)).try_for_each(|number| {
        let taken = read::<T>(Some(arguments), &samples.get(number));
        let taken = taken.map(drop);
        taken.map_err(|fault| fault.of_arguments().to_string())
    })
}

/// Checks that `T` has values of the type: that it reads and writes some sample; if the type is a
/// result, one of each side. The error is that of the last sample, which has the last case of each
/// variant.
pub(crate) fn gives_result<T: Serialize + DeserializeOwned>(
    ty: Option<&Type>,
    budget: &mut SampleBudget,
) -> Result<(), String> {
    let samples = Samples::of(ty);
    let n_samples = samples.affordable(budget);
    let end_of_ok = match ty {
        Some(Type::Result { .. }) => samples.parts[0].count.min(n_samples),
        _ => n_samples,
    };
    for side in [0..end_of_ok, end_of_ok..n_samples] {
        let mut refused = Ok(());
        for number in side {
            refused = gives(&samples.get(number), ty, read::<T>);
            if refused.is_ok() {
                break;
            }
        }
        refused?;
    }
    Ok(())
}

fn gives<T: Serialize>(
    sample: &[u8],
    ty: Option<&Type>,
    read: impl Fn(Option<&Type>, &[u8]) -> Result<Option<T>, ValueFault>,
) -> Result<(), String> {
    match read(ty, sample) {
        Ok(Some(value)) => {
            let written = encode_result(ty, &value);
            written.map(drop).map_err(|error| error.to_string())
        }
        Ok(None) => Ok(()),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Reads a sample. `None` if `T` has refused this very value.
fn read<T: DeserializeOwned>(ty: Option<&Type>, sample: &[u8]) -> Result<Option<T>, ValueFault> {
    let taken = match ty {
        Some(_) => decode_value::<T>(ty, Reader::with_limit(sample, MAX_DECODED)),
        None => T::deserialize(UnitDeserializer::<ValueFault>::new()),
    };
    match taken {
        Ok(value) => Ok(Some(value)),
        Err(fault) if fault.is_of_type() => Err(fault),
        Err(_) => Ok(None),
    }
}

/// The samples of a type, or of nothing: those of its parts, counted once.
struct Samples<'t> {
    ty: Option<&'t Type>,
    /// Those of its elements, fields or cases.
    parts: Vec<Self>,
    /// How many samples have all cases.
    count: usize,
    /// How many types are visited to write one, about.
    n_visited: usize,
}

impl<'t> Samples<'t> {
    fn of(ty: Option<&'t Type>) -> Self {
        let parts: Vec<Self> = match ty {
            Some(Type::List(inner) | Type::Option(inner)) => vec![Self::of(Some(inner))],
            Some(Type::Tuple(types)) => types.iter().map(|ty| Self::of(Some(ty))).collect(),
            Some(Type::Record(fields)) => {
                let types = fields.iter().map(|(_, ty)| ty);
                types.map(|ty| Self::of(Some(ty))).collect()
            }
            Some(Type::Variant(cases)) => {
                let types = cases.iter().map(|(_, ty)| ty.as_ref());
                types.map(Self::of).collect()
            }
            Some(Type::Result { ok, err }) => {
                vec![Self::of(ok.as_deref()), Self::of(err.as_deref())]
            }
            _ => Vec::new(),
        };
        let counts = parts.iter().map(|part| part.count);
        let count = match ty {
            Some(Type::Option(_)) => 1 + counts.sum::<usize>(),
            Some(Type::Variant(_) | Type::Result { .. }) => counts.sum(),
            Some(Type::Enum(names)) => names.len(),
            _ => counts.max().unwrap_or(1),
        };
        let of_flags = match ty {
            Some(Type::Flags(names)) => names.len(),
            _ => 0,
        };
        let n_visited = parts.iter().map(|part| part.n_visited).sum::<usize>();
        Self {
            ty,
            parts,
            count,
            n_visited: 1 + of_flags + n_visited,
        }
    }

    /// How many samples the budget allows. They are taken from it.
    fn affordable(&self, budget: &mut SampleBudget) -> usize {
        let count = self.count.min(budget.0 / self.n_visited).max(1);
        budget.0 = budget.0.saturating_sub(count * self.n_visited);
        count
    }

    /// A sample in the wire form.
    fn get(&self, number: usize) -> Vec<u8> {
        let mut writer = Writer::default();
        self.write(number, &mut writer);
        writer.into_bytes()
    }

    /// Writes a sample. The fields of a record go through their cases together.
    fn write(&self, number: usize, writer: &mut Writer) {
        const SHORT: &str = "a short text has any length";
        let Some(ty) = self.ty else { return };
        let number = number % self.count.max(1);
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
            Type::Option(_) if number == 0 => writer.nil(),
            Type::Option(_) => {
                writer.array(1);
                self.parts[0].write(number - 1, writer);
            }
            Type::List(_) | Type::Tuple(_) | Type::Record(_) => {
                writer.array(self.parts.len());
                self.parts
                    .iter()
                    .for_each(|part| part.write(number, writer));
            }
            Type::Variant(_) | Type::Result { .. } => self.write_case(number, writer),
            Type::Enum(_) => writer.unsigned(number as u64),
            Type::Flags(names) => {
                writer.array(names.len());
                (0..names.len()).for_each(|flag| writer.unsigned(flag as u64));
            }
        }
    }

    /// Writes the sample of this number, of those of all cases one after the other.
    fn write_case(&self, mut number: usize, writer: &mut Writer) {
        for (case, payload) in self.parts.iter().enumerate() {
            if number < payload.count {
                writer.array(1 + usize::from(payload.ty.is_some()));
                writer.unsigned(case as u64);
                return payload.write(number, writer);
            }
            number -= payload.count;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroU8;

    use serde::Deserialize;

    use super::*;
    use crate::value::Value;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Shape {
        Dot,
        Circle(f64),
        Line { from: u8, to: Option<u8> },
    }

    #[derive(Serialize, Deserialize)]
    struct Scene {
        name: Option<String>,
        shapes: Vec<Shape>,
    }

    /// A type that takes even numbers only.
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(try_from = "u8", into = "u8")]
    struct Even;

    impl From<Even> for u8 {
        fn from(_: Even) -> Self {
            2
        }
    }

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
        let samples = Samples::of(ty);
        (0..samples.count).try_for_each(|number| {
            let taken = read::<T>(ty, &samples.get(number)).map(drop);
            taken.map_err(|fault| fault.to_string())
        })
    }

    fn gives<T: Serialize + DeserializeOwned>(ty: &Type) -> Result<(), String> {
        gives_result::<T>(Some(ty), &mut SampleBudget::default())
    }

    #[track_caller]
    fn check<T: Serialize + DeserializeOwned>(ty: &Type, all: Result<(), &str>, any: bool) {
        let taken = takes_all::<T>(Some(ty));
        match (&taken, all) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            other => panic!("{ty}: {other:?}"),
        }
        assert_eq!(gives::<T>(ty).is_ok(), any, "{ty}");
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
        check::<Result<u32, String>>(&result, Err("invalid type: unit"), false);
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
    fn a_result_needs_values_of_all_fields_and_of_both_sides() {
        let price = Type::Record(vec![
            ("cents".into(), Type::U32),
            ("currency".into(), Type::String),
        ]);
        #[derive(Serialize, Deserialize)]
        struct Cents {
            cents: u32,
        }
        assert!(takes_all::<Cents>(Some(&price)).is_ok());
        let error = gives::<Cents>(&price).unwrap_err();
        assert!(error.contains("currency"), "{error}");
        let result = Type::Result {
            ok: Some(Box::new(Type::U32)),
            err: Some(Box::new(Type::String)),
        };
        assert_eq!(gives::<Result<u32, String>>(&result), Ok(()));
        assert!(gives::<Result<u32, u32>>(&result).is_err());
        assert!(gives::<Result<String, String>>(&result).is_err());
    }

    fn takes<T: DeserializeOwned>(arguments: &Type) -> Result<(), String> {
        takes_arguments::<T>(arguments, &mut SampleBudget::default())
    }

    #[test]
    fn the_arguments_are_named_by_their_places() {
        let arguments = Type::Tuple(vec![Type::Bool, scene(Type::U8)]);
        assert!(takes::<(bool, Scene)>(&arguments).is_ok());
        let error = takes::<(bool, Vec<u8>)>(&arguments).unwrap_err();
        assert!(
            error.starts_with("argument 2: invalid type: map"),
            "{error}"
        );
    }

    #[test]
    fn samples_of_large_types_are_bounded_together() {
        let cases = (0..1_000).map(|case| (case.to_string(), Some(scene(Type::U8))));
        let many = Type::Variant(cases.collect());
        let large = Type::Tuple(vec![many.clone(), many.clone(), many]);
        let bare = (0..10_000).map(|case| (case.to_string(), None)).collect();
        for ty in [large, Type::List(Box::new(Type::Variant(bare)))] {
            let samples = Samples::of(Some(&ty));
            assert!(samples.count > 1_000);
            let mut budget = SampleBudget::default();
            let all = budget.0;
            let visited = samples.affordable(&mut budget) * samples.n_visited;
            assert!(visited <= all, "{visited}");
            samples.affordable(&mut budget);
            assert_eq!(samples.affordable(&mut budget), 1);
        }
    }
}
