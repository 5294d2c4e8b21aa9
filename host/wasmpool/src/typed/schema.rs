//! The JSON Schema of the JSON form.
//!
//! Knows nothing of values. What fits a schema is taken, and what is given fits it; more is
//! taken than it says: other spellings of names, integers as texts, bytes as base64.

use crate::signature::{Signature, Type};
use crate::value::Value;

/// The dialect, for the schemas that stand alone.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

impl Signature {
    /// The JSON Schema (2020-12) of the array of arguments in their JSON form.
    pub fn arguments_schema(&self) -> Value {
        let params = self.params.iter().map(|(name, ty)| {
            let mut schema = vec![entry("title", text(name))];
            schema.extend(keywords(ty));
            Value::Map(schema)
        });
        let mut schema = vec![entry("$schema", text(DIALECT))];
        schema.extend(places(params.collect(), self.required()));
        Value::Map(schema)
    }

    /// The JSON Schema (2020-12) of the JSON form of what a caller gets: see
    /// [`output`](Self::output).
    pub fn output_schema(&self) -> Value {
        let mut schema = vec![entry("$schema", text(DIALECT))];
        schema.extend(payload(self.output()));
        Value::Map(schema)
    }
}

impl Type {
    /// The JSON Schema (2020-12) of the JSON form of a value of this type.
    pub fn json_schema(&self) -> Value {
        Value::Map(keywords(self))
    }
}

type Keyword = (Value, Value);

fn keywords(ty: &Type) -> Vec<Keyword> {
    let schema = Type::json_schema;
    match ty {
        Type::Bool => vec![type_is("boolean")],
        Type::S8
        | Type::U8
        | Type::S16
        | Type::U16
        | Type::S32
        | Type::U32
        | Type::S64
        | Type::U64 => {
            let (least, greatest) = super::number::range(ty).unwrap_or_default();
            let least = match u64::try_from(least) {
                Ok(least) => Value::Unsigned(least),
                Err(_) => Value::Signed(least),
            };
            vec![
                type_is("integer"),
                entry("minimum", least),
                entry("maximum", Value::Unsigned(greatest)),
            ]
        }
        Type::F32 | Type::F64 => {
            let not_finite = ["NaN", "Infinity", "-Infinity"].map(text);
            let number = Value::Map(vec![type_is("number")]);
            let not_finite = Value::Map(vec![entry("enum", Value::List(not_finite.into()))]);
            vec![entry("anyOf", Value::List(vec![number, not_finite]))]
        }
        Type::Char => vec![
            type_is("string"),
            entry("minLength", Value::Unsigned(1)),
            entry("maxLength", Value::Unsigned(1)),
        ],
        Type::String => vec![type_is("string")],
        Type::List(element) => vec![type_is("array"), entry("items", schema(element))],
        Type::Tuple(types) => places(types.iter().map(schema).collect(), types.len()),
        Type::Record(fields) => {
            let properties = fields.iter().map(|(name, ty)| entry(name, schema(ty)));
            let required = fields
                .iter()
                .filter(|(_, ty)| !matches!(ty, Type::Option(_)));
            let required = required.map(|(name, _)| text(name));
            object(properties.collect(), required.collect())
        }
        Type::Variant(cases) => {
            let case = |(name, ty): &(String, Option<Type>)| match ty {
                Some(ty) => only_entry(name, schema(ty)),
                None => Value::Map(vec![entry("const", text(name))]),
            };
            vec![entry(
                "oneOf",
                Value::List(cases.iter().map(case).collect()),
            )]
        }
        Type::Enum(names) => vec![entry("enum", texts(names))],
        Type::Flags(names) => vec![
            type_is("array"),
            entry("items", Value::Map(vec![entry("enum", texts(names))])),
            entry("uniqueItems", Value::Bool(true)),
        ],
        Type::Option(inner) => {
            let some = match &**inner {
                Type::Option(_) => only_entry("some", schema(inner)),
                inner => schema(inner),
            };
            let none = Value::Map(vec![type_is("null")]);
            vec![entry("anyOf", Value::List(vec![some, none]))]
        }
        Type::Result { ok, err } => {
            let ok = only_entry("ok", Value::Map(payload(ok.as_deref())));
            let err = only_entry("err", Value::Map(payload(err.as_deref())));
            vec![entry("oneOf", Value::List(vec![ok, err]))]
        }
    }
}

/// A value that there may not be.
fn payload(ty: Option<&Type>) -> Vec<Keyword> {
    ty.map_or_else(|| vec![type_is("null")], keywords)
}

/// An array with a schema for each place.
fn places(schemas: Vec<Value>, required: usize) -> Vec<Keyword> {
    let count = schemas.len();
    let mut array = vec![type_is("array")];
    // It may not be empty.
    if count > 0 {
        array.push(entry("prefixItems", Value::List(schemas)));
    }
    array.push(entry("minItems", Value::Unsigned(required as u64)));
    array.push(entry("maxItems", Value::Unsigned(count as u64)));
    array
}

fn object(properties: Vec<Keyword>, required: Vec<Value>) -> Vec<Keyword> {
    vec![
        type_is("object"),
        entry("properties", Value::Map(properties)),
        entry("required", Value::List(required)),
        entry("additionalProperties", Value::Bool(false)),
    ]
}

fn only_entry(name: &str, schema: Value) -> Value {
    Value::Map(object(vec![entry(name, schema)], vec![text(name)]))
}

fn type_is(name: &str) -> Keyword {
    entry("type", text(name))
}

fn entry(name: &str, value: Value) -> Keyword {
    (text(name), value)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn texts(names: &[String]) -> Value {
    Value::List(names.iter().map(|name| text(name)).collect())
}
