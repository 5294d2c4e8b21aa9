//! Values of all kinds, there and back, and what is said of those that do not fit.

use std::collections::{BTreeMap, HashMap};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::encode::encode_value;
use super::encode_arguments;
use super::wave::{call_arguments, call_name, to_wave};
use crate::value::{Signature, Type};

/// Reads a value without a limit.
pub(super) fn decode<'de, T: Deserialize<'de>>(
    ty: Option<&Type>,
    bytes: &'de [u8],
) -> Result<T, String> {
    super::decode(ty, bytes, usize::MAX)
}

fn list(element: Type) -> Type {
    Type::List(Box::new(element))
}

fn option(inner: Type) -> Type {
    Type::Option(Box::new(inner))
}

fn result(ok: Option<Type>, err: Option<Type>) -> Type {
    Type::Result {
        ok: ok.map(Box::new),
        err: err.map(Box::new),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn record(fields: &[(&str, Type)]) -> Type {
    let field = |(name, ty): &(&str, Type)| (name.to_string(), ty.clone());
    Type::Record(fields.iter().map(field).collect())
}

fn variant(cases: &[(&str, Option<Type>)]) -> Type {
    let case = |(name, ty): &(&str, Option<Type>)| (name.to_string(), ty.clone());
    Type::Variant(cases.iter().map(case).collect())
}

fn signature(params: &[Type]) -> Signature {
    let named = |(index, ty): (usize, &Type)| (format!("p{}", index + 1), ty.clone());
    Signature {
        params: params.iter().enumerate().map(named).collect(),
        result: None,
    }
}

/// Writes a value, and checks that it is read as it was, and that its JSON form is `json`, out
/// of which the same bytes are written again.
#[track_caller]
fn check<'de, T>(ty: &Type, value: T, json: serde_json::Value)
where
    T: Serialize + for<'a> Deserialize<'a> + PartialEq + std::fmt::Debug,
{
    let bytes = encode_value(ty, &value).unwrap();
    assert_eq!(decode::<T>(Some(ty), &bytes).unwrap(), value);
    let as_json: serde_json::Value = decode(Some(ty), &bytes).unwrap();
    assert_eq!(as_json.to_string(), json.to_string());
    assert_eq!(encode_value(ty, &json).unwrap(), bytes);
    let as_value: crate::Value = decode(Some(ty), &bytes).unwrap();
    assert_eq!(encode_value(ty, &as_value).unwrap(), bytes);
}

/// Checks what is said of a value that does not fit.
#[track_caller]
fn check_refused(ty: Type, value: impl Serialize, message: &str) {
    let error = encode_arguments(&signature(&[ty]), &(value,)).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Dot,
    AtPoint(Point),
    Line(Point, Point),
    Circle { center: Point, the_radius: f32 },
}

fn point() -> Type {
    record(&[("x", Type::F64), ("y", Type::F64)])
}

fn shape() -> Type {
    variant(&[
        (
            "circle",
            Some(record(&[("the-radius", Type::F32), ("center", point())])),
        ),
        ("line", Some(Type::Tuple(vec![point(), point()]))),
        ("at-point", Some(point())),
        ("dot", None),
    ])
}

#[test]
fn scalars_make_a_round_trip() {
    check(&Type::Bool, true, json!(true));
    check(&Type::S8, i8::MIN, json!(-128));
    check(&Type::U64, u64::MAX, json!(u64::MAX));
    check(&Type::S64, i64::MIN, json!(i64::MIN));
    check(&Type::S64, 5_i128, json!(5));
    check(&Type::F64, -0.0, json!(-0.0));
    check(&Type::F32, 0.1_f32, json!(0.1));
    check(&Type::F64, f64::INFINITY, json!("Infinity"));
    check(&Type::F32, f32::NEG_INFINITY, json!("-Infinity"));
    check(&Type::Char, 'ß', json!("ß"));
    check(&Type::String, "a\0ß".to_owned(), json!("a\0ß"));
}

#[test]
fn nan_makes_a_round_trip() {
    let bytes = encode_value(&Type::F64, &f64::NAN).unwrap();
    assert!(decode::<f64>(Some(&Type::F64), &bytes).unwrap().is_nan());
    let as_json: serde_json::Value = decode(Some(&Type::F64), &bytes).unwrap();
    assert_eq!(as_json, json!("NaN"));
    assert_eq!(encode_value(&Type::F64, &as_json).unwrap(), bytes);
    assert!(encode_value(&Type::F32, &"NaN").is_ok());
}

#[test]
fn compound_values_make_a_round_trip() {
    let p = Point { x: 1.0, y: -2.5 };
    check(&point(), p.clone(), json!({"x": 1.0, "y": -2.5}));
    check(&list(Type::U16), vec![1_u16, 500], json!([1, 500]));
    check(
        &Type::Tuple(vec![Type::U8, Type::String]),
        (1_u8, "a".to_owned()),
        json!([1, "a"]),
    );
    check(&shape(), Shape::Dot, json!("dot"));
    check(
        &shape(),
        Shape::AtPoint(p.clone()),
        json!({"at-point": {"x": 1.0, "y": -2.5}}),
    );
    check(
        &shape(),
        Shape::Line(p.clone(), p.clone()),
        json!({"line": [{"x": 1.0, "y": -2.5}, {"x": 1.0, "y": -2.5}]}),
    );
    check(
        &shape(),
        Shape::Circle {
            center: p,
            the_radius: 0.5,
        },
        json!({"circle": {"the-radius": 0.5, "center": {"x": 1.0, "y": -2.5}}}),
    );
    let map = BTreeMap::from([("a".to_owned(), 1_u32), ("b".to_owned(), 2)]);
    let pairs = list(Type::Tuple(vec![Type::String, Type::U32]));
    check(&pairs, map, json!([["a", 1], ["b", 2]]));
}

#[test]
fn options_of_options_lose_nothing() {
    let ty = option(Type::U8);
    check(&ty, None::<u8>, json!(null));
    check(&ty, Some(7_u8), json!(7));
    let ty = option(ty);
    check(&ty, None::<Option<u8>>, json!(null));
    check(&ty, Some(None::<u8>), json!({"some": null}));
    check(&ty, Some(Some(7_u8)), json!({"some": 7}));
    let ty = option(ty);
    check(&ty, Some(Some(None::<u8>)), json!({"some": {"some": null}}));
}

#[test]
fn results_make_a_round_trip() {
    let ty = result(Some(Type::U8), Some(Type::String));
    check(&ty, Ok::<u8, String>(1), json!({"ok": 1}));
    check(&ty, Err::<u8, _>("no".to_owned()), json!({"err": "no"}));
    let ty = result(None, Some(Type::String));
    check(&ty, Ok::<(), String>(()), json!({"ok": null}));
    let bytes = encode_value(&ty, &json!("ok")).unwrap();
    assert_eq!(bytes, [0x91, 0]);
}

#[test]
fn enums_and_flags_go_there_and_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Color {
        Red,
        DarkGreen,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Rights {
        read: bool,
        write_all: bool,
    }
    let ty = Type::Enum(names(&["red", "dark-green"]));
    check(&ty, Color::DarkGreen, json!("dark-green"));
    check(&list(ty), vec![Color::Red], json!(["red"]));
    let ty = Type::Flags(names(&["read", "write-all"]));
    let rights = Rights {
        read: false,
        write_all: true,
    };
    check(&ty, rights, json!(["write-all"]));
    check(
        &ty,
        vec!["read".to_owned(), "write-all".to_owned()],
        json!(["read", "write-all"]),
    );
    let set = HashMap::from([("read".to_owned(), true), ("write-all".to_owned(), false)]);
    check(&ty, set, json!(["read"]));
}

#[test]
fn bytes_are_accepted_in_all_forms_and_borrowed() {
    let ty = list(Type::U8);
    check(&ty, vec![1_u8, 0, 255], json!([1, 0, 255]));
    check(
        &ty,
        serde_bytes::ByteBuf::from([1, 0, 255]),
        json!([1, 0, 255]),
    );
    let bytes = encode_value(&ty, &json!({"base64": "AQD/"})).unwrap();
    assert_eq!(bytes, [0xc4, 3, 1, 0, 255]);
    assert_eq!(decode::<&[u8]>(Some(&ty), &bytes).unwrap(), [1, 0, 255]);
    let bytes = encode_value(&Type::String, &"text").unwrap();
    assert_eq!(decode::<&str>(Some(&Type::String), &bytes).unwrap(), "text");
}

#[test]
fn sequences_of_unknown_length_get_the_shortest_header() {
    struct Unknown(u32);
    impl Serialize for Unknown {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..self.0).filter(|_| true))
        }
    }
    for n in [0_u32, 15, 16, 200, 70_000] {
        let ty = list(Type::U32);
        let known: Vec<u32> = (0..n).collect();
        let known = encode_value(&ty, &known).unwrap();
        assert_eq!(encode_value(&ty, &Unknown(n)).unwrap(), known);
    }
}

#[test]
fn arguments_are_one_array() {
    let params = signature(&[Type::U64, option(Type::String)]);
    let bytes = encode_arguments(&params, &(360_u64, Some("a"))).unwrap();
    assert_eq!(bytes, [0x92, 0xcd, 1, 104, 0x91, 0xa1, b'a']);
    let bytes = encode_arguments(&params, &(360_u64,)).unwrap();
    assert_eq!(bytes, [0x92, 0xcd, 1, 104, 0xc0]);
    assert_eq!(encode_arguments(&signature(&[]), &()).unwrap(), [0x90]);
    let error = encode_arguments(&params, &()).unwrap_err();
    let expected = "expected 2 arguments (p1: u64, p2: option<string>), got 0";
    assert_eq!(error.to_string(), expected);
    let error = encode_arguments(&params, &(1, "a", 2)).unwrap_err();
    let expected = "expected 2 arguments (p1: u64, p2: option<string>), got 3";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_fault_has_its_path() {
    let polygon = record(&[("corners", list(point()))]);
    let corners = json!([{"x": 1, "y": 2}, {"x": "a", "y": 2}]);
    let error = encode_arguments(
        &signature(&[Type::U8, polygon]),
        &(1, json!({ "corners": corners })),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"argument 2.corners[1].x: expected f64, got "a""#
    );
    assert_eq!(error.path(), "argument 2.corners[1].x");
}

#[test]
fn a_mismatch_names_the_expected_type() {
    check_refused(Type::Bool, 1, "argument 1: expected bool, got 1");
    check_refused(Type::U8, 256, "argument 1: expected u8, got 256");
    check_refused(Type::U8, -1, "argument 1: expected u8, got -1");
    check_refused(Type::S8, 128_u8, "argument 1: expected s8, got 128");
    check_refused(Type::U32, 1.5, "argument 1: expected u32, got 1.5");
    check_refused(Type::U32, "1.5", r#"argument 1: expected u32, got "1.5""#);
    check_refused(
        Type::U64,
        u128::MAX,
        &format!("argument 1: expected u64, got {}", u128::MAX),
    );
    check_refused(Type::F64, "a", r#"argument 1: expected f64, got "a""#);
    check_refused(
        Type::F64,
        (1_u64 << 53) + 1,
        "argument 1: expected f64, got 9007199254740993, which it cannot hold exactly",
    );
    check_refused(
        Type::F32,
        1.23456789,
        "argument 1: expected f32, got 1.23456789, which it cannot hold: the nearest is 1.2345679",
    );
    check_refused(Type::Char, "ab", r#"argument 1: expected char, got "ab""#);
    check_refused(Type::Char, "", r#"argument 1: expected char, got """#);
    check_refused(Type::String, 1, "argument 1: expected string, got 1");
    check_refused(Type::String, (), "argument 1: expected string, got null");
    check_refused(
        list(Type::U8),
        "abcd",
        r#"argument 1: expected list<u8>, got "abcd": give bytes as numbers or as {"base64": "..."}"#,
    );
    check_refused(
        list(Type::U8),
        [1, 2, 300],
        "argument 1[2]: expected u8, got 300",
    );
    check_refused(
        list(Type::U16),
        serde_bytes::Bytes::new(&[1]),
        "argument 1: expected list<u16>, got 1 byte",
    );
    check_refused(
        list(Type::U16),
        json!({}),
        "argument 1: expected list<u16>, got a map",
    );
    check_refused(
        Type::Tuple(vec![Type::U8, Type::U8]),
        [1, 2, 3],
        "argument 1: expected tuple<u8, u8>, got a list of 3 elements",
    );
    check_refused(
        Type::Tuple(vec![Type::U8, Type::U8]),
        (1, "a"),
        r#"argument 1.1: expected u8, got "a""#,
    );
    check_refused(option(Type::U8), "a", r#"argument 1: expected u8, got "a""#);
    check_refused(
        point(),
        [1, 2],
        "argument 1: expected record { x: f64, y: f64 }, got a list of 2 elements",
    );
}

#[test]
fn unknown_names_are_reported_with_the_existing_ones() {
    let color = || Type::Enum(names(&["red", "dark-green"]));
    check_refused(
        color(),
        "DarkGren",
        "argument 1: unknown case `DarkGren`, did you mean `dark-green`? \
         (there are `red`, `dark-green`)",
    );
    check_refused(
        Type::Flags(names(&["read", "write"])),
        ["read", "exec"],
        "argument 1[1]: unknown flag `exec` (there are `read`, `write`)",
    );
    check_refused(
        Type::Flags(names(&["read", "write"])),
        ["read", "read"],
        "argument 1: the flag `read` is given twice",
    );
    check_refused(
        point(),
        json!({"x": 1}),
        "argument 1: missing field `y` of record { x: f64, y: f64 }",
    );
    check_refused(
        point(),
        json!({"x": 1, "y": 2, "z": 3}),
        "argument 1: unknown field `z` (there are `x`, `y`)",
    );
    check_refused(
        point(),
        json!({"x": 1, "X": 2}),
        "argument 1: the field `x` is given twice",
    );
    check_refused(
        shape(),
        json!({"at-point": {"x": 1}}),
        "argument 1.at-point: missing field `y` of record { x: f64, y: f64 }",
    );
    check_refused(
        shape(),
        "at-point",
        "argument 1: the case `at-point` takes a value: expected record { x: f64, y: f64 }, got none",
    );
    check_refused(
        shape(),
        json!({"dot": 1}),
        "argument 1: the case `dot` takes no value, got 1",
    );
    check_refused(
        color(),
        1,
        "argument 1: expected enum { red, dark-green }, got 1",
    );
    check_refused(
        result(Some(Type::U8), None),
        json!({"ok": 1, "err": null}),
        "argument 1: expected a single case of it, got several (result<u8>)",
    );
}

#[test]
fn fields_of_options_may_be_omitted() {
    let ty = record(&[
        ("a", option(Type::U8)),
        ("b", Type::U8),
        ("c", option(Type::U8)),
    ]);
    let bytes = encode_value(&ty, &json!({"b": 1})).unwrap();
    assert_eq!(bytes, [0x93, 0xc0, 1, 0xc0]);
    let bytes = encode_value(&ty, &json!({"c": 3, "b": 1})).unwrap();
    assert_eq!(bytes, [0x93, 0xc0, 1, 0x91, 3]);
}

#[test]
fn numbers_convert_where_nothing_is_lost() {
    assert_eq!(encode_value(&Type::U8, &"255").unwrap(), [0xcc, 255]);
    assert_eq!(encode_value(&Type::U8, &3.0).unwrap(), [3]);
    assert_eq!(
        encode_value(&Type::F64, &3).unwrap(),
        encode_value(&Type::F64, &3.0).unwrap()
    );
    assert_eq!(
        encode_value(&Type::F32, &0.1_f64).unwrap(),
        encode_value(&Type::F32, &0.1_f32).unwrap()
    );
    let largest = json!(u64::MAX.to_string());
    assert!(encode_value(&Type::U64, &largest).is_ok());
}

/// Checks what is said of a value that the caller's type does not take.
#[track_caller]
fn check_not_taken<T: for<'a> Deserialize<'a> + std::fmt::Debug>(
    ty: Type,
    value: serde_json::Value,
    message: &str,
) {
    let bytes = encode_value(&ty, &value).unwrap();
    assert_eq!(decode::<T>(Some(&ty), &bytes).unwrap_err(), message);
}

#[test]
fn a_result_mismatch_has_its_path() {
    check_not_taken::<Vec<u8>>(
        list(Type::U16),
        json!([1, 300]),
        "result[1]: invalid value: integer `300`, expected u8",
    );
    check_not_taken::<Point>(
        record(&[("x", Type::F64), ("y", Type::String)]),
        json!({"x": 1.0, "y": "a"}),
        r#"result.y: invalid type: string "a", expected f64"#,
    );
    check_not_taken::<Shape>(
        variant(&[("triangle", None)]),
        json!("triangle"),
        "result: unknown variant `triangle`, expected one of \
         `Dot`, `AtPoint`, `Line`, `Circle`",
    );
    check_not_taken::<Shape>(
        variant(&[("dot", Some(Type::U8))]),
        json!({"dot": 1}),
        "result: the case `dot` comes with a value of type u8, which was not taken",
    );
    check_not_taken::<(u8, u8)>(
        list(Type::U8),
        json!([1, 2, 3]),
        "result: 1 part more than the type of the caller takes",
    );
    let error = decode::<u8>(Some(&Type::U8), &[0xcd, 1, 1]).unwrap_err();
    assert_eq!(error, "result: the bytes do not hold a value of type u8");
    let error = decode::<u8>(Some(&Type::U8), &[1, 1]).unwrap_err();
    assert_eq!(error, "result: 1 byte is left over");
    assert_eq!(decode::<()>(None, &[0xc0]), Ok(()));
    assert_eq!(decode::<Option<u8>>(None, &[0xc0]), Ok(None));
}

#[track_caller]
fn check_wave(params: &[Type], text: &str, arguments: serde_json::Value) {
    let signature = signature(params);
    let expected = encode_arguments(&signature, arguments.as_array().unwrap());
    assert_eq!(call_arguments(&signature, text).unwrap(), expected.unwrap());
}

#[test]
fn wave_calls_are_read() {
    assert_eq!(call_name("factorize(360)").unwrap(), "factorize");
    let name = "ns:pkg/iface@1.0.0#func";
    assert_eq!(call_name(&format!("{name} ()")).unwrap(), name);
    check_wave(&[Type::U64], "factorize(360)", json!([360]));
    check_wave(&[], "f( )", json!([]));
    check_wave(&[option(Type::U8)], "f()", json!([null]));
    check_wave(&[option(Type::U8)], "f(3)", json!([3]));
    check_wave(
        &[shape(), list(Type::F32), Type::Char],
        r"f(at-point({x: 1, y: -2.5}), [0.1, nan, -inf, 1e3], '\u{df}')",
        json!([{"at-point": {"x": 1, "y": -2.5}}, [0.1, "NaN", "-Infinity", 1000], "ß"]),
    );
    check_wave(
        &[
            Type::Flags(names(&["read", "true"])),
            result(None, Some(Type::String)),
        ],
        r#"f({true, read}, err("no"))"#,
        json!([["read", "true"], {"err": "no"}]),
    );
    check_wave(&[list(Type::U8)], "f([1, 0, 255])", json!([[1, 0, 255]]));
}

#[track_caller]
fn check_wave_refused(params: &[Type], text: &str, message: &str) {
    let error = call_arguments(&signature(params), text).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_wave_mismatch_has_its_position() {
    let polygon = record(&[("corners", list(point()))]);
    check_wave_refused(
        &[Type::U8, polygon],
        "f(1, {corners: [{x: 1, y: 2},\n {x: \"a\", y: 2}]})",
        r#"2:6: argument 2.corners[1].x: expected f64, got "a""#,
    );
    check_wave_refused(
        &[Type::U8],
        "f(256)",
        "1:3: argument 1: expected u8, got 256",
    );
    check_wave_refused(
        &[Type::F32],
        "f(1e40)",
        "1:3: argument 1: expected f32, got 1e40",
    );
    check_wave_refused(
        &[Type::String],
        "f(a)",
        "1:3: argument 1: expected string, got a",
    );
    check_wave_refused(
        &[Type::Enum(names(&["red"]))],
        "f(rde)",
        "1:3: argument 1: unknown case `rde` (there are `red`)",
    );
    check_wave_refused(
        &[shape()],
        "f(dot(1))",
        "1:3: argument 1: the case `dot` takes no value, got 1",
    );
    check_wave_refused(&[Type::U8], "f(1", "1:4: unexpected end of input");
    check_wave_refused(
        &[Type::U8],
        "f(1) 2",
        "1:6: trailing characters after value",
    );
    check_wave_refused(
        &[Type::U8],
        "f",
        "1:2: expected a call in the form `name(arguments)`",
    );
    check_wave_refused(
        &[Type::U8],
        "f()",
        "1:2: expected 1 argument (p1: u8), got 0",
    );
}

#[test]
fn values_are_shown_as_wave() {
    let shown = |ty: &Type, value: serde_json::Value| {
        to_wave(Some(ty), &encode_value(ty, &value).unwrap()).unwrap()
    };
    assert_eq!(
        shown(&shape(), json!({"at-point": {"x": 1, "y": -2.5}})),
        "at-point({x: 1, y: -2.5})"
    );
    assert_eq!(
        shown(&list(Type::F64), json!(["NaN", "Infinity", -0.0, 1e300])),
        "[nan, inf, -0, 1e300]"
    );
    assert_eq!(shown(&Type::String, json!("a\"\n\0ß")), r#""a\"\n\u{0}ß""#);
    let ty = record(&[("a", option(Type::U8))]);
    assert_eq!(shown(&ty, json!({"a": null})), "{:}");
    assert_eq!(to_wave(None, &[0xc0]).unwrap(), "");
}

#[test]
fn a_type_with_the_reserved_name_gets_bytes_as_bytes() {
    #[derive(Debug, PartialEq)]
    struct Any(crate::Value);
    impl<'de> Deserialize<'de> for Any {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct AnyVisitor;
            impl<'de> serde::de::Visitor<'de> for AnyVisitor {
                type Value = Any;
                fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    formatter.write_str("bytes")
                }
                fn visit_bytes<E>(self, value: &[u8]) -> Result<Any, E> {
                    Ok(Any(crate::Value::Bytes(value.to_owned())))
                }
            }
            deserializer.deserialize_newtype_struct(super::ANY_VALUE, AnyVisitor)
        }
    }
    let ty = list(Type::U8);
    let bytes = encode_value(&ty, &[1_u8, 2]).unwrap();
    let any: Any = decode(Some(&ty), &bytes).unwrap();
    assert_eq!(any, Any(crate::Value::Bytes(vec![1, 2])));
    assert_eq!(encode_value(&ty, &any.0).unwrap(), bytes);
}

#[test]
fn schemas_are_those_of_the_json_form() {
    let schema = |value| serde_json::to_value::<crate::Value>(value).unwrap();
    let signature = Signature {
        params: vec![
            ("n".into(), Type::U8),
            (
                "shape".into(),
                variant(&[("dot", None), ("at", Some(Type::Bool))]),
            ),
            ("more".into(), option(Type::String)),
        ],
        result: Some(result(None, Some(Type::String))),
    };
    let dialect = "https://json-schema.org/draft/2020-12/schema";
    assert_eq!(
        schema(signature.arguments_schema()),
        json!({
            "$schema": dialect,
            "type": "array",
            "prefixItems": [
                {"title": "n", "type": "integer", "minimum": 0, "maximum": 255},
                {"title": "shape", "oneOf": [
                    {"const": "dot"},
                    {
                        "type": "object",
                        "properties": {"at": {"type": "boolean"}},
                        "required": ["at"],
                        "additionalProperties": false,
                    },
                ]},
                {"title": "more", "anyOf": [{"type": "string"}, {"type": "null"}]},
            ],
            "minItems": 2,
            "maxItems": 3,
        })
    );
    assert_eq!(
        schema(signature.output_schema()),
        json!({"$schema": dialect, "type": "null"})
    );
    assert_eq!(
        schema(record(&[("a", option(option(Type::Char))), ("b", list(Type::S64))]).json_schema()),
        json!({
            "type": "object",
            "properties": {
                "a": {"anyOf": [
                    {
                        "type": "object",
                        "properties": {"some": {"anyOf": [
                            {"type": "string", "minLength": 1, "maxLength": 1},
                            {"type": "null"},
                        ]}},
                        "required": ["some"],
                        "additionalProperties": false,
                    },
                    {"type": "null"},
                ]},
                "b": {"type": "array", "items": {
                    "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX,
                }},
            },
            "required": ["b"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn making_a_text_for_a_message_stops_where_it_is_cut() {
    struct Endless;
    impl std::fmt::Display for Endless {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            loop {
                formatter.write_str("tüple<")?;
            }
        }
    }
    let text = super::path::shortened(Endless);
    assert_eq!(text.chars().count(), 80 + "...".len());
    assert!(text.starts_with("tüple<tüple<") && text.ends_with("..."));
}

#[test]
fn wave_is_cut_where_there_is_a_limit() {
    let ty = list(Type::String);
    let wire = encode_value(&ty, &["one", "two"]).unwrap();
    for (limit, expected) in [
        (14, r#"["one", "two"]"#),
        (13, r#"["one", "two" ..."#),
        (3, r#"["o ..."#),
        (0, " ..."),
    ] {
        let text = super::to_wave_cut(Some(&ty), &wire, limit);
        assert_eq!(text.as_deref(), Ok(expected));
    }
    // What is written before the cut must be right all the same.
    let text = super::to_wave_cut(Some(&ty), &wire[..5], 100);
    text.unwrap_err();
}

#[test]
fn decoded_values_are_counted_to_the_byte() {
    fn check<T: for<'de> Deserialize<'de>>(ty: &Type, value: impl Serialize, made: usize) {
        let bytes = encode_value(ty, &value).unwrap();
        let read = |limit| super::decode::<T>(Some(ty), &bytes, limit).map(drop);
        read(made).unwrap();
        if let Some(less) = made.checked_sub(1) {
            let problem = read(less).unwrap_err();
            assert!(problem.contains(&format!("{less} bytes")), "{problem}");
        }
    }
    let colors = Type::Enum(names(&["red", "green"]));
    let record = record(&[("n", list(Type::U8)), ("color", option(colors.clone()))]);
    let value = json!({"n": [1, 2, 3], "color": "green"});
    // The record with two names; the bytes; the case with its name.
    let in_values = (32 + 33 + 37) + 32 + (32 + 32 + 37);
    check::<crate::Value>(&record, &value, in_values);
    // And three numbers.
    check::<serde_json::Value>(&record, &value, in_values + 3 * 32);
    check::<HashMap<String, crate::Value>>(&record, &value, in_values - 32);
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Color {
        Red,
        Green,
    }
    #[derive(Deserialize)]
    struct Known {
        #[allow(dead_code)]
        color: Option<Color>,
    }
    check::<Known>(&record, &value, 0);
    check::<Vec<u8>>(&list(Type::U8), [1, 2, 3], 0);
    check::<serde_bytes::ByteBuf>(&list(Type::U8), [1, 2, 3], 0);
    check::<Vec<String>>(&list(Type::String), ["a", "b"], 0);
    check::<Vec<Color>>(&list(colors.clone()), ["red", "green"], 0);
    check::<Vec<String>>(&list(colors), ["red", "green"], (32 + 3) + (32 + 5));
    let flags = Type::Flags(names(&["red", "green"]));
    check::<Vec<Color>>(&flags, ["red"], 0);
    check::<Vec<String>>(&flags, ["red"], 32 + 3);
    check::<HashMap<String, bool>>(&flags, ["red"], (32 + 3) + (32 + 5));
}

#[test]
fn a_text_of_no_or_two_characters_is_not_a_char() {
    let ty = Type::Char;
    for (text, is_char) in [("", false), ("a", true), ("\u{df}", true), ("ab", false)] {
        let bytes = encode_value(&Type::String, &text).unwrap();
        assert_eq!(decode::<crate::Value>(Some(&ty), &bytes).is_ok(), is_char);
        assert_eq!(decode::<IgnoredAny>(Some(&ty), &bytes).is_ok(), is_char);
        assert_eq!(decode::<char>(Some(&ty), &bytes).is_ok(), is_char);
        assert_eq!(to_wave(Some(&ty), &bytes).is_ok(), is_char);
    }
}

#[test]
fn schemas_describe_a_bounded_number_of_types() {
    let mut ty = Type::U8;
    for _ in 0..14 {
        ty = Type::Tuple(vec![ty.clone(), ty]);
    }
    let described = |schema: crate::Value| {
        let schema = serde_json::to_string(&schema).unwrap();
        schema.matches(r#""type""#).count()
    };
    assert_eq!(described(ty.json_schema()), 10_000);
    let signature = signature(&[ty.clone(), Type::U8]);
    // The array of the arguments itself; the second one is not described any more.
    assert_eq!(described(signature.arguments_schema()), 1 + 10_000);
    let schema = serde_json::to_value(signature.arguments_schema()).unwrap();
    assert_eq!(schema["prefixItems"][1], json!({"title": "p2"}));
}

#[test]
fn floats_in_errors_have_exponents() {
    for float in [1e300, -f64::MIN_POSITIVE, 0.5, 1e15] {
        let words = format!("floating point `{float:?}`, expected a boolean");
        let bytes = crate::value::encode(&float).unwrap();
        let typed = decode::<bool>(Some(&Type::F64), &bytes).unwrap_err();
        assert!(typed.contains(&words), "{typed}");
        let untyped = crate::value::decode::<bool>(&bytes).unwrap_err();
        assert!(untyped.contains(&words), "{untyped}");
    }
}
