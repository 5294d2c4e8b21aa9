//! Typed values from WAVE, the text form that the WebAssembly tools have for them. The library has it
//! with the feature `wave`.
//!
//! The only file that names `wasm_wave`, which parses. What the text means depends on the type and
//! is decided here. Does not know where the text comes from.

use std::fmt;

use wasm_wave::ast::{Node, NodeType};
use wasm_wave::parser::{ParserError, ParserErrorKind};
use wasm_wave::untyped::UntypedValue;

use super::encode::{Case, Encoder, Record, flag, missing_arguments, takes_nothing, wrong_arity};
use super::given::Given;
use super::path::{ArgumentError, Step, ValueFault, shortened};
use super::wave_text::to_wave_cut;
use crate::value::{Signature, Type, Value};

/// Why a text is not the WAVE form of a call.
///
/// The message is one line, which begins with the line and column:
/// `1:23: argument 2.corners[3].x: expected f64, got "a"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveError {
    line: usize,
    column: usize,
    problem: String,
}

impl WaveError {
    /// The line of the fault, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the fault in its line, counted from 1 in characters.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    #[cold]
    fn new(text: &str, offset: usize, problem: impl fmt::Display) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            problem: problem.to_string(),
        }
    }
}

impl fmt::Display for WaveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            problem,
        } = self;
        write!(formatter, "{line}:{column}: {problem}")
    }
}

impl std::error::Error for WaveError {}

/// See [`Signature::wave_name`].
pub(crate) fn call_name(text: &str) -> Result<&str, WaveError> {
    let form = "expected a call in the form `name(arguments)`";
    let Some(open) = text.find('(') else {
        return Err(WaveError::new(text, text.trim_end().len(), form));
    };
    match text[..open].trim() {
        "" => Err(WaveError::new(text, open, form)),
        name => Ok(name),
    }
}

/// The wire form of the arguments in the text of a call.
///
/// Options at the end may be omitted.
///
/// # Errors
///
/// If the text is not a call, or its arguments do not fit the signature.
pub(crate) fn call_arguments(signature: &Signature, text: &str) -> Result<Vec<u8>, WaveError> {
    call_name(text)?;
    let open = text.find('(').unwrap_or_default();
    let source = &text[open..];
    let at =
        |offset: usize, problem: &dyn fmt::Display| WaveError::new(text, open + offset, problem);
    let params = &signature.params;
    let mut encoder = Encoder::default();
    encoder.writer.array(params.len());
    let parsed = match UntypedValue::parse(source) {
        Ok(parsed) => Some(parsed),
        Err(error) => match empty_arguments(source, &error) {
            Some(()) => None,
            None => return Err(at(error.span().start, &without_span(&error))),
        },
    };
    let mut given = 0;
    if let Some(parsed) = &parsed {
        let arguments = parsed.node().as_tuple().map_err(|error| at(0, &error))?;
        given = arguments.len();
        if given > params.len() {
            return Err(at(0, &wrong_arity(params, given)));
        }
        for (index, (node, (_, ty))) in arguments.zip(params).enumerate() {
            write(&mut encoder, source, ty, node).map_err(|misfit| {
                let misfit = misfit.at(Step::Argument(index));
                at(misfit.offset, &misfit.fault)
            })?;
        }
    }
    missing_arguments(&mut encoder, params, given).map_err(|fault| at(0, &fault))?;
    Ok(encoder.writer.into_bytes())
}

impl Signature {
    /// The arguments in the text of a call, such as `factorize(360)`, written in WAVE.
    ///
    /// The name of the function is ignored: see [`wave_name`](Self::wave_name). Options at the end
    /// may be omitted.
    ///
    /// # Errors
    ///
    /// If the text is not a call, or its arguments do not fit the signature.
    pub fn wave_arguments(&self, call: &str) -> Result<Vec<Value>, WaveError> {
        let wire = call_arguments(self, call)?;
        let types = self.params.iter().map(|(_, ty)| ty.clone()).collect();
        // No limit: the caller wrote the text.
        super::decode(Some(&Type::Tuple(types)), &wire, usize::MAX)
            .map_err(|problem| WaveError::new(call, 0, problem))
    }

    /// The name of the function in the text of a call: `factorize` in `factorize(360)`.
    ///
    /// The name is everything before the first parenthesis, so it may include the interface:
    /// `ns:pkg/iface@1.0.0#factorize`.
    ///
    /// # Errors
    ///
    /// If there is no name, or no parenthesis after it.
    pub fn wave_name(call: &str) -> Result<&str, WaveError> {
        call_name(call)
    }

    /// The WAVE text of a function's output, given in its [JSON form](crate::json_form); empty if
    /// the function has no output.
    ///
    /// # Errors
    ///
    /// If the value is not of the type of the [`output`](Self::output).
    pub fn wave_output(&self, output: &Value) -> Result<String, ArgumentError> {
        match self.output() {
            Some(ty) => {
                let wire = super::encode::encode_value(ty, output)?;
                to_wave(Some(ty), &wire).map_err(|problem| ValueFault::new(problem).into())
            }
            None => Ok(String::new()),
        }
    }
}

/// The WAVE form of a value of type `ty`; nothing for a function that gives none.
///
/// # Errors
///
/// If the bytes are not the wire form of such a value.
pub(crate) fn to_wave(ty: Option<&Type>, bytes: &[u8]) -> Result<String, String> {
    to_wave_cut(ty, bytes, usize::MAX)
}

/// Whether a text was not parsed only because WAVE has no empty tuples: it is `()`.
fn empty_arguments(source: &str, error: &ParserError) -> Option<()> {
    let is_empty = error.kind() == ParserErrorKind::EmptyTuple && error.span().start == 0;
    let rest = source.get(error.span().end..)?;
    (is_empty && rest.trim().is_empty()).then_some(())
}

/// The parser's message without the position, which is formatted in our own way.
fn without_span(error: &ParserError) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// A fault, and where it is in the text.
struct Misfit {
    fault: ValueFault,
    offset: usize,
}

impl Misfit {
    fn at(self, step: Step) -> Self {
        let Self { fault, offset } = self;
        Self {
            fault: fault.at(step),
            offset,
        }
    }
}

/// Writes `node` as a value of type `ty`.
fn write(encoder: &mut Encoder, source: &str, ty: &Type, node: &Node) -> Result<(), Misfit> {
    let span = node.span();
    let slice = &source[span.clone()];
    let here = |fault: ValueFault| Misfit {
        fault,
        offset: span.start,
    };
    let mismatch = || {
        let (ty, slice) = (shortened(ty), shortened(slice));
        here(ValueFault::new(format!("expected {ty}, got {slice}")))
    };
    let unparsed = |error: ParserError| Misfit {
        offset: error.span().start,
        fault: ValueFault::new(without_span(&error)),
    };
    let is_option_or_result = |ty: &Type| matches!(ty, Type::Option(_) | Type::Result { .. });
    match (ty, node.ty()) {
        (Type::Bool, NodeType::BoolTrue) => encoder.writer.bool(true),
        (Type::Bool, NodeType::BoolFalse) => encoder.writer.bool(false),
        (Type::F32, NodeType::Number) => match node.as_number::<f32>(source) {
            Ok(value) if !too_large(value.into(), slice) => encoder.writer.f32(value),
            _ => return Err(mismatch()),
        },
        (Type::F64, NodeType::Number) => match node.as_number::<f64>(source) {
            Ok(value) if !too_large(value, slice) => encoder.writer.f64(value),
            _ => return Err(mismatch()),
        },
        (Type::Char, NodeType::Char) => {
            let value = node.as_char(source).map_err(unparsed)?;
            encoder.value(ty).accept(Given::Char(value)).map_err(here)?;
        }
        (Type::String, NodeType::String | NodeType::MultilineString) => {
            let value = node.as_str(source).map_err(unparsed)?;
            encoder
                .value(ty)
                .accept(Given::Text(&value))
                .map_err(here)?;
        }
        (Type::List(element), NodeType::List) => {
            let elements = node.as_list().map_err(unparsed)?;
            let count = elements.len();
            let is_bytes = **element == Type::U8;
            let frame = match is_bytes {
                true => encoder.writer.begin_bytes(Some(count)),
                false => encoder.writer.begin_array(Some(count)),
            };
            for (index, node) in elements.enumerate() {
                if is_bytes && let Ok(byte) = node.as_number::<u8>(source) {
                    encoder.writer.byte(byte);
                    continue;
                }
                write(encoder, source, element, node)
                    .map_err(|misfit| misfit.at(Step::Index(index)))?;
            }
            encoder
                .writer
                .end(frame, count)
                .map_err(|error| here(error.into()))?;
        }
        (Type::Tuple(types), NodeType::Tuple) => {
            let places = node.as_tuple().map_err(unparsed)?;
            if places.len() != types.len() {
                return Err(mismatch());
            }
            encoder.writer.array(types.len());
            for (place, (node, ty)) in places.zip(types).enumerate() {
                write(encoder, source, ty, node).map_err(|misfit| misfit.at(Step::Place(place)))?;
            }
        }
        (Type::Record(fields), NodeType::Record) => {
            let mut record = Record::begin(encoder, ty, fields);
            for (name, node) in node.as_record(source).map_err(unparsed)? {
                record.field(encoder, name).map_err(here)?;
                let (name, ty) = record.current();
                write(encoder, source, ty, node)
                    .map_err(|misfit| misfit.at(Step::Name(name.to_owned())))?;
            }
            record.end(encoder).map_err(here)?;
        }
        (Type::Flags(names), NodeType::Flags) => {
            let mut set = Vec::new();
            for name in node.as_flags(source).map_err(unparsed)? {
                let name = name.strip_prefix('%').unwrap_or(name);
                set.push(flag(names, name).map_err(here)?);
            }
            encoder.flags(names, set).map_err(here)?;
        }
        (Type::Enum(_) | Type::Variant(_), NodeType::Label | NodeType::VariantWithPayload) => {
            let (name, value) = node.as_variant(source).map_err(unparsed)?;
            write_case(encoder, source, ty, name, value).map_err(|misfit| misfit.or(here))?;
        }
        (Type::Option(_), NodeType::OptionNone) => encoder.writer.nil(),
        (Type::Option(inner), NodeType::OptionSome) => {
            let value = node.as_option().map_err(unparsed)?;
            encoder.writer.array(1);
            write(encoder, source, inner, value.ok_or_else(mismatch)?)?;
        }
        (Type::Result { .. }, NodeType::ResultOk | NodeType::ResultErr) => {
            let (name, value) = match node.as_result().map_err(unparsed)? {
                Ok(value) => ("ok", value),
                Err(value) => ("err", value),
            };
            write_case(encoder, source, ty, name, value).map_err(|misfit| misfit.or(here))?;
        }
        // WAVE allows omitting `some` and `ok`, except around each other.
        (Type::Option(inner), _) if !is_option_or_result(inner) => {
            encoder.writer.array(1);
            write(encoder, source, inner, node)?;
        }
        (Type::Result { ok: Some(ok), .. }, _) if !is_option_or_result(ok) => {
            write_case(encoder, source, ty, "ok", Some(node)).map_err(|misfit| misfit.or(here))?;
        }
        (ty, NodeType::Number) => match slice.parse::<i128>() {
            Ok(value) => {
                let taken = encoder.value(ty).accept(Given::from(value));
                taken.map_err(|_| mismatch())?;
            }
            Err(_) => return Err(mismatch()),
        },
        _ => return Err(mismatch()),
    }
    Ok(())
}

/// Whether a number was too large for its type, so that Rust parsed it as infinite.
fn too_large(value: f64, text: &str) -> bool {
    value.is_infinite() && !text.ends_with("inf")
}

/// A fault of a case, or in its value.
enum CaseMisfit {
    Case(ValueFault),
    Value(Misfit),
}

impl CaseMisfit {
    fn or(self, here: impl FnOnce(ValueFault) -> Misfit) -> Misfit {
        match self {
            Self::Case(fault) => here(fault),
            Self::Value(misfit) => misfit,
        }
    }
}

fn write_case(
    encoder: &mut Encoder,
    source: &str,
    ty: &Type,
    name: &str,
    value: Option<&Node>,
) -> Result<(), CaseMisfit> {
    let unknown = || {
        let (ty, name) = (shortened(ty), shortened(name));
        ValueFault::new(format!("expected {ty}, got `{name}`"))
    };
    let case = Case::find(ty, name).unwrap_or_else(|| Err(unknown()));
    let case = case.map_err(CaseMisfit::Case)?;
    encoder.case(ty, &case);
    match (case.payload, value) {
        (Some(ty), Some(node)) => write(encoder, source, ty, node)
            .map_err(|misfit| CaseMisfit::Value(misfit.at(Step::Name(case.name.to_owned())))),
        (None, None) => Ok(()),
        (Some(ty), None) => Err(CaseMisfit::Case(case.lacks(ty))),
        (None, Some(node)) => {
            let slice = shortened(&source[node.span()]);
            Err(CaseMisfit::Case(takes_nothing(case.name, slice)))
        }
    }
}

#[cfg(test)]
mod tests {
    use wasm_wave::lex::Keyword;

    use crate::value::typed::wave_text::KEYWORDS;

    #[test]
    fn the_keywords_are_those_of_the_parser() {
        use Keyword::{Err, False, Inf, Nan, None, Ok, Some, True};
        for (name, keyword) in KEYWORDS
            .into_iter()
            .zip([True, False, Some, None, Ok, Err, Inf, Nan])
        {
            // One that is new does not compile here.
            match keyword {
                True | False | Some | None | Ok | Err | Inf | Nan => {
                    assert_eq!(keyword.to_string(), name);
                }
            }
        }
    }
}
