//! Property tests: random values of random types in all forms and back, and random bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::encode::encode_value;
use super::tests::decode;
use super::wave::{call_arguments, call_name, to_wave};
use super::{encode_arguments, number};
use crate::value::{Signature, Type};

/// Names of fields and cases, among them keywords of other forms.
const NAMES: [&str; 10] = [
    "a", "b-c", "bc", "x1-y", "some", "none", "ok", "true", "inf", "URL-path",
];

fn any_type() -> impl Strategy<Value = Type> {
    let names = || subsequence(NAMES.as_slice(), 1..=NAMES.len());
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let leaf = prop_oneof![
        Just(Type::Bool),
        Just(Type::S8),
        Just(Type::U8),
        Just(Type::S16),
        Just(Type::U16),
        Just(Type::S32),
        Just(Type::U32),
        Just(Type::S64),
        Just(Type::U64),
        Just(Type::F32),
        Just(Type::F64),
        Just(Type::Char),
        Just(Type::String),
        Just(Type::List(Box::new(Type::U8))),
        names().prop_map(move |names| Type::Enum(owned(names))),
        names().prop_map(move |names| Type::Flags(owned(names))),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let payload = || proptest::option::of(inner.clone());
        prop_oneof![
            inner.clone().prop_map(|ty| Type::List(Box::new(ty))),
            inner.clone().prop_map(|ty| Type::Option(Box::new(ty))),
            vec(inner.clone(), 1..4).prop_map(Type::Tuple),
            (names(), vec(inner.clone(), NAMES.len()))
                .prop_map(|(names, types)| Type::Record(named(names, types))),
            (names(), vec(payload(), NAMES.len()))
                .prop_map(|(names, types)| Type::Variant(named(names, types))),
            (payload(), payload()).prop_map(|(ok, err)| Type::Result {
                ok: ok.map(Box::new),
                err: err.map(Box::new),
            }),
        ]
    })
}

fn named<T>(names: Vec<&str>, types: Vec<T>) -> Vec<(String, T)> {
    names.into_iter().map(str::to_owned).zip(types).collect()
}

/// The JSON form of a value of this type.
fn any_value(ty: &Type) -> BoxedStrategy<Json> {
    match ty {
        Type::Bool => any::<bool>().prop_map(Json::from).boxed(),
        Type::S8 => any::<i8>().prop_map(Json::from).boxed(),
        Type::U8 => any::<u8>().prop_map(Json::from).boxed(),
        Type::S16 => any::<i16>().prop_map(Json::from).boxed(),
        Type::U16 => any::<u16>().prop_map(Json::from).boxed(),
        Type::S32 => any::<i32>().prop_map(Json::from).boxed(),
        Type::U32 => any::<u32>().prop_map(Json::from).boxed(),
        Type::S64 => any::<i64>().prop_map(Json::from).boxed(),
        Type::U64 => any::<u64>().prop_map(Json::from).boxed(),
        Type::F32 => any::<u32>()
            .prop_map(|bits| number::f32_in_decimal(f32::from_bits(bits)))
            .prop_map(float)
            .boxed(),
        Type::F64 => any::<u64>()
            .prop_map(f64::from_bits)
            .prop_map(float)
            .boxed(),
        Type::Char => any::<char>()
            .prop_map(|value| value.to_string().into())
            .boxed(),
        Type::String => any::<String>().prop_map(Json::from).boxed(),
        Type::List(element) => vec(any_value(element), 0..5).prop_map(Json::from).boxed(),
        Type::Tuple(types) => {
            let places: Vec<_> = types.iter().map(any_value).collect();
            places.prop_map(Json::from).boxed()
        }
        Type::Record(fields) => {
            let field = |(name, ty): &(String, Type)| (Just(name.clone()), any_value(ty));
            let fields: Vec<_> = fields.iter().map(field).collect();
            fields
                .prop_map(|fields| Json::Object(fields.into_iter().collect()))
                .boxed()
        }
        Type::Variant(cases) => {
            let cases = cases.iter().map(|(name, ty)| match ty {
                Some(ty) => only_entry(name, any_value(ty)),
                None => Just(json!(name)).boxed(),
            });
            one_of(cases)
        }
        Type::Enum(names) => one_of(names.iter().map(|name| Just(json!(name)).boxed())),
        Type::Flags(names) => subsequence(names.clone(), 0..=names.len())
            .prop_map(Json::from)
            .boxed(),
        Type::Option(inner) => {
            let some = match **inner {
                Type::Option(_) => only_entry("some", any_value(inner)),
                _ => any_value(inner),
            };
            one_of([Just(Json::Null).boxed(), some])
        }
        Type::Result { ok, err } => {
            let payload = |ty: &Option<Box<Type>>| match ty {
                Some(ty) => any_value(ty),
                None => Just(Json::Null).boxed(),
            };
            one_of([
                only_entry("ok", payload(ok)),
                only_entry("err", payload(err)),
            ])
        }
    }
}

fn float(value: f64) -> Json {
    match number::not_finite(value) {
        Some(text) => text.into(),
        None => value.into(),
    }
}

fn only_entry(name: &str, value: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    let name = name.to_owned();
    value
        .prop_map(move |value| Json::Object([(name.clone(), value)].into_iter().collect()))
        .boxed()
}

fn one_of(values: impl IntoIterator<Item = BoxedStrategy<Json>>) -> BoxedStrategy<Json> {
    proptest::strategy::Union::new(values).boxed()
}

fn typed_value() -> impl Strategy<Value = (Type, Json)> {
    any_type().prop_flat_map(|ty| {
        let value = any_value(&ty);
        (Just(ty), value)
    })
}

/// Whether a value fits a schema. Knows only the keywords that our schemas use; others panic.
fn fits(schema: &Json, value: &Json) -> bool {
    let is_of_type = |says: &Json| match says.as_str() {
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        _ => false,
    };
    let schema = schema.as_object().unwrap();
    // The other keywords apply only to values of the type.
    if !schema.get("type").is_none_or(is_of_type) {
        return false;
    }
    let integer = |json: &Json| json.to_string().parse::<i128>().unwrap();
    let characters = || value.as_str().unwrap().chars().count() as i128;
    let items = || value.as_array().unwrap();
    schema.iter().all(|(keyword, says)| match keyword.as_str() {
        "$schema" | "title" | "type" => true,
        "minimum" => integer(value) >= integer(says),
        "maximum" => integer(value) <= integer(says),
        "minLength" => characters() >= integer(says),
        "maxLength" => characters() <= integer(says),
        "minItems" => items().len() as i128 >= integer(says),
        "maxItems" => items().len() as i128 <= integer(says),
        "const" => value == says,
        "enum" => says.as_array().unwrap().contains(value),
        "items" => items().iter().all(|item| fits(says, item)),
        "prefixItems" => {
            let mut items = says.as_array().unwrap().iter().zip(items());
            items.all(|(says, item)| fits(says, item))
        }
        "uniqueItems" => {
            let mut items = items().iter().enumerate();
            items.all(|(index, item)| !value.as_array().unwrap()[..index].contains(item))
        }
        "properties" => {
            let mut entries = value.as_object().unwrap().iter();
            entries.all(|(name, value)| says.get(name).is_some_and(|says| fits(says, value)))
        }
        "required" => {
            let mut names = says.as_array().unwrap().iter();
            names.all(|name| value.get(name.as_str().unwrap()).is_some())
        }
        "additionalProperties" => says == &json!(false),
        "anyOf" => says
            .as_array()
            .unwrap()
            .iter()
            .any(|says| fits(says, value)),
        "oneOf" => {
            let says = says.as_array().unwrap().iter();
            says.filter(|says| fits(says, value)).count() == 1
        }
        _ => false,
    })
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Everything {
    Nothing,
    Numbers(Vec<i64>, Vec<f32>, u8),
    #[serde(rename_all = "camelCase")]
    Named {
        first_name: Option<String>,
        some_bytes: Vec<u8>,
        is_it: Option<Option<bool>>,
        what: Result<char, (u16, String)>,
        boxed: Box<[i32; 2]>,
    },
}

fn everything() -> Type {
    let list = |ty| Type::List(Box::new(ty));
    let option = |ty| Type::Option(Box::new(ty));
    let record = Type::Record(vec![
        // Deliberately not in the order of the struct.
        ("boxed".into(), list(Type::S32)),
        ("is-it".into(), option(option(Type::Bool))),
        ("some-bytes".into(), list(Type::U8)),
        ("first-name".into(), option(Type::String)),
        (
            "what".into(),
            Type::Result {
                ok: Some(Box::new(Type::Char)),
                err: Some(Box::new(Type::Tuple(vec![Type::U16, Type::String]))),
            },
        ),
    ]);
    let numbers = Type::Tuple(vec![list(Type::S64), list(Type::F32), Type::U8]);
    Type::Variant(vec![
        ("named".into(), Some(record)),
        ("nothing".into(), None),
        ("numbers".into(), Some(numbers)),
    ])
}

fn any_everything() -> impl Strategy<Value = Everything> {
    let named = any::<(
        Option<String>,
        Vec<u8>,
        Option<Option<bool>>,
        Result<char, (u16, String)>,
        [i32; 2],
    )>();
    prop_oneof![
        Just(Everything::Nothing),
        (any::<Vec<i64>>(), any::<Vec<f32>>(), any::<u8>())
            .prop_map(|(a, b, c)| Everything::Numbers(a, b, c)),
        named.prop_map(
            |(first_name, some_bytes, is_it, what, boxed)| Everything::Named {
                first_name,
                some_bytes,
                is_it,
                what,
                boxed: Box::new(boxed),
            }
        )
    ]
}

fn signature_of(ty: &Type) -> Signature {
    Signature {
        params: vec![("value".into(), ty.clone())],
        result: Some(ty.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1000)
    })]

    #[test]
    fn the_json_form_makes_a_round_trip((ty, value) in typed_value()) {
        let wire = encode_value(&ty, &value).unwrap();
        let back: Json = decode(Some(&ty), &wire).unwrap();
        prop_assert_eq!(back.to_string(), value.to_string());
        // Also as text, as programs have it.
        let text = value.to_string();
        let parsed: Json = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(encode_value(&ty, &parsed).unwrap(), wire.clone());
        let any: crate::Value = decode(Some(&ty), &wire).unwrap();
        prop_assert_eq!(serde_json::to_string(&any).unwrap(), sorted_as_given(&any, &value));
        prop_assert_eq!(encode_value(&ty, &any).unwrap(), wire.clone());
        decode::<IgnoredAny>(Some(&ty), &wire).unwrap();
    }

    #[test]
    fn the_json_form_fits_its_schema((ty, value) in typed_value()) {
        let schema = serde_json::to_value(ty.json_schema()).unwrap();
        prop_assert!(fits(&schema, &value), "{} {}", schema, value);
        let schema = serde_json::to_value(signature_of(&ty).arguments_schema()).unwrap();
        prop_assert!(fits(&schema, &json!([value])));
    }

    #[test]
    fn the_wave_form_makes_a_round_trip((ty, value) in typed_value()) {
        let wire = encode_value(&ty, &value).unwrap();
        let call = format!("f({})", to_wave(Some(&ty), &wire).unwrap());
        prop_assert_eq!(call_name(&call).unwrap(), "f");
        let signature = signature_of(&ty);
        let arguments = call_arguments(&signature, &call)
            .map_err(|error| TestCaseError::fail(format!("{call}: {error}")))?;
        prop_assert_eq!(&arguments, &encode_arguments(&signature, &(value,)).unwrap());
        let values = signature.wave_arguments(&call).unwrap();
        prop_assert_eq!(&encode_arguments(&signature, &values).unwrap(), &arguments);
        let output = Signature { result: Some(ty), ..signature };
        if !matches!(output.result, Some(Type::Result { .. })) {
            prop_assert_eq!(format!("f({})", output.wave_output(&values[0]).unwrap()), call);
        }
    }

    #[test]
    fn typed_values_make_a_round_trip(value in any_everything()) {
        let ty = everything();
        let wire = encode_value(&ty, &value).unwrap();
        prop_assert_eq!(&decode::<Everything>(Some(&ty), &wire).unwrap(), &value);
        let json: Json = decode(Some(&ty), &wire).unwrap();
        prop_assert_eq!(encode_value(&ty, &json).unwrap(), wire);
    }

    #[test]
    fn corrupt_bytes_are_refused_or_read_but_never_panic(
        (ty, value) in typed_value(),
        hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut wire = encode_value(&ty, &value).unwrap();
        for (index, byte) in hits {
            let index = index.index(wire.len());
            wire[index] = byte;
        }
        for wire in [&wire[..], &wire[..cut.index(wire.len())]] {
            let any = decode::<crate::Value>(Some(&ty), wire);
            let wave = to_wave(Some(&ty), wire);
            prop_assert_eq!(any.is_ok(), wave.is_ok());
            prop_assert_eq!(any.is_ok(), decode::<IgnoredAny>(Some(&ty), wire).is_ok());
            if let Ok(any) = any {
                prop_assert!(encode_value(&ty, &any).is_ok());
            }
            let _ = decode::<Everything>(Some(&ty), wire);
        }
        let _ = decode::<Everything>(Some(&everything()), &wire);
    }

    #[test]
    fn any_bytes_and_any_text_are_handled_without_a_panic(
        ty in any_type(),
        bytes in any::<Vec<u8>>(),
        text in any::<String>(),
        nearly_wave in r#"[-+\[\]{}(),:a-f0-9'"\\%. \n]{0,40}"#,
    ) {
        let _ = decode::<crate::Value>(Some(&ty), &bytes);
        let _ = to_wave(Some(&ty), &bytes);
        let signature = signature_of(&ty);
        let _ = call_arguments(&signature, &text);
        let _ = call_arguments(&signature, &format!("f({text})"));
        let _ = call_arguments(&signature, &format!("f({nearly_wave})"));
    }

    #[test]
    fn values_of_other_types_are_refused_unless_they_fit_the_schema(
        (_, value) in typed_value(),
        ty in any_type(),
    ) {
        let schema = serde_json::to_value(ty.json_schema()).unwrap();
        match encode_value(&ty, &value) {
            Ok(wire) => {
                decode::<crate::Value>(Some(&ty), &wire).unwrap();
            }
            // An `f32` cannot hold every number, which a schema cannot say.
            Err(error) if error.problem().contains("cannot hold") => {}
            Err(error) => prop_assert!(!fits(&schema, &value), "{} {} {}", schema, value, error),
        }
    }
}

/// The text of `value` with the keys of its objects in the order of `any`.
fn sorted_as_given(any: &crate::Value, value: &Json) -> String {
    use crate::Value;
    match (any, value) {
        (Value::Map(pairs), Json::Object(object)) => {
            let entries: Vec<_> = pairs
                .iter()
                .map(|(key, any)| {
                    let Value::Text(key) = key else {
                        panic!("a key that is no text");
                    };
                    format!("{}:{}", json!(key), sorted_as_given(any, &object[key]))
                })
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        (Value::List(values), Json::Array(array)) => {
            let elements = values.iter().zip(array);
            let elements: Vec<_> = elements
                .map(|(any, value)| sorted_as_given(any, value))
                .collect();
            format!("[{}]", elements.join(","))
        }
        (_, value) => value.to_string(),
    }
}
