//! From a cell of a table to an argument.
//!
//! A parameter's type says what its cells are. A function of a component has types. Other tasks do
//! not tell theirs: for them a cell is what an input on the command line is, JSON or else text.

use serde_json::Value;
use wasmpool::Type;

/// The argument that a cell stands for; `ty` is the parameter's type, if it is known.
pub(super) fn argument(cell: &str, ty: Option<&Type>) -> Value {
    match ty {
        Some(ty) => of_type(cell, ty),
        None => json_or_text(cell),
    }
}

/// Values that do not fit the type are passed on as text, so that the error shows what is there.
fn of_type(cell: &str, ty: &Type) -> Value {
    match ty {
        Type::String | Type::Char | Type::Enum(_) => text(cell),
        // Spreadsheets write `TRUE`, and Python writes `True`.
        Type::Bool => match cell.trim() {
            word if word.eq_ignore_ascii_case("true") => Value::Bool(true),
            word if word.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ => text(cell),
        },
        Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64
        | Type::F32
        | Type::F64 => match serde_json::from_str(cell) {
            Ok(Value::Number(number)) => Value::Number(number),
            // Such as `NaN`, or digits beyond 64 bits.
            _ => text(cell.trim()),
        },
        Type::Option(_) if cell.is_empty() => Value::Null,
        Type::Option(inner) => match **inner {
            // `{"some": ..}`
            Type::Option(_) => json_or_text(cell),
            ref inner => of_type(cell, inner),
        },
        // A case without a value is its name, and a name may be a word of JSON, such as `true`.
        Type::Variant(_) | Type::Result { .. } if !cell.trim_start().starts_with('{') => text(cell),
        _ => json_or_text(cell),
    }
}

fn json_or_text(cell: &str) -> Value {
    serde_json::from_str(cell).unwrap_or_else(|_| text(cell))
}

fn text(cell: &str) -> Value {
    Value::String(cell.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(ty: Option<&Type>, cells: &[(&str, Value)]) {
        for (cell, expected) in cells {
            assert_eq!(argument(cell, ty), *expected, "`{cell}`: {ty:?}");
        }
    }

    fn option(ty: Type) -> Type {
        Type::Option(Box::new(ty))
    }

    #[test]
    fn cells_of_unknown_type_are_json_or_else_text() {
        check(
            None,
            &[
                ("5", json!(5)),
                ("-1.5e3", json!(-1500.0)),
                ("null", Value::Null),
                ("[1, \"a\"]", json!([1, "a"])),
                ("\"5\"", json!("5")),
                ("a b", json!("a b")),
                ("007", json!("007")),
                ("", json!("")),
            ],
        );
    }

    #[test]
    fn text_is_text_whatever_it_looks_like() {
        for ty in [Type::String, Type::Char, Type::Enum(vec!["null".into()])] {
            for cell in ["5", "null", "\"a\"", "[1]", "", " a "] {
                check(Some(&ty), &[(cell, json!(cell))]);
            }
        }
    }

    #[test]
    fn numbers_are_numbers_and_anything_else_is_left_for_the_error() {
        for ty in [Type::U8, Type::S64, Type::F32, Type::F64] {
            check(
                Some(&ty),
                &[
                    ("5", json!(5)),
                    (" 5 ", json!(5)),
                    ("-0.25", json!(-0.25)),
                    ("18446744073709551615", json!(u64::MAX)),
                    ("NaN", json!("NaN")),
                    ("true", json!("true")),
                    ("a", json!("a")),
                    ("", json!("")),
                ],
            );
        }
    }

    #[test]
    fn booleans_are_read_as_spreadsheets_write_them() {
        check(
            Some(&Type::Bool),
            &[
                ("true", json!(true)),
                ("FALSE", json!(false)),
                ("True ", json!(true)),
                ("1", json!("1")),
                ("", json!("")),
            ],
        );
    }

    #[test]
    fn an_empty_cell_is_an_option_without_a_value() {
        for ty in [option(Type::String), option(option(Type::U8))] {
            check(Some(&ty), &[("", Value::Null)]);
        }
        check(
            Some(&option(Type::String)),
            &[("5", json!("5")), (" ", json!(" "))],
        );
        check(Some(&option(Type::U8)), &[("5", json!(5))]);
        let nested = [("{\"some\": null}", json!({"some": null}))];
        check(Some(&option(option(Type::U8))), &nested);
    }

    #[test]
    fn compound_values_are_json_and_a_case_may_be_its_name() {
        let variant = Type::Variant(vec![("true".into(), None), ("b".into(), Some(Type::U8))]);
        check(
            Some(&variant),
            &[("true", json!("true")), ("{\"b\": 1}", json!({"b": 1}))],
        );
        check(
            Some(&Type::List(Box::new(Type::U8))),
            &[("[1, 2]", json!([1, 2])), ("1 2", json!("1 2"))],
        );
    }
}
