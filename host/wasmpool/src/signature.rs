//! The signature of an exported function: the value types of the component model.
//!
//! Plain data. Knows nothing of where it was read, nor of what is passed along it.

/// What an exported function takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// The parameters, in order: their names and types.
    pub params: Vec<(String, Type)>,
    /// The type of the result, if there is one.
    pub result: Option<Type>,
}

/// A value type of the component model. Names are as WIT has them, in kebab case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// A truth value.
    Bool,
    /// An integer from -2^7 below 2^7.
    S8,
    /// An integer from 0 below 2^8.
    U8,
    /// An integer from -2^15 below 2^15.
    S16,
    /// An integer from 0 below 2^16.
    U16,
    /// An integer from -2^31 below 2^31.
    S32,
    /// An integer from 0 below 2^32.
    U32,
    /// An integer from -2^63 below 2^63.
    S64,
    /// An integer from 0 below 2^64.
    U64,
    /// A floating-point number of 32 bits.
    F32,
    /// A floating-point number of 64 bits.
    F64,
    /// A Unicode scalar value.
    Char,
    /// Text.
    String,
    /// Any number of values of one type.
    List(Box<Type>),
    /// Values of several types, by place.
    Tuple(Vec<Type>),
    /// Values of several types, by name.
    Record(Vec<(String, Type)>),
    /// One of several cases, each with or without a value.
    Variant(Vec<(String, Option<Type>)>),
    /// One of several names.
    Enum(Vec<String>),
    /// Any of several names.
    Flags(Vec<String>),
    /// A value or none.
    Option(Box<Type>),
    /// What came of something: a value, or an error.
    Result {
        /// The type of the value, if it has one.
        ok: Option<Box<Type>>,
        /// The type of the error, if it has one.
        err: Option<Box<Type>>,
    },
}
