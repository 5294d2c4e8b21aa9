//! Serializers for single values: a byte, a flag, a key, and the arguments as a whole.

use std::fmt;

use super::elements::{Elements, ElementsKind, wrong_arity};
use super::entries::Entries;
use super::value::{Integer, integer};
use super::{Encoder, mismatch};
use crate::value::Type;
use crate::value::typed::given::{Given, Target};
use crate::value::typed::names;
use crate::value::typed::path::ValueFault;
use crate::value::typed::wire::Writer;

/// Takes the arguments.
pub(super) struct ArgumentsTarget<'e, 't> {
    pub(super) encoder: &'e mut Encoder,
    pub(super) params: &'t [(String, Type)],
}

impl<'e, 't> Target for ArgumentsTarget<'e, 't> {
    type Elements = Elements<'e, 't>;

    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        match given {
            // Serde's form of `()`.
            Given::Null => self.elements(Some(0))?.finish(),
            given => Err(ValueFault::new(format!("expected arguments, got {given}"))),
        }
    }

    fn elements(self, length: Option<usize>) -> Result<Elements<'e, 't>, ValueFault> {
        let Self { encoder, params } = self;
        if let Some(length) = length
            && length > params.len()
        {
            return Err(wrong_arity(params, length));
        }
        encoder.writer.array(params.len());
        Ok(Elements {
            encoder,
            kind: ElementsKind::Arguments(params),
            count: 0,
            case: None,
        })
    }
}

pub(super) type NoElements = serde::ser::Impossible<(), ValueFault>;

/// Takes one byte of a list.
pub(super) struct ByteTarget<'w>(pub(super) &'w mut Writer);

impl Target for ByteTarget<'_> {
    type Elements = NoElements;

    #[inline]
    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        if let Given::Unsigned(value) = given
            && let Ok(value) = u8::try_from(value)
        {
            self.0.byte(value);
            return Ok(());
        }
        match integer(&Type::U8, given) {
            Some(Integer::Unsigned(value)) => {
                self.0.byte(value as u8);
                Ok(())
            }
            _ => Err(mismatch(&Type::U8, given)),
        }
    }
}

/// Takes bytes as base64 text.
pub(super) struct Base64Target<'w>(pub(super) &'w mut Writer);

impl Target for Base64Target<'_> {
    type Elements = NoElements;

    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        use base64::Engine as _;
        use base64::alphabet::STANDARD;
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

        const BASE64: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );

        let Given::Text(text) = given else {
            return Err(ValueFault::new(format!("expected base64, got {given}")));
        };
        let bytes = BASE64
            .decode(text)
            .map_err(|error| ValueFault::new(format!("expected base64, got {given}: {error}")))?;
        Ok(self.0.binary(&bytes)?)
    }
}

/// Takes the name of a flag that is set.
pub(super) struct FlagTarget<'t, 's>(pub(super) &'t [String], pub(super) &'s mut Vec<usize>);

impl Target for FlagTarget<'_, '_> {
    type Elements = NoElements;

    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        let (Given::Text(name) | Given::Case(name)) = given else {
            return Err(ValueFault::new(format!(
                "expected the name of a flag, got {given}"
            )));
        };
        self.1.push(flag(self.0, name)?);
        Ok(())
    }
}

pub(crate) fn flag(names: &[String], name: &str) -> Result<usize, ValueFault> {
    let names = names.iter().map(String::as_str);
    names::find(names.clone(), name)
        .ok_or_else(|| ValueFault::new(names::unknown("flag", name, names)))
}

/// Takes whether a flag is set.
pub(super) struct SetTarget<'s>(pub(super) usize, pub(super) &'s mut Vec<usize>);

impl Target for SetTarget<'_> {
    type Elements = NoElements;

    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        match given {
            Given::Bool(true) => self.1.push(self.0),
            Given::Bool(false) => {}
            given => return Err(mismatch(&Type::Bool, given)),
        }
        Ok(())
    }
}

/// Takes the key of an entry as a name.
pub(super) struct KeyTarget<'k, 'e, 't>(pub(super) &'k mut Entries<'e, 't>);

impl Target for KeyTarget<'_, '_, '_> {
    type Elements = NoElements;

    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        match given {
            Given::Text(name) | Given::Case(name) => self.0.name(name),
            Given::Char(name) => self.0.name(name.encode_utf8(&mut [0; 4])),
            given => Err(ValueFault::new(format!(
                "expected a name as the key, got {given}"
            ))),
        }
    }
}

/// Takes the value of a case that has none: only null fits.
pub(super) struct NothingTarget<'t>(pub(super) &'t str);

impl Target for NothingTarget<'_> {
    type Elements = NoElements;

    fn accept(self, given: Given<'_>) -> Result<(), ValueFault> {
        match given {
            Given::Null => Ok(()),
            given => Err(takes_nothing(self.0, given)),
        }
    }
}

#[cold]
pub(crate) fn takes_nothing(case: &str, given: impl fmt::Display) -> ValueFault {
    ValueFault::new(format!("the case `{case}` takes no value, got {given}"))
}
