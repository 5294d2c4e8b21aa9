//! A mismatch between a value and its type, with its path.
//!
//! Does not know how mismatches are detected.

use std::fmt::{self, Write as _};

use serde::de::{Expected, Unexpected};
use serde::{de, ser};

use crate::value::text;

/// How much of a text or of a type is shown in a message, in characters.
const SHOWN: usize = 80;

/// Why arguments do not fit a signature: where the fault is, and what it is.
///
/// Its text is one line: `argument 2.corners[3].x: expected f64, got "a"`. Arguments are counted
/// from 1, elements of lists and of tuples from 0. Names are those of the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentError {
    path: String,
    problem: String,
}

impl ArgumentError {
    /// Where the fault is: `argument 2.corners[3].x`. Empty if the number of arguments is wrong.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the fault is: `expected f64, got "a"`.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.problem)
    }
}

impl std::error::Error for ArgumentError {}

/// A fault on its way out of the value, to which each level adds its step of the path.
///
/// So values without a fault cost nothing for paths.
#[derive(Debug)]
pub(crate) struct ValueFault(Box<Parts>);

#[derive(Debug)]
struct Parts {
    problem: String,
    /// Innermost first.
    path: Vec<Step>,
    /// Whether no value of the type could fit, rather than just this one.
    is_of_type: bool,
}

/// A step from a value to one of its parts.
#[derive(Debug)]
pub(crate) enum Step {
    /// An argument, counted from 0.
    Argument(usize),
    /// The result.
    Result,
    /// A field of a record or a case of a variant.
    Name(String),
    /// An element of a list.
    Index(usize),
    /// An element of a tuple.
    Place(usize),
}

impl ValueFault {
    #[cold]
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            problem: problem.into(),
            path: Vec::new(),
            is_of_type: true,
        }))
    }

    /// Whether the type of the caller is at fault: it takes no such value, or no part of that name.
    /// False if the caller's own code refused this one value.
    pub(super) fn is_of_type(&self) -> bool {
        self.0.is_of_type
    }

    /// The fault of a value in the tuple of all arguments, as that of an argument.
    #[cold]
    pub(super) fn of_arguments(mut self) -> Self {
        if let Some(outermost) = self.0.path.last_mut()
            && let Step::Place(place) = outermost
        {
            *outermost = Step::Argument(*place);
        }
        self
    }

    #[cold]
    pub(super) fn at(mut self, step: Step) -> Self {
        self.0.path.push(step);
        self
    }
}

impl From<ValueFault> for ArgumentError {
    fn from(fault: ValueFault) -> Self {
        let path = fault.0.path.iter().rev().map(Step::to_string).collect();
        Self {
            path,
            problem: fault.0.problem,
        }
    }
}

impl fmt::Display for ValueFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.0.path.iter().rev() {
            step.fmt(formatter)?;
        }
        if !self.0.path.is_empty() {
            formatter.write_str(": ")?;
        }
        formatter.write_str(&self.0.problem)
    }
}

impl std::error::Error for ValueFault {}

impl ser::Error for ValueFault {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::new(text::message(problem))
    }
}

impl de::Error for ValueFault {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        let mut fault = Self::new(text::with_exponents(&text::message(problem)));
        fault.0.is_of_type = false;
        fault
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::of_type(format_args!(
            "invalid type: {unexpected}, expected {expected}"
        ))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::of_type(format_args!("invalid length {length}, expected {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::of_type(format_args!(
            "unknown variant `{variant}`, expected {}",
            OneOf(expected, "variants")
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::of_type(format_args!(
            "unknown field `{field}`, expected {}",
            OneOf(expected, "fields")
        ))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::of_type(format_args!("missing field `{field}`"))
    }
}

impl ValueFault {
    /// A fault that serde's own code has found in the caller's type.
    fn of_type(problem: fmt::Arguments<'_>) -> Self {
        let mut fault = <Self as de::Error>::custom(problem);
        fault.0.is_of_type = true;
        fault
    }
}

/// The names that serde would have taken, as serde lists them.
struct OneOf(&'static [&'static str], &'static str);

impl fmt::Display for OneOf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(names, what) = self;
        match names {
            [] => write!(formatter, "no {what}"),
            [name] => write!(formatter, "`{name}`"),
            [one, other] => write!(formatter, "`{one}` or `{other}`"),
            names => {
                formatter.write_str("one of ")?;
                for (index, name) in names.iter().enumerate() {
                    let separator = if index > 0 { ", " } else { "" };
                    write!(formatter, "{separator}`{name}`")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(index) => write!(formatter, "argument {}", index + 1),
            Self::Result => formatter.write_str("result"),
            Self::Name(name) => write!(formatter, ".{name}"),
            Self::Index(index) => write!(formatter, "[{index}]"),
            Self::Place(place) => write!(formatter, ".{place}"),
        }
    }
}

/// A text or a type for a message, cut after 80 characters. Formatting stops there.
#[cold]
pub(crate) fn shortened(shown: impl fmt::Display) -> String {
    let mut text = Shortened {
        text: String::new(),
        left: SHOWN,
        is_cut: false,
    };
    // Fails where it is cut.
    let _ = write!(text, "{shown}");
    if text.is_cut {
        text.text.push_str("...");
    }
    text.text
}

/// A text of bounded length. Writing more is an error.
struct Shortened {
    text: String,
    left: usize,
    is_cut: bool,
}

impl fmt::Write for Shortened {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            let Some(left) = self.left.checked_sub(1) else {
                self.is_cut = true;
                return Err(fmt::Error);
            };
            self.left = left;
            self.text.push(character);
        }
        Ok(())
    }
}
