//! Replaces values by signature: no task of the model has a signature.

use serde::Deserialize;

use crate::value::{Arguments, Signature, Type};

pub(crate) const ANY_VALUE: &str = "Value";

pub(crate) fn encode_arguments<A: Arguments>(
    _signature: &Signature,
    _arguments: &A,
) -> Result<Vec<u8>, String> {
    unreachable!("no task of the model has a signature")
}

pub(crate) fn decode<'de, T: Deserialize<'de>>(
    _ty: Option<&Type>,
    _bytes: &'de [u8],
    _limit: usize,
) -> Result<T, String> {
    unreachable!("no task of the model has a signature")
}
