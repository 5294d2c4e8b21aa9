//! From an input to the command line of a program.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::RunArgs;

/// The placeholder of the input in an argument.
const PLACE: &str = "{}";

/// A command line with placeholders for the input.
pub(crate) struct Template {
    /// The program's own name is the first.
    pub(crate) arguments: Vec<String>,
    pub(crate) input_is_stdin: bool,
}

impl Template {
    pub(crate) fn new(args: &RunArgs) -> Self {
        let name = Path::new(&args.module).file_name();
        let name = name.map_or_else(|| args.module.clone(), |name| name.to_string_lossy().into());
        Self {
            arguments: std::iter::once(name)
                .chain(args.program_args.iter().cloned())
                .collect(),
            input_is_stdin: args.stdin,
        }
    }

    /// The arguments of the task that runs the program without an input.
    pub(crate) fn without_input(&self) -> Vec<Value> {
        vec![json!(self.arguments), json!([]), Value::Null]
    }

    /// The arguments of the task that runs the program for an input, a line of text.
    pub(crate) fn fill(&self, line: &[u8]) -> Result<Vec<Value>, String> {
        if self.input_is_stdin {
            let mut stdin = line.to_owned();
            stdin.push(b'\n');
            // JSON has no bytes: input that is not UTF-8 is passed as numbers.
            let stdin = String::from_utf8(stdin)
                .map_or_else(|error| json!(error.into_bytes()), Value::String);
            return Ok(vec![json!(self.arguments), json!([]), stdin]);
        }
        let text = std::str::from_utf8(line).map_err(
            |_| "not UTF-8, as the arguments of a program are; with `--stdin` it may be anything",
        )?;
        let mut arguments = self.arguments[..1].to_owned();
        let given = &self.arguments[1..];
        arguments.extend(given.iter().map(|argument| argument.replace(PLACE, text)));
        if !given.iter().any(|argument| argument.contains(PLACE)) {
            arguments.push(text.to_owned());
        }
        Ok(vec![json!(arguments), json!([]), Value::Null])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], line: &str, expected: &[&str]) {
        let template = Template {
            arguments: arguments.iter().map(|text| text.to_string()).collect(),
            input_is_stdin: false,
        };
        let filled = template.fill(line.as_bytes()).unwrap();
        assert_eq!(filled[0], json!(expected));
    }

    #[test]
    fn the_input_replaces_the_placeholder_or_is_the_last_argument() {
        check(&["wc"], "a b", &["wc", "a b"]);
        check(&["wc", "-l"], "a b", &["wc", "-l", "a b"]);
        check(&["wc", "{}", "-l"], "a b", &["wc", "a b", "-l"]);
        check(&["wc", "x={},{}"], "a", &["wc", "x=a,a"]);
        // The program's name is not a placeholder.
        check(&["{}", "-l"], "a", &["{}", "-l", "a"]);
    }
}
