//! Types of the component model in the text form of WebAssembly, with the core values that they
//! are passed as.
//!
//! A type may be made of others any number of times: what is written out here stays small, however
//! large the type is.

use std::fmt::Write as _;

use crate::{Type, component};

/// How many core values are told apart: one more than arguments may be.
const MOST_FLAT: usize = 17;

/// Definitions of types, as far as they are written.
#[derive(Debug, Default)]
pub struct Definitions {
    text: String,
    n_types: usize,
}

/// A type that can be written into a component after its [`Definitions`].
#[derive(Debug, Clone)]
pub struct Defined {
    /// How it is written.
    pub text: String,
    /// The core values that it is passed as, but no more than 17 of them.
    pub flat: Vec<&'static str>,
}

impl Defined {
    /// The core value as which a function gives it: itself, or where it lies.
    pub fn core_result(&self) -> &'static str {
        match self.flat[..] {
            [only] => only,
            _ => "i32",
        }
    }
}

/// The core parameters of a function that takes values of these types.
pub fn core_params<'a>(types: impl Iterator<Item = &'a Defined>) -> Vec<&'static str> {
    let flat = concatenated(types);
    match flat.len() {
        ..MOST_FLAT => flat,
        _ => vec!["i32"],
    }
}

fn concatenated<'a>(types: impl Iterator<Item = &'a Defined>) -> Vec<&'static str> {
    let flat = types.flat_map(|ty| ty.flat.iter().copied());
    flat.take(MOST_FLAT).collect()
}

impl Definitions {
    /// All that is defined, to be written before what is made of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A type that has no parts, by its name in the text form.
    pub fn scalar(&self, name: &str) -> Defined {
        let flat = match name {
            "s64" | "u64" => vec!["i64"],
            "f32" => vec!["f32"],
            "f64" => vec!["f64"],
            "string" => vec!["i32"; 2],
            _ => vec!["i32"],
        };
        Defined {
            text: name.to_owned(),
            flat,
        }
    }

    /// A list.
    pub fn list(&mut self, element: &Defined) -> Defined {
        let text = format!("(list {})", element.text);
        self.define(&text, vec!["i32"; 2])
    }

    /// A tuple.
    pub fn tuple(&mut self, parts: &[Defined]) -> Defined {
        let texts = parts.iter().map(|part| format!(" {}", part.text));
        let text = format!("(tuple{})", texts.collect::<String>());
        self.define(&text, concatenated(parts.iter()))
    }

    /// A record.
    pub fn record(&mut self, fields: &[(String, Defined)]) -> Defined {
        let texts = fields
            .iter()
            .map(|(name, ty)| format!(r#" (field "{name}" {})"#, ty.text));
        let text = format!("(record{})", texts.collect::<String>());
        let flat = concatenated(fields.iter().map(|(_, ty)| ty));
        self.named(&text, flat)
    }

    /// A variant.
    pub fn variant(&mut self, cases: &[(String, Option<Defined>)]) -> Defined {
        let texts = cases.iter().map(|(name, ty)| match ty {
            Some(ty) => format!(r#" (case "{name}" {})"#, ty.text),
            None => format!(r#" (case "{name}")"#),
        });
        let text = format!("(variant{})", texts.collect::<String>());
        let flat = joined(cases.iter().filter_map(|(_, ty)| ty.as_ref()));
        self.named(&text, flat)
    }

    /// An enum.
    pub fn enumeration(&mut self, names: &[String]) -> Defined {
        let text = format!("(enum{})", quoted(names));
        self.named(&text, vec!["i32"])
    }

    /// Flags.
    pub fn flags(&mut self, names: &[String]) -> Defined {
        let text = format!("(flags{})", quoted(names));
        let n_words = names.len().div_ceil(32).min(MOST_FLAT);
        self.named(&text, vec!["i32"; n_words])
    }

    /// An option.
    pub fn option(&mut self, inner: &Defined) -> Defined {
        let text = format!("(option {})", inner.text);
        self.define(&text, joined([inner].into_iter()))
    }

    /// A result.
    pub fn result(&mut self, ok: Option<&Defined>, err: Option<&Defined>) -> Defined {
        let mut text = "(result".to_owned();
        if let Some(ok) = ok {
            text += &format!(" {}", ok.text);
        }
        if let Some(err) = err {
            text += &format!(" (error {})", err.text);
        }
        self.define(&(text + ")"), joined([ok, err].into_iter().flatten()))
    }

    /// A resource of the component's own, by a handle that is passed on.
    pub fn own_resource(&mut self) -> Defined {
        let resource = self.named("(resource (rep i32))", vec!["i32"]);
        let text = format!("(own {})", resource.text);
        self.define(&text, vec!["i32"])
    }

    /// A type as it is written, which is passed as one `i32`.
    pub fn verbatim(&mut self, text: &str) -> Defined {
        self.define(text, vec!["i32"])
    }

    /// A whole type.
    pub fn whole(&mut self, ty: &Type) -> Defined {
        match ty {
            Type::List(element) => {
                let element = self.whole(element);
                self.list(&element)
            }
            Type::Option(inner) => {
                let inner = self.whole(inner);
                self.option(&inner)
            }
            Type::Tuple(types) => {
                let parts = types.iter().map(|ty| self.whole(ty));
                let parts = parts.collect::<Vec<_>>();
                self.tuple(&parts)
            }
            Type::Record(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, ty)| (name.clone(), self.whole(ty)));
                let fields = fields.collect::<Vec<_>>();
                self.record(&fields)
            }
            Type::Variant(cases) => {
                let cases = cases.iter().map(|(name, ty)| {
                    let ty = ty.as_ref().map(|ty| self.whole(ty));
                    (name.clone(), ty)
                });
                let cases = cases.collect::<Vec<_>>();
                self.variant(&cases)
            }
            Type::Result { ok, err } => {
                let mut payload = |ty: &Option<Box<Type>>| ty.as_ref().map(|ty| self.whole(ty));
                let (ok, err) = (payload(ok), payload(err));
                self.result(ok.as_ref(), err.as_ref())
            }
            Type::Enum(names) => self.enumeration(names),
            Type::Flags(names) => self.flags(names),
            scalar => self.scalar(&scalar.to_string()),
        }
    }

    fn define(&mut self, text: &str, flat: Vec<&'static str>) -> Defined {
        let index = self.n_types;
        self.n_types += 1;
        writeln!(self.text, "(type $t{index} {text})").expect("it is memory");
        Defined {
            text: format!("$t{index}"),
            flat,
        }
    }

    /// A type that can only be used by a name that is exported.
    fn named(&mut self, text: &str, flat: Vec<&'static str>) -> Defined {
        let inner = self.define(text, flat);
        let index = self.n_types;
        self.n_types += 1;
        let export = format!(r#"(export $t{index} "named{index}" (type {}))"#, inner.text);
        self.text += &export;
        self.text.push('\n');
        Defined {
            text: format!("$t{index}"),
            ..inner
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!(r#" "{name}""#)).collect()
}

/// A discriminant, and the core values that the cases share.
fn joined<'a>(cases: impl Iterator<Item = &'a Defined>) -> Vec<&'static str> {
    let mut joined = Vec::new();
    for case in cases {
        component::join(&mut joined, case.flat.iter().copied());
    }
    joined.insert(0, "i32");
    joined.truncate(MOST_FLAT);
    joined
}
