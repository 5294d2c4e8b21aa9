//! The JSON form of typed values: what functions with a [`Signature`](crate::Signature) take
//! and give where a program has no types of its own.
//!
//! It is the form of the arguments and results of such functions on the command line, of
//! [`Value`](crate::Value), of `serde_json::Value`, and of every type that asks serde for
//! anything. It keeps to what Golem has for WIT values in JSON and to what serde derives for
//! Rust's own types, in this order where they differ, but for characters and for cases
//! without a value. It loses nothing. [`Type::json_schema`](crate::Type::json_schema) gives
//! the JSON Schema of a type's form.
//!
//! | type | form |
//! |---|---|
//! | `bool` | `true`, `false` |
//! | integers | a number, those of 64 bits too |
//! | `f32`, `f64` | a number as short as it can be read back, `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | `char` | a string of one character |
//! | `string` | a string |
//! | `list<t>`, `tuple<..>` | an array; `list<u8>` is an array of numbers |
//! | `record` | an object |
//! | `variant` | `"case"` without a value, `{"case": value}` with one |
//! | `enum` | a string |
//! | `flags` | an array of the names that are set |
//! | `option<t>` | `null` or the value |
//! | `option<option<t>>` | `null`, `{"some": null}` or `{"some": value}` |
//! | `result<t, e>` | `{"ok": value}` or `{"err": error}`, with `null` for a type that is not there |
//!
//! # What is taken besides
//!
//! - Names in any usual case: `max-size` is also `max_size`, `maxSize` and `MaxSize`.
//! - Numbers of another kind where nothing is lost: `3` for `f64`, `3.0` for `u8`, and for
//!   `f32` what reads the same in decimal, as `0.1` does. Anything else is refused, not rounded.
//! - An integer as a string of its decimal digits, for programs whose numbers are floats.
//! - Bytes as `{"base64": "AQID"}`, in the standard alphabet, padded or not. A plain string is
//!   refused for a `list<u8>`: it could be meant as text, and text can happen to be base64.
//! - A record without those of its fields that are options, and a call without those of its
//!   last arguments that are.
//! - `{"case": null}` for a case without a value, `"ok"` and `"err"` likewise.
//! - `list<tuple<k, v>>` as an object, and flags as an object of truth values.
//!
//! # Where JSON itself can lose
//!
//! JavaScript and others read all numbers as floats of 64 bits: integers beyond 2^53 lose their
//! last digits there. `serde_json` misses the last bits of some floats that it reads unless its
//! feature `float_roundtrip` is on, and its numbers are not seen as such with its feature
//! `arbitrary_precision`. The sign and the payload of a NaN are not kept; the
//! component model has one NaN only.
//!
//! # How much it takes
//!
//! A result comes without the names of its fields and cases, and can have a value in each of its
//! bytes: its JSON form is larger, and its tree of values larger still. When a result is read, 32
//! bytes are counted for each value, an option and what it holds being two, and 32 and its length
//! for each name. Texts, and bytes that stay bytes, are as long as they are in the result. All that
//! is counted may be 16 times the [payload limit](crate::PoolBuilder::payload_limit), and 64 MiB in
//! any case: a result beyond that ends as [`BadResult`](crate::TaskErrorKind::BadResult). Types
//! that ask for what there is and have the names themselves, structs and enums, are read without a
//! count.
//!
//! # Rust types
//!
//! Rust types need none of this: a struct is a record or flags, an enum a variant or an enum,
//! `Result` a result, `Option` an option, nested ones too, `Vec<u8>` and `&[u8]` are bytes, a
//! map is a `list<tuple<k, v>>`, and floats that are no numbers are floats. Where serde hides
//! which type it reads into, with `#[serde(flatten)]`, `untagged` or `tag`, it gets the JSON
//! form, in which names are spelled as the signature has them.
