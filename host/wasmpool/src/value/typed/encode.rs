//! From serde values to the wire form, checked against their types on the way.
//!
//! Knows nothing of who will read it. The rules are told in the documentation of the room.

use std::fmt;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::given::{Given, Look, Show, count, show_scalars};
use super::names;
use super::number;
use super::path::{ArgumentError, Fault, Step, shortened};
use super::wire::{Frame, Piece, TooLong, Writer};
use crate::value::{Arguments, Signature, Type};

/// Writes the arguments of a function as one array.
///
/// # Errors
///
/// If they are not as many as the function takes, or one does not fit its parameter.
pub(crate) fn encode_arguments<A: Arguments>(
    signature: &Signature,
    arguments: &A,
) -> Result<Vec<u8>, ArgumentError> {
    let mut encoder = Encoder::default();
    arguments.serialize(Show(ArgumentsLook {
        encoder: &mut encoder,
        params: &signature.params,
    }))?;
    Ok(encoder.writer.into_bytes())
}

/// Writes one value.
pub(super) fn encode_value<T: Serialize>(ty: &Type, value: &T) -> Result<Vec<u8>, ArgumentError> {
    let mut encoder = Encoder::default();
    value.serialize(encoder.value(ty))?;
    Ok(encoder.writer.into_bytes())
}

/// What is written, and what is remembered meanwhile.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    pub(super) writer: Writer,
    /// The fields so far of all the records that are being written, the innermost last: which
    /// field it is, and where it begins. One stack for all, so that a record costs no
    /// allocation.
    fields: Vec<(usize, usize)>,
}

impl Encoder {
    /// Who takes a value of this type.
    pub(super) fn value<'e, 't>(&'e mut self, ty: &'t Type) -> ValueSerializer<'e, 't> {
        ValueSerializer { encoder: self, ty }
    }

    /// Writes which case of an enum, a variant or a result it is.
    pub(super) fn case(&mut self, ty: &Type, case: &Case<'_>) {
        match (ty, case.payload) {
            (Type::Enum(_), _) => self.writer.unsigned(case.index as u64),
            (_, payload) => {
                self.writer.array(1 + usize::from(payload.is_some()));
                self.writer.unsigned(case.index as u64);
            }
        }
    }

    /// Writes which flags are set. `set` need not be in order.
    pub(super) fn flags(&mut self, names: &[String], mut set: Vec<usize>) -> Result<(), Fault> {
        set.sort_unstable();
        if let Some(twice) = set.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = &names[twice[0]];
            return Err(Fault::new(format!("the flag `{name}` is given twice")));
        }
        self.writer.array(set.len());
        for index in set {
            self.writer.unsigned(index as u64);
        }
        Ok(())
    }
}

impl From<TooLong> for Fault {
    fn from(_: TooLong) -> Self {
        Self::new("too long: no list and no text can have 2^32 elements or more")
    }
}

/// What a value of type `ty` cannot be.
#[cold]
pub(super) fn mismatch(ty: &Type, given: Given<'_>) -> Fault {
    let expected = shortened(ty);
    let mut problem = format!("expected {expected}, got {given}");
    match (ty, given) {
        (Type::F32, Given::F64(value)) => {
            problem += &format!(", which it cannot hold: the nearest is {:?}", value as f32);
        }
        (Type::F32 | Type::F64, Given::Unsigned(_) | Given::Signed(_)) => {
            problem += ", which it cannot hold exactly";
        }
        (Type::List(element), Given::Text(_)) if **element == Type::U8 => {
            problem += r#": give bytes as numbers or as {"base64": "..."}"#;
        }
        _ => {}
    }
    Fault::new(problem)
}

/// One of the cases of an enum, a variant or a result.
#[derive(Debug)]
pub(super) struct Case<'t> {
    index: usize,
    pub(super) name: &'t str,
    pub(super) payload: Option<&'t Type>,
}

impl<'t> Case<'t> {
    /// The case `name` of a type that has cases.
    pub(super) fn find(ty: &'t Type, name: &str) -> Option<Result<Self, Fault>> {
        fn found<'t>(
            names: impl Iterator<Item = &'t str> + Clone,
            wanted: &str,
        ) -> Result<(usize, &'t str), Fault> {
            names::find(names.clone(), wanted)
                .and_then(|index| Some((index, names.clone().nth(index)?)))
                .ok_or_else(|| Fault::new(names::unknown("case", wanted, names)))
        }
        let found = match ty {
            Type::Enum(cases) => found(cases.iter().map(String::as_str), name)
                .map(|(index, name)| (index, name, None)),
            Type::Variant(cases) => found(cases.iter().map(|case| case.0.as_str()), name)
                .map(|(index, name)| (index, name, cases[index].1.as_ref())),
            Type::Result { ok, err } => {
                found(["ok", "err"].into_iter(), name).map(|(index, name)| {
                    let payload = if index == 0 { ok } else { err };
                    (index, name, payload.as_deref())
                })
            }
            _ => return None,
        };
        Some(found.map(|(index, name, payload)| Self {
            index,
            name,
            payload,
        }))
    }

    /// The fault of a case that comes without its value.
    pub(super) fn lacks(&self, payload: &Type) -> Fault {
        let payload = shortened(payload);
        Fault::new(format!(
            "the case `{}` takes a value: expected {payload}, got none",
            self.name
        ))
    }
}

/// Takes a value of one type.
pub(super) struct ValueSerializer<'e, 't> {
    pub(super) encoder: &'e mut Encoder,
    pub(super) ty: &'t Type,
}

impl<'e, 't> ValueSerializer<'e, 't> {
    /// Takes a value without parts.
    pub(super) fn look(self, given: Given<'_>) -> Result<(), Fault> {
        if let (Type::Option(_), Given::Null) = (self.ty, given) {
            self.encoder.writer.nil();
            return Ok(());
        }
        let Self { encoder, ty } = self.present();
        let writer = &mut encoder.writer;
        match (ty, given) {
            (Type::Bool, Given::Bool(value)) => writer.bool(value),
            (Type::F64, given) => match float(given) {
                Some(value) => writer.f64(value),
                None => return Err(mismatch(ty, given)),
            },
            (Type::F32, given) => match narrow_float(given) {
                Some(value) => writer.f32(value),
                None => return Err(mismatch(ty, given)),
            },
            (Type::Char, Given::Char(value)) => writer.text(value.encode_utf8(&mut [0; 4]))?,
            (Type::Char, Given::Text(text)) if text.chars().count() == 1 => {
                writer.text(text)?;
            }
            (Type::String, Given::Text(text) | Given::Case(text)) => writer.text(text)?,
            (Type::String, Given::Char(value)) => writer.text(value.encode_utf8(&mut [0; 4]))?,
            (Type::List(element), Given::Bytes(bytes)) if **element == Type::U8 => {
                writer.binary(bytes)?;
            }
            (ty, Given::Text(name) | Given::Case(name)) => match Case::find(ty, name) {
                Some(case) => {
                    let case = case?;
                    if let Some(payload) = case.payload {
                        return Err(case.lacks(payload));
                    }
                    encoder.case(ty, &case);
                }
                None => match integer(ty, given) {
                    Some(value) => value.write(writer),
                    None => return Err(mismatch(ty, given)),
                },
            },
            (Type::Tuple(types), Given::Null) if types.is_empty() => writer.array(0),
            (Type::Record(fields), Given::Null) if fields.is_empty() => writer.array(0),
            (ty, given) => match integer(ty, given) {
                Some(value) => value.write(writer),
                None => return Err(mismatch(ty, given)),
            },
        }
        Ok(())
    }

    /// Writes that options are not none, for a value that does not say so itself.
    fn present(self) -> Self {
        let Self { encoder, mut ty } = self;
        while let Type::Option(inner) = ty {
            encoder.writer.array(1);
            ty = inner;
        }
        Self { encoder, ty }
    }

    /// Takes a sequence.
    fn elements(self, length: Option<usize>) -> Result<Elements<'e, 't>, Fault> {
        let Self { encoder, ty } = self.present();
        let kind = match ty {
            Type::List(element) if **element == Type::U8 => {
                ElementsKind::Bytes(encoder.writer.begin_bytes(length))
            }
            Type::List(element) => ElementsKind::List(element, encoder.writer.begin_array(length)),
            Type::Tuple(types) if length.is_none_or(|length| length == types.len()) => {
                encoder.writer.array(types.len());
                ElementsKind::Tuple(ty, types)
            }
            Type::Flags(names) => ElementsKind::Flags(names, Vec::new()),
            ty => return Err(mismatch(ty, Given::List(length))),
        };
        Ok(Elements {
            encoder,
            kind,
            count: 0,
            case: None,
        })
    }

    /// Takes a map or a struct.
    fn entries(self) -> Result<Entries<'e, 't>, Fault> {
        let nested = |inner: &Type| matches!(inner, Type::Option(_));
        // `{"some": ...}` is how JSON tells the outer none from the inner one.
        let this = match self.ty {
            Type::Option(inner) if nested(inner) => self,
            _ => self.present_once(),
        };
        let Self { encoder, ty } = this;
        let kind = match ty {
            Type::Record(fields) => EntriesKind::Record(Record::begin(encoder, ty, fields)),
            Type::Option(_) | Type::Enum(_) | Type::Variant(_) | Type::Result { .. } => {
                EntriesKind::Case(ty, CaseEntry::Missing)
            }
            Type::Flags(names) => EntriesKind::Flags(names, Vec::new(), 0),
            Type::List(element) => match &**element {
                Type::U8 => EntriesKind::Base64(CaseEntry::Missing),
                Type::Tuple(types) => match types.as_slice() {
                    [key, value] => EntriesKind::Pairs {
                        key,
                        value,
                        frame: encoder.writer.begin_array(None),
                        count: 0,
                    },
                    _ => return Err(mismatch(ty, Given::Map)),
                },
                _ => return Err(mismatch(ty, Given::Map)),
            },
            ty => return Err(mismatch(ty, Given::Map)),
        };
        Ok(Entries {
            encoder,
            kind,
            case: None,
        })
    }

    fn present_once(self) -> Self {
        match self.ty {
            Type::Option(_) => self.present(),
            _ => self,
        }
    }

    /// Takes a case with a value, and gives who takes the value.
    fn with_case(self, name: &str) -> Result<(&'e mut Encoder, Case<'t>), Fault> {
        let Self { encoder, ty } = self.present();
        match Case::find(ty, name) {
            Some(case) => {
                let case = case?;
                encoder.case(ty, &case);
                Ok((encoder, case))
            }
            None => Err(mismatch(ty, Given::Case(name))),
        }
    }
}

/// Takes the value of a case.
fn payload<T: Serialize + ?Sized>(
    encoder: &mut Encoder,
    case: &Case<'_>,
    value: &T,
) -> Result<(), Fault> {
    match case.payload {
        Some(ty) => value.serialize(encoder.value(ty)).map_err(|fault| {
            let step = Step::Name(case.name.to_owned());
            fault.at(step)
        }),
        None => value.serialize(Show(NothingLook(case.name))),
    }
}

/// An integer that fits its type.
enum Integer {
    Unsigned(u64),
    Signed(i64),
}

impl Integer {
    #[inline]
    fn write(self, writer: &mut Writer) {
        match self {
            Self::Unsigned(value) => writer.unsigned(value),
            Self::Signed(value) => writer.signed(value),
        }
    }
}

/// What was given as an integer of type `ty`.
#[inline]
fn integer(ty: &Type, given: Given<'_>) -> Option<Integer> {
    let (least, greatest) = number::range(ty)?;
    let given = match given {
        Given::F32(value) => number::float_as_integer(value.into())?.into(),
        Given::F64(value) => number::float_as_integer(value)?.into(),
        Given::Text(text) => text.parse::<i128>().ok()?.into(),
        given => given,
    };
    match given {
        Given::Unsigned(value) if value <= greatest => Some(Integer::Unsigned(value)),
        Given::Signed(value) if value >= least => Some(Integer::Signed(value)),
        _ => None,
    }
}

/// What was given as a float of 64 bits.
#[inline]
fn float(given: Given<'_>) -> Option<f64> {
    match given {
        Given::F64(value) => Some(value),
        Given::F32(value) => Some(value.into()),
        Given::Unsigned(value) => number::integer_as_f64(value.into()),
        Given::Signed(value) => number::integer_as_f64(value.into()),
        Given::Text(text) => number::not_finite_from(text),
        _ => None,
    }
}

/// What was given as a float of 32 bits.
#[inline]
fn narrow_float(given: Given<'_>) -> Option<f32> {
    match given {
        Given::F32(value) => Some(value),
        Given::F64(value) => number::f64_as_f32(value),
        Given::Unsigned(value) => number::integer_as_f32(value.into()),
        Given::Signed(value) => number::integer_as_f32(value.into()),
        Given::Text(text) => number::not_finite_from(text).map(|value| value as f32),
        _ => None,
    }
}

impl<'e, 't> Serializer for ValueSerializer<'e, 't> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Elements<'e, 't>;
    type SerializeTuple = Elements<'e, 't>;
    type SerializeTupleStruct = Elements<'e, 't>;
    type SerializeTupleVariant = Elements<'e, 't>;
    type SerializeMap = Entries<'e, 't>;
    type SerializeStruct = Entries<'e, 't>;
    type SerializeStructVariant = Entries<'e, 't>;

    show_scalars!();

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        match self.ty {
            Type::Option(inner) => {
                self.encoder.writer.array(1);
                value.serialize(self.encoder.value(inner))
            }
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        let (encoder, case) = self.with_case(variant)?;
        payload(encoder, &case, value)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Elements<'e, 't>, Fault> {
        self.elements(length)
    }

    /// What slices and vectors call: bulk data, for which the kind is looked at only once.
    fn collect_seq<I>(self, elements: I) -> Result<(), Fault>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let given = elements.into_iter();
        let length = match given.size_hint() {
            (least, Some(most)) if least == most => Some(least),
            _ => None,
        };
        let mut elements = self.elements(length)?;
        match elements.kind {
            ElementsKind::Bytes(_) => {
                let writer = &mut elements.encoder.writer;
                for (index, value) in given.enumerate() {
                    value
                        .serialize(Show(ByteLook(writer)))
                        .map_err(|fault| fault.at(Step::Index(index)))?;
                    elements.count += 1;
                }
            }
            ElementsKind::List(ty, _) => {
                for (index, value) in given.enumerate() {
                    value
                        .serialize(elements.encoder.value(ty))
                        .map_err(|fault| fault.at(Step::Index(index)))?;
                    elements.count += 1;
                }
            }
            _ => {
                for value in given {
                    elements.element(&value)?;
                }
            }
        }
        elements.finish()
    }

    fn serialize_tuple(self, length: usize) -> Result<Elements<'e, 't>, Fault> {
        self.elements(Some(length))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        length: usize,
    ) -> Result<Elements<'e, 't>, Fault> {
        self.elements(Some(length))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Elements<'e, 't>, Fault> {
        let (encoder, case) = self.with_case(variant)?;
        match case.payload {
            Some(ty) => {
                let elements = encoder.value(ty).elements(Some(length));
                let mut elements = elements.map_err(|fault| at_case(fault, Some(case.name)))?;
                elements.case = Some(case.name);
                Ok(elements)
            }
            None if length == 0 => Ok(Elements {
                encoder,
                kind: ElementsKind::Nothing,
                count: 0,
                case: None,
            }),
            None => Err(takes_nothing(case.name, Given::List(Some(length)))),
        }
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Entries<'e, 't>, Fault> {
        self.entries()
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Entries<'e, 't>, Fault> {
        self.entries()
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Entries<'e, 't>, Fault> {
        let (encoder, case) = self.with_case(variant)?;
        match case.payload {
            Some(ty) => {
                let entries = encoder.value(ty).entries();
                let mut entries = entries.map_err(|fault| at_case(fault, Some(case.name)))?;
                entries.case = Some(case.name);
                Ok(entries)
            }
            None if length == 0 => Ok(Entries {
                encoder,
                kind: EntriesKind::Nothing,
                case: None,
            }),
            None => Err(takes_nothing(case.name, Given::Map)),
        }
    }
}

fn at_case(fault: Fault, case: Option<&str>) -> Fault {
    match case {
        Some(name) => fault.at(Step::Name(name.to_owned())),
        None => fault,
    }
}

/// Takes the elements of a list, the places of a tuple, the names of flags, the arguments.
pub(super) struct Elements<'e, 't> {
    encoder: &'e mut Encoder,
    kind: ElementsKind<'t>,
    /// How many have come.
    count: usize,
    /// The case whose value they are.
    case: Option<&'t str>,
}

enum ElementsKind<'t> {
    /// Numbers below 2^8.
    Bytes(Frame),
    List(&'t Type, Frame),
    Tuple(&'t Type, &'t [Type]),
    Arguments(&'t [(String, Type)]),
    Flags(&'t [String], Vec<usize>),
    /// The elements that a case without a value has not.
    Nothing,
}

impl Elements<'_, '_> {
    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        let index = self.count;
        self.count += 1;
        let encoder = &mut *self.encoder;
        let (done, step) = match &mut self.kind {
            ElementsKind::Bytes(_) => (
                value.serialize(Show(ByteLook(&mut encoder.writer))),
                Step::Index(index),
            ),
            ElementsKind::List(ty, _) => (value.serialize(encoder.value(ty)), Step::Index(index)),
            ElementsKind::Tuple(whole, types) => match types.get(index) {
                Some(ty) => (value.serialize(encoder.value(ty)), Step::Place(index)),
                None => return Err(at_case(mismatch(whole, Given::List(None)), self.case)),
            },
            ElementsKind::Arguments(params) => match params.get(index) {
                Some((_, ty)) => (value.serialize(encoder.value(ty)), Step::Argument(index)),
                None => return Err(wrong_arity(params, self.count)),
            },
            ElementsKind::Flags(names, set) => (
                value.serialize(Show(FlagLook(names, set))),
                Step::Index(index),
            ),
            ElementsKind::Nothing => (value.serialize(Show(NothingLook(""))), Step::Index(index)),
        };
        match done {
            Ok(()) => Ok(()),
            Err(fault) => Err(at_case(fault.at(step), self.case)),
        }
    }

    fn finish(self) -> Result<(), Fault> {
        let Self {
            encoder,
            kind,
            count,
            case,
        } = self;
        let done = match kind {
            ElementsKind::Bytes(frame) | ElementsKind::List(_, frame) => {
                encoder.writer.end(frame, count).map_err(Fault::from)
            }
            ElementsKind::Tuple(_, types) if count == types.len() => Ok(()),
            ElementsKind::Tuple(whole, _) => Err(mismatch(whole, Given::List(Some(count)))),
            ElementsKind::Arguments(params) => missing_arguments(encoder, params, count),
            ElementsKind::Flags(names, set) => encoder.flags(names, set),
            ElementsKind::Nothing => Ok(()),
        };
        done.map_err(|fault| at_case(fault, case))
    }
}

/// Writes the arguments that were left out: none, for options at the end.
pub(super) fn missing_arguments(
    encoder: &mut Encoder,
    params: &[(String, Type)],
    given: usize,
) -> Result<(), Fault> {
    for (_, ty) in params.get(given..).unwrap_or_default() {
        match ty {
            Type::Option(_) => encoder.writer.nil(),
            _ => return Err(wrong_arity(params, given)),
        }
    }
    Ok(())
}

/// The fault of too many arguments, or of too few.
#[cold]
pub(super) fn wrong_arity(params: &[(String, Type)], given: usize) -> Fault {
    let expected = match params.len() {
        0 => "no arguments".to_owned(),
        number => {
            let params = shortened(Params(params));
            format!("{} ({params})", count(number, "argument"))
        }
    };
    Fault::new(format!("expected {expected}, got {given}"))
}

/// Parameters as a signature has them.
struct Params<'t>(&'t [(String, Type)]);

impl fmt::Display for Params<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, ty)) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(formatter, "{separator}{name}: {ty}")?;
        }
        Ok(())
    }
}

macro_rules! take_elements {
    ($($trait:ident: $method:ident),*) => {
        $(impl $trait for Elements<'_, '_> {
            type Ok = ();
            type Error = Fault;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
                self.element(value)
            }

            fn end(self) -> Result<(), Fault> {
                self.finish()
            }
        })*
    };
}
take_elements!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

/// Takes the fields of a record, or what JSON has as an object.
pub(super) struct Entries<'e, 't> {
    encoder: &'e mut Encoder,
    kind: EntriesKind<'t>,
    /// The case whose value they are.
    case: Option<&'t str>,
}

enum EntriesKind<'t> {
    Record(Record<'t>),
    /// The only entry is a case and its value.
    Case(&'t Type, CaseEntry<'t>),
    /// A list of pairs.
    Pairs {
        key: &'t Type,
        value: &'t Type,
        frame: Frame,
        count: usize,
    },
    /// The names, those that are set, and the one whose value comes next.
    Flags(&'t [String], Vec<usize>, usize),
    /// The only entry is `base64`.
    Base64(CaseEntry<'t>),
    /// The fields that a case without a value has not.
    Nothing,
}

/// What is known of an only entry.
enum CaseEntry<'t> {
    Missing,
    Case(Case<'t>),
    /// The `some` of an option of an option, or the `base64` of bytes.
    Named,
    Done,
}

impl<'t> Entries<'_, 't> {
    /// Takes the name of the next entry.
    fn name(&mut self, name: &str) -> Result<(), Fault> {
        match &mut self.kind {
            EntriesKind::Record(record) => record.field(self.encoder, name)?,
            EntriesKind::Case(ty, entry @ CaseEntry::Missing) => {
                *entry = match Case::find(ty, name) {
                    Some(case) => {
                        let case = case?;
                        self.encoder.case(ty, &case);
                        CaseEntry::Case(case)
                    }
                    None if name == "some" => {
                        self.encoder.writer.array(1);
                        CaseEntry::Named
                    }
                    None => return Err(mismatch(ty, Given::Map)),
                };
            }
            EntriesKind::Case(ty, _) => {
                let problem = "expected a single case of it, got several";
                let ty = shortened(ty);
                return Err(Fault::new(format!("{problem} ({ty})")));
            }
            EntriesKind::Flags(names, _, next) => *next = flag(names, name)?,
            EntriesKind::Base64(entry @ CaseEntry::Missing) if name == "base64" => {
                *entry = CaseEntry::Named;
            }
            EntriesKind::Base64(_) => {
                return Err(Fault::new(
                    r#"expected list<u8>, got a map that is not {"base64": "..."}"#,
                ));
            }
            EntriesKind::Pairs { key, value, .. } => {
                // Who names entries and not gives keys has a struct.
                let ty = Type::List(Box::new(Type::Tuple(vec![key.clone(), value.clone()])));
                return Err(mismatch(&ty, Given::Map));
            }
            EntriesKind::Nothing => return Err(Fault::new("expected no value, got a map")),
        }
        Ok(())
    }

    fn key<T: Serialize + ?Sized>(&mut self, given: &T) -> Result<(), Fault> {
        let done = match &mut self.kind {
            EntriesKind::Pairs { key, count, .. } => {
                self.encoder.writer.array(2);
                given
                    .serialize(self.encoder.value(key))
                    .map_err(|fault| fault.at(Step::Place(0)).at(Step::Index(*count)))
            }
            _ => given.serialize(Show(KeyLook(self))),
        };
        done.map_err(|fault| at_case(fault, self.case))
    }

    fn value<T: Serialize + ?Sized>(&mut self, given: &T) -> Result<(), Fault> {
        let encoder = &mut *self.encoder;
        let done = match &mut self.kind {
            EntriesKind::Record(record) => {
                let (name, ty) = record.current();
                given
                    .serialize(encoder.value(ty))
                    .map_err(|fault| fault.at(Step::Name(name.to_owned())))
            }
            EntriesKind::Case(ty, entry) => {
                match (std::mem::replace(entry, CaseEntry::Done), &**ty) {
                    (CaseEntry::Case(case), _) => payload(encoder, &case, given),
                    (CaseEntry::Named, Type::Option(inner)) => {
                        given.serialize(encoder.value(inner))
                    }
                    _ => Err(mismatch(ty, Given::Map)),
                }
            }
            EntriesKind::Pairs { value, count, .. } => {
                let index = *count;
                *count += 1;
                given
                    .serialize(encoder.value(value))
                    .map_err(|fault| fault.at(Step::Place(1)).at(Step::Index(index)))
            }
            EntriesKind::Flags(names, set, next) => given
                .serialize(Show(SetLook(*next, set)))
                .map_err(|fault| fault.at(Step::Name(names[*next].clone()))),
            EntriesKind::Base64(entry) => {
                *entry = CaseEntry::Done;
                given.serialize(Show(Base64Look(&mut encoder.writer)))
            }
            EntriesKind::Nothing => Ok(()),
        };
        done.map_err(|fault| at_case(fault, self.case))
    }

    fn finish(self) -> Result<(), Fault> {
        let Self {
            encoder,
            kind,
            case,
        } = self;
        let done = match kind {
            EntriesKind::Record(record) => record.end(encoder),
            EntriesKind::Case(_, CaseEntry::Done) | EntriesKind::Base64(CaseEntry::Done) => Ok(()),
            EntriesKind::Case(ty, _) => Err(mismatch(ty, Given::Map)),
            EntriesKind::Base64(_) => Err(Fault::new(
                r#"expected list<u8>, got a map that is not {"base64": "..."}"#,
            )),
            EntriesKind::Pairs { frame, count, .. } => {
                encoder.writer.end(frame, count).map_err(Fault::from)
            }
            EntriesKind::Flags(names, set, _) => encoder.flags(names, set),
            EntriesKind::Nothing => Ok(()),
        };
        done.map_err(|fault| at_case(fault, case))
    }

    fn named<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Fault> {
        let case = self.case;
        self.name(name).map_err(|fault| at_case(fault, case))?;
        self.value(value)
    }
}

impl SerializeMap for Entries<'_, '_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.value(value)
    }

    fn end(self) -> Result<(), Fault> {
        self.finish()
    }
}

macro_rules! take_fields {
    ($($trait:ident),*) => {
        $(impl $trait for Entries<'_, '_> {
            type Ok = ();
            type Error = Fault;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Fault> {
                self.named(name, value)
            }

            fn end(self) -> Result<(), Fault> {
                self.finish()
            }
        })*
    };
}
take_fields!(SerializeStruct, SerializeStructVariant);

/// A record whose fields come in any order, and are put into that of its type.
pub(super) struct Record<'t> {
    ty: &'t Type,
    fields: &'t [(String, Type)],
    /// Where the first field stands among the bytes.
    first: usize,
    /// Where its fields begin in [`Encoder::fields`].
    base: usize,
    in_order: bool,
    current: usize,
}

impl<'t> Record<'t> {
    pub(super) fn begin(encoder: &mut Encoder, ty: &'t Type, fields: &'t [(String, Type)]) -> Self {
        encoder.writer.array(fields.len());
        Self {
            ty,
            fields,
            first: encoder.writer.position(),
            base: encoder.fields.len(),
            in_order: true,
            current: 0,
        }
    }

    /// Makes `name` the field that is written next.
    pub(super) fn field(&mut self, encoder: &mut Encoder, name: &str) -> Result<(), Fault> {
        let next = encoder.fields.len() - self.base;
        let is_next = |(known, _): &(String, Type)| names::is_same_spelled(known, name);
        let index = match self.fields.get(next) {
            Some(field) if self.in_order && is_next(field) => next,
            _ => {
                let names = self.fields.iter().map(|(name, _)| name.as_str());
                let index = names::find(names.clone(), name)
                    .ok_or_else(|| Fault::new(names::unknown("field", name, names)))?;
                let before = &encoder.fields[self.base..];
                if before.iter().any(|(before, _)| *before == index) {
                    let name = &self.fields[index].0;
                    return Err(Fault::new(format!("the field `{name}` is given twice")));
                }
                self.in_order &= index == next;
                index
            }
        };
        encoder.fields.push((index, encoder.writer.position()));
        self.current = index;
        Ok(())
    }

    /// The field that is written next.
    pub(super) fn current(&self) -> (&'t str, &'t Type) {
        let (name, ty) = &self.fields[self.current];
        (name, ty)
    }

    pub(super) fn end(self, encoder: &mut Encoder) -> Result<(), Fault> {
        let count = encoder.fields.len() - self.base;
        if self.in_order && count == self.fields.len() {
            encoder.fields.truncate(self.base);
            return Ok(());
        }
        let mut pieces = vec![None; self.fields.len()];
        let mut end = encoder.writer.position();
        for (index, start) in encoder.fields.drain(self.base..).rev() {
            pieces[index] = Some(Piece { start, end });
            end = start;
        }
        for ((name, ty), piece) in self.fields.iter().zip(&pieces) {
            if piece.is_none() && !matches!(ty, Type::Option(_)) {
                let ty = shortened(self.ty);
                return Err(Fault::new(format!("missing field `{name}` of {ty}")));
            }
        }
        encoder.writer.reorder(self.first, pieces.into_iter());
        Ok(())
    }
}

/// Takes the arguments.
struct ArgumentsLook<'e, 't> {
    encoder: &'e mut Encoder,
    params: &'t [(String, Type)],
}

impl<'e, 't> Look for ArgumentsLook<'e, 't> {
    type Elements = Elements<'e, 't>;

    fn look(self, given: Given<'_>) -> Result<(), Fault> {
        match given {
            // How serde has `()`.
            Given::Null => self.elements(Some(0))?.finish(),
            given => Err(Fault::new(format!("expected arguments, got {given}"))),
        }
    }

    fn elements(self, length: Option<usize>) -> Result<Elements<'e, 't>, Fault> {
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

type NoElements = serde::ser::Impossible<(), Fault>;

/// Takes one byte of many.
struct ByteLook<'w>(&'w mut Writer);

impl Look for ByteLook<'_> {
    type Elements = NoElements;

    #[inline]
    fn look(self, given: Given<'_>) -> Result<(), Fault> {
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

/// Takes bytes as a text.
struct Base64Look<'w>(&'w mut Writer);

impl Look for Base64Look<'_> {
    type Elements = NoElements;

    fn look(self, given: Given<'_>) -> Result<(), Fault> {
        use base64::Engine as _;
        use base64::alphabet::STANDARD;
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

        const BASE64: GeneralPurpose = GeneralPurpose::new(
            &STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );

        let Given::Text(text) = given else {
            return Err(Fault::new(format!("expected base64, got {given}")));
        };
        let bytes = BASE64
            .decode(text)
            .map_err(|error| Fault::new(format!("expected base64, got {given}: {error}")))?;
        Ok(self.0.binary(&bytes)?)
    }
}

/// Takes the name of a flag that is set.
struct FlagLook<'t, 's>(&'t [String], &'s mut Vec<usize>);

impl Look for FlagLook<'_, '_> {
    type Elements = NoElements;

    fn look(self, given: Given<'_>) -> Result<(), Fault> {
        let (Given::Text(name) | Given::Case(name)) = given else {
            return Err(Fault::new(format!(
                "expected the name of a flag, got {given}"
            )));
        };
        self.1.push(flag(self.0, name)?);
        Ok(())
    }
}

pub(super) fn flag(names: &[String], name: &str) -> Result<usize, Fault> {
    let names = names.iter().map(String::as_str);
    names::find(names.clone(), name).ok_or_else(|| Fault::new(names::unknown("flag", name, names)))
}

/// Takes whether a flag is set.
struct SetLook<'s>(usize, &'s mut Vec<usize>);

impl Look for SetLook<'_> {
    type Elements = NoElements;

    fn look(self, given: Given<'_>) -> Result<(), Fault> {
        match given {
            Given::Bool(true) => self.1.push(self.0),
            Given::Bool(false) => {}
            given => return Err(mismatch(&Type::Bool, given)),
        }
        Ok(())
    }
}

/// Takes the key of an entry that has a name.
struct KeyLook<'k, 'e, 't>(&'k mut Entries<'e, 't>);

impl Look for KeyLook<'_, '_, '_> {
    type Elements = NoElements;

    fn look(self, given: Given<'_>) -> Result<(), Fault> {
        match given {
            Given::Text(name) | Given::Case(name) => self.0.name(name),
            Given::Char(name) => self.0.name(name.encode_utf8(&mut [0; 4])),
            given => Err(Fault::new(format!(
                "expected a name as the key, got {given}"
            ))),
        }
    }
}

/// Takes the value of a case that has none.
struct NothingLook<'t>(&'t str);

impl Look for NothingLook<'_> {
    type Elements = NoElements;

    fn look(self, given: Given<'_>) -> Result<(), Fault> {
        match given {
            Given::Null => Ok(()),
            given => Err(takes_nothing(self.0, given)),
        }
    }
}

#[cold]
pub(super) fn takes_nothing(case: &str, given: impl fmt::Display) -> Fault {
    Fault::new(format!("the case `{case}` takes no value, got {given}"))
}
