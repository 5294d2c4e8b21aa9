//! The JSON Schema of the JSON form.
//!
//! Does not know values. Results fit their schema. Arguments that fit their schema are accepted,
//! unless the type is too large to be described in full. More is accepted than the schema says:
//! other spellings of names, integers as text, bytes as base64.

use crate::value::{Signature, Type, Value};

/// How many types a schema describes; each takes some hundred bytes.
const DESCRIBED: usize = 10_000;

/// The dialect, for top-level schemas.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

impl Signature {
    /// The JSON Schema (2020-12) of the array of arguments in their JSON form.
    ///
    /// It describes the first 10,000 nested types; further ones have the schema `{}`, which any
    /// value fits.
    pub fn arguments_schema(&self) -> Value {
        let mut schemas = Schemas::default();
        let params = self.params.iter().map(|(name, ty)| {
            let mut schema = vec![entry("title", text(name))];
            schema.extend(schemas.keywords(ty));
            Value::Map(schema)
        });
        let params = params.collect();
        let mut schema = vec![entry("$schema", text(DIALECT))];
        schema.extend(places(params, self.required()));
        Value::Map(schema)
    }

    /// The JSON Schema (2020-12) of the JSON form of the [`output`](Self::output). It is bounded
    /// as [`arguments_schema`](Self::arguments_schema).
    pub fn output_schema(&self) -> Value {
        let mut schema = vec![entry("$schema", text(DIALECT))];
        schema.extend(Schemas::default().payload(self.output()));
        Value::Map(schema)
    }
}

impl Type {
    /// The JSON Schema (2020-12) of the JSON form of a value of this type.
    ///
    /// It describes the first 10,000 nested types; further ones have the schema `{}`, which any
    /// value fits.
    pub fn json_schema(&self) -> Value {
        Schemas::default().schema(self)
    }
}

type Keyword = (Value, Value);

/// Makes schemas, for a bounded number of types.
struct Schemas {
    left: usize,
}

impl Default for Schemas {
    fn default() -> Self {
        Self { left: DESCRIBED }
    }
}

impl Schemas {
    fn schema(&mut self, ty: &Type) -> Value {
        Value::Map(self.keywords(ty))
    }

    fn keywords(&mut self, ty: &Type) -> Vec<Keyword> {
        let Some(left) = self.left.checked_sub(1) else {
            return Vec::new();
        };
        self.left = left;
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
            Type::List(element) => vec![type_is("array"), entry("items", self.schema(element))],
            Type::Tuple(types) => {
                let schemas = types.iter().map(|ty| self.schema(ty));
                places(schemas.collect(), types.len())
            }
            Type::Record(fields) => {
                let properties = fields
                    .iter()
                    .map(|(name, ty)| entry(name, self.schema(ty)))
                    .collect();
                let required = fields
                    .iter()
                    .filter(|(_, ty)| !matches!(ty, Type::Option(_)));
                let required = required.map(|(name, _)| text(name));
                object(properties, required.collect())
            }
            Type::Variant(cases) => {
                let cases = cases.iter().map(|(name, ty)| match ty {
                    Some(ty) => only_entry(name, self.schema(ty)),
                    None => Value::Map(vec![entry("const", text(name))]),
                });
                vec![entry("oneOf", Value::List(cases.collect()))]
            }
            Type::Enum(names) => vec![entry("enum", texts(names))],
            Type::Flags(names) => vec![
                type_is("array"),
                entry("items", Value::Map(vec![entry("enum", texts(names))])),
                entry("uniqueItems", Value::Bool(true)),
            ],
            Type::Option(inner) => {
                let some = match &**inner {
                    Type::Option(_) => only_entry("some", self.schema(inner)),
                    inner => self.schema(inner),
                };
                let none = Value::Map(vec![type_is("null")]);
                vec![entry("anyOf", Value::List(vec![some, none]))]
            }
            Type::Result { ok, err } => {
                let ok = only_entry("ok", Value::Map(self.payload(ok.as_deref())));
                let err = only_entry("err", Value::Map(self.payload(err.as_deref())));
                vec![entry("oneOf", Value::List(vec![ok, err]))]
            }
        }
    }

    /// The schema of an optional payload.
    fn payload(&mut self, ty: Option<&Type>) -> Vec<Keyword> {
        match ty {
            Some(ty) => self.keywords(ty),
            None => vec![type_is("null")],
        }
    }
}

/// An array with a schema for each element.
fn places(schemas: Vec<Value>, required: usize) -> Vec<Keyword> {
    let count = schemas.len();
    let mut array = vec![type_is("array")];
    // `prefixItems` must not be empty.
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
