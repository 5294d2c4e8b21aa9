//! When a run is stopped early, as typed: the words are those of GNU parallel's `--halt`.

use std::num::NonZeroU64;
use std::str::FromStr;

/// The end of a run before the end of its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It goes on whatever happens.
    Never,
    /// It is stopped when so many tasks have come to that end.
    At {
        when: When,
        why: Why,
        count: NonZeroU64,
    },
}

/// What becomes of the tasks that run then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// They are stopped.
    Now,
    /// They run to their end.
    Soon,
}

/// Which tasks are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Fail,
    Success,
    Done,
}

impl FromStr for Halt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || "write `now,fail=1` or `soon,success=3`, or `never`".to_owned();
        if text == "never" {
            return Ok(Self::Never);
        }
        let (when, rest) = text.split_once(',').ok_or_else(usage)?;
        let (why, count) = rest.split_once('=').ok_or_else(usage)?;
        if count.ends_with('%') {
            return Err(
                "the number of inputs is not known in advance: write how many tasks, \
                        and not how many percent"
                    .to_owned(),
            );
        }
        Ok(Self::At {
            when: match when {
                "now" => When::Now,
                "soon" => When::Soon,
                _ => return Err(usage()),
            },
            why: match why {
                "fail" => Why::Fail,
                "success" => Why::Success,
                "done" => Why::Done,
                _ => return Err(usage()),
            },
            count: count.parse().map_err(|_| usage())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_gnu_parallel() {
        let at = |when, why, count| {
            let count = NonZeroU64::new(count).unwrap();
            Ok(Halt::At { when, why, count })
        };
        assert_eq!("never".parse(), Ok(Halt::Never));
        assert_eq!("now,fail=1".parse(), at(When::Now, Why::Fail, 1));
        assert_eq!("soon,success=30".parse(), at(When::Soon, Why::Success, 30));
        assert_eq!("now,done=2".parse(), at(When::Now, Why::Done, 2));
        for text in [
            "",
            "1",
            "now",
            "now,fail",
            "later,fail=1",
            "now,fail=0",
            "now,fail=x",
        ] {
            let problem = text.parse::<Halt>().unwrap_err();
            assert!(
                problem.starts_with("write `now,fail=1`"),
                "{text}: {problem}"
            );
        }
        let percent = "now,fail=10%".parse::<Halt>().unwrap_err();
        assert!(percent.contains("percent"), "{percent}");
    }
}
