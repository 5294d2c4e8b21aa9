//! Values of all kinds, there and back, and what is said of those that do not fit.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::encode::encode_value;
use super::{decode, encode_arguments};
use crate::signature::{Signature, Type};

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
fn scalars_go_there_and_back() {
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
fn not_a_number_stays_what_it_is() {
    let bytes = encode_value(&Type::F64, &f64::NAN).unwrap();
    assert!(decode::<f64>(Some(&Type::F64), &bytes).unwrap().is_nan());
    let as_json: serde_json::Value = decode(Some(&Type::F64), &bytes).unwrap();
    assert_eq!(as_json, json!("NaN"));
    assert_eq!(encode_value(&Type::F64, &as_json).unwrap(), bytes);
    assert!(encode_value(&Type::F32, &"NaN").is_ok());
}

#[test]
fn compound_values_go_there_and_back() {
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
fn results_go_there_and_back() {
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
fn bytes_come_in_all_their_shapes_and_are_borrowed() {
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
fn a_fault_is_told_with_its_path() {
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
