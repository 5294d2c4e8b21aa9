//! A mismatch between a value and its type, with its path.
//!
//! Does not know how mismatches are detected.

use std::fmt::{self, Write as _};

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
        }))
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
        Self::new(text::with_exponents(&text::message(problem)))
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
