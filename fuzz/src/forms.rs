//! The forms that values have, by the library's own functions.
//!
//! Knows nothing of where the values come from.

use serde::{Deserialize, Serialize};

use crate::value::{self, typed};
use crate::{Signature, Type, Value};

/// A signature with these parameters, called `p1` and so on.
pub fn signature_of(params: &[Type], result: Option<Type>) -> Signature {
    let params = params.iter().enumerate();
    let params = params.map(|(index, ty)| (format!("p{}", index + 1), ty.clone()));
    Signature {
        params: params.collect(),
        result,
    }
}

/// The arguments of a function in the wire form.
///
/// # Errors
///
/// If they do not fit the signature.
pub fn encode_arguments<T: Serialize>(
    signature: &Signature,
    arguments: &Vec<T>,
) -> Result<Vec<u8>, String> {
    typed::encode_arguments(signature, arguments).map_err(|error| error.to_string())
}

/// A value in the wire form.
///
/// # Errors
///
/// If it does not fit its type.
pub fn encode<T: Serialize>(ty: &Type, value: &T) -> Result<Vec<u8>, String> {
    let signature = signature_of(std::slice::from_ref(ty), None);
    let mut wire = encode_arguments(&signature, &vec![value])?;
    // The array of the arguments, of which there is one.
    assert_eq!(wire.remove(0), 0x91);
    Ok(wire)
}

/// What a wire form is read into.
///
/// # Errors
///
/// If the bytes hold no value of the type, `T` does not take it, or more would be made than `limit`.
pub fn decode<'de, T: Deserialize<'de>>(
    ty: &Type,
    wire: &'de [u8],
    limit: usize,
) -> Result<T, String> {
    typed::decode(Some(ty), wire, limit)
}

/// The WAVE form of a wire form.
///
/// # Errors
///
/// If the bytes hold no value of the type.
pub fn to_wave(ty: &Type, wire: &[u8]) -> Result<String, String> {
    typed::to_wave_cut(Some(ty), wire, usize::MAX)
}

/// The same, cut after `limit` bytes.
///
/// # Errors
///
/// If the bytes, as far as they are read, hold no value of the type.
pub fn to_wave_cut(ty: &Type, wire: &[u8], limit: usize) -> Result<String, String> {
    typed::to_wave_cut(Some(ty), wire, limit)
}

/// A value in MessagePack, as the contract has it for tasks without a signature.
///
/// # Errors
///
/// If serde cannot write it.
pub fn to_messagepack<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    value::encode(value)
}

/// The same, read.
///
/// # Errors
///
/// If the bytes are no MessagePack, or there are more.
pub fn from_messagepack<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, String> {
    value::decode(bytes)
}

/// How many bytes are counted when a value of the type is read into a [`Value`]: what the
/// documentation of `json_form` says, written down a second time.
pub fn counted(ty: &Type, value: &Value) -> usize {
    const VALUE: usize = 32;
    let name = |name: &str| VALUE + name.len();
    let entry = |key: &Value, ty: Option<&Type>, value: &Value| match key {
        Value::Text(key) => name(key) + ty.map_or(0, |ty| counted(ty, value)),
        other => panic!("a key that is no text: {other:?}"),
    };
    VALUE
        + match (ty, value) {
            (Type::List(element), Value::List(values)) => {
                values.iter().map(|value| counted(element, value)).sum()
            }
            (Type::Tuple(types), Value::List(values)) => {
                let values = types.iter().zip(values);
                values.map(|(ty, value)| counted(ty, value)).sum()
            }
            (Type::Record(fields), Value::Map(pairs)) => {
                let entries = fields.iter().zip(pairs);
                entries
                    .map(|((_, ty), (key, value))| entry(key, Some(ty), value))
                    .sum()
            }
            (Type::Enum(_), Value::Text(text)) | (Type::Variant(_), Value::Text(text)) => {
                name(text)
            }
            (Type::Variant(cases), Value::Map(pairs)) => {
                let (key, value) = &pairs[0];
                let is_it = |case: &&(String, _)| Value::Text(case.0.clone()) == *key;
                let case = cases.iter().find(is_it).expect("it is a case of it");
                entry(key, case.1.as_ref(), value)
            }
            (Type::Result { ok, err }, Value::Map(pairs)) => {
                let (key, value) = &pairs[0];
                let is_ok = *key == Value::Text("ok".to_owned());
                entry(key, if is_ok { ok } else { err }.as_deref(), value)
            }
            (Type::Flags(_), Value::List(set)) => set.iter().map(|key| entry(key, None, key)).sum(),
            (Type::Option(_), Value::Null) => 0,
            (Type::Option(inner), Value::Map(pairs)) if matches!(**inner, Type::Option(_)) => {
                entry(&pairs[0].0, Some(inner), &pairs[0].1)
            }
            (Type::Option(inner), value) => counted(inner, value),
            _ => 0,
        }
}
