//! The JSON form of typed values: the arguments and results of functions with a
//! [`Signature`](crate::Signature) in programs without types for them.
//!
//! The command line uses this form, and so do [`Value`](crate::Value), `serde_json::Value`, and
//! every type that accepts any serde value. It follows Golem's JSON form of WIT values, then
//! serde's derived form of Rust types, except for characters and cases without a value. It is
//! lossless. [`Type::json_schema`](crate::Type::json_schema) returns the JSON Schema of a type's
//! form.
//!
//! | type | form |
//! |---|---|
//! | `bool` | `true`, `false` |
//! | integers | a number, also for 64 bits |
//! | `f32`, `f64` | the shortest number that reads back, `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `char` | a string of one character |
//! | `string` | a string |
//! | `list<t>`, `tuple<..>` | an array; `list<u8>` is an array of numbers |
//! | `record` | an object |
//! | `variant` | `"case"` without a value, `{"case": value}` with one |
//! | `enum` | a string |
//! | `flags` | an array of the names that are set |
//! | `option<t>` | `null` or the value |
//! | `option<option<t>>` | `null`, `{"some": null}` or `{"some": value}` |
//! | `result<t, e>` | `{"ok": value}` or `{"err": error}`, with `null` for a missing type |
//!
//! # What is also accepted
//!
//! - Names in any usual case: `max_size`, `maxSize` and `MaxSize` for `max-size`.
//! - Numbers of another kind if nothing is lost: `3` for `f64`, `3.0` for `u8`, and for `f32` a
//!   number with the same shortest decimal form, such as `0.1`. Other numbers are refused, not
//!   rounded.
//! - An integer as a string of its decimal digits, for programs whose numbers are floats.
//! - Bytes as `{"base64": "AQID"}`, in the standard alphabet, padded or not. A plain string is
//!   refused for a `list<u8>`: it could be meant as text, and text can happen to be base64.
//! - A record without fields that are options, and a call without last arguments that are options.
//! - `{"case": null}` for a case without a value, `"ok"` and `"err"` likewise.
//! - `list<tuple<k, v>>` as an object, and flags as an object of booleans.
//!
//! # Where JSON itself loses data
//!
//! JavaScript and others read all numbers as 64-bit floats, so integers beyond 2^53 lose their
//! last digits there. `serde_json` reads some floats with wrong last bits unless its feature
//! `float_roundtrip` is on; with its feature `arbitrary_precision` its numbers are not recognised
//! as numbers. The sign and the payload of a NaN are not kept; the component model has only one
//! NaN.
//!
//! # How much it takes
//!
//! The encoded result has no names of fields and cases, and each of its bytes can be a value: its
//! JSON form is larger, and its tree of values larger still. When a result is decoded, each value
//! counts 32 bytes (an option and its content are two values), and each name counts 32 bytes and
//! its length. Text and bytes are not counted. The sum may be 16 times the [payload
//! limit](crate::PoolBuilder::payload_limit), or 64 MiB if that is more; a larger result ends as
//! [`BadResult`](crate::TaskErrorKind::BadResult). Structs and enums, which declare their names
//! and types, are decoded without a count.
//!
//! # Rust types
//!
//! Rust types map directly: a struct is a record or flags, an enum a variant or an enum, `Result`
//! a result, `Option` an option (also nested), `Vec<u8>` and `&[u8]` are bytes, a map is a
//! `list<tuple<k, v>>`, and NaN and infinities are floats. Where serde hides the target type, with
//! `#[serde(flatten)]`, `untagged` or `tag`, it gets the JSON form with names as in the signature.
