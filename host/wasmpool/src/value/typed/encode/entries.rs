//! Maps and structs: records, cases, pairs, flags and bytes, as JSON has them.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, SerializeStructVariant};

use super::record::Record;
use super::targets::{Base64Target, KeyTarget, SetTarget, flag};
use super::{Case, Encoder, at_case, mismatch, payload};
use crate::value::Type;
use crate::value::typed::given::{Given, TargetSerializer};
use crate::value::typed::path::{Step, ValueFault, shortened};
use crate::value::typed::wire::Frame;

/// Takes the fields of a record, or the entries of a JSON object.
pub(crate) struct Entries<'e, 't> {
    pub(super) encoder: &'e mut Encoder,
    pub(super) kind: EntriesKind<'t>,
    /// The case whose value the entries are.
    pub(super) case: Option<&'t str>,
}

pub(super) enum EntriesKind<'t> {
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
    /// The names, the indexes of those that are set, and the index of the one whose value comes
    /// next.
    Flags(&'t [String], Vec<usize>, usize),
    /// The only entry is `base64`.
    Base64(CaseEntry<'t>),
    /// A case without a value: accepts no fields.
    Nothing,
}

/// The state of a map that must have one entry.
pub(super) enum CaseEntry<'t> {
    Missing,
    Case(Case<'t>),
    /// The `some` of an option of an option, or the `base64` of bytes.
    Named,
    Done,
}

impl<'t> Entries<'_, 't> {
    /// Takes the name of the next entry.
    pub(super) fn name(&mut self, name: &str) -> Result<(), ValueFault> {
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
                return Err(ValueFault::new(format!("{problem} ({ty})")));
            }
            EntriesKind::Flags(names, _, next) => *next = flag(names, name)?,
            EntriesKind::Base64(entry @ CaseEntry::Missing) if name == "base64" => {
                *entry = CaseEntry::Named;
            }
            EntriesKind::Base64(_) => {
                return Err(ValueFault::new(
                    r#"expected list<u8>, got a map that is not {"base64": "..."}"#,
                ));
            }
            EntriesKind::Pairs { key, value, .. } => {
                // Entries with names come from a struct.
                let ty = Type::List(Box::new(Type::Tuple(vec![key.clone(), value.clone()])));
                return Err(mismatch(&ty, Given::Map));
            }
            EntriesKind::Nothing => return Err(ValueFault::new("expected no value, got a map")),
        }
        Ok(())
    }

    fn key<T: Serialize + ?Sized>(&mut self, given: &T) -> Result<(), ValueFault> {
        let done = match &mut self.kind {
            EntriesKind::Pairs { key, count, .. } => {
                self.encoder.writer.array(2);
                given
                    .serialize(self.encoder.value(key))
                    .map_err(|fault| fault.at(Step::Place(0)).at(Step::Index(*count)))
            }
            _ => given.serialize(TargetSerializer(KeyTarget(self))),
        };
        done.map_err(|fault| at_case(fault, self.case))
    }

    fn value<T: Serialize + ?Sized>(&mut self, given: &T) -> Result<(), ValueFault> {
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
                .serialize(TargetSerializer(SetTarget(*next, set)))
                .map_err(|fault| fault.at(Step::Name(names[*next].clone()))),
            EntriesKind::Base64(entry) => {
                *entry = CaseEntry::Done;
                given.serialize(TargetSerializer(Base64Target(&mut encoder.writer)))
            }
            EntriesKind::Nothing => Ok(()),
        };
        done.map_err(|fault| at_case(fault, self.case))
    }

    fn finish(self) -> Result<(), ValueFault> {
        let Self {
            encoder,
            kind,
            case,
        } = self;
        let done = match kind {
            EntriesKind::Record(record) => record.end(encoder),
            EntriesKind::Case(_, CaseEntry::Done) | EntriesKind::Base64(CaseEntry::Done) => Ok(()),
            EntriesKind::Case(ty, _) => Err(mismatch(ty, Given::Map)),
            EntriesKind::Base64(_) => Err(ValueFault::new(
                r#"expected list<u8>, got a map that is not {"base64": "..."}"#,
            )),
            EntriesKind::Pairs { frame, count, .. } => {
                encoder.writer.end(frame, count).map_err(ValueFault::from)
            }
            EntriesKind::Flags(names, set, _) => encoder.flags(names, set),
            EntriesKind::Nothing => Ok(()),
        };
        done.map_err(|fault| at_case(fault, case))
    }

    fn named<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), ValueFault> {
        let case = self.case;
        self.name(name).map_err(|fault| at_case(fault, case))?;
        self.value(value)
    }
}

impl SerializeMap for Entries<'_, '_> {
    type Ok = ();
    type Error = ValueFault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueFault> {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueFault> {
        self.value(value)
    }

    fn end(self) -> Result<(), ValueFault> {
        self.finish()
    }
}

macro_rules! take_fields {
    ($($trait:ident),*) => {
        $(impl $trait for Entries<'_, '_> {
            type Ok = ();
            type Error = ValueFault;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), ValueFault> {
                self.named(name, value)
            }

            fn end(self) -> Result<(), ValueFault> {
                self.finish()
            }
        })*
    };
}
take_fields!(SerializeStruct, SerializeStructVariant);
