//! From command line flags to the rights of a guest.

use std::path::Path;

use anyhow::anyhow;
use wasmpool::{Access, Capabilities};

use crate::args::RightsArgs;
use crate::ending::{Problem, Result};

/// The granted rights; `None` if there are none.
pub(crate) fn granted(args: &RightsArgs) -> Result<Option<Capabilities>> {
    let RightsArgs {
        dirs,
        env,
        allow_net,
        allow_tasks,
        inherit_stdio,
        deterministic,
    } = args;
    let mut rights = Capabilities::new();
    for text in dirs {
        let Dir {
            host,
            guest,
            access,
            has_special_files,
            is_slow,
        } = dir(text);
        let host = Path::new(host);
        let granted = match (has_special_files, is_slow) {
            (false, false) => rights.dir(host, guest, access),
            (true, false) => rights.dir_with_special_files(host, guest, access),
            (false, true) => rights.dir_on_slow_disk(host, guest, access),
            (true, true) => {
                let error =
                    anyhow!("`--dir {text}` has both `:special` and `:slow`; leave one out");
                return Err(Problem::Usage(error));
            }
        };
        rights = granted.map_err(|error| Problem::Unusable(error.into()))?;
    }
    for text in env {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => (text.as_str(), own_variable(text)?),
        };
        rights = rights.env(name, value);
    }
    for address in allow_net {
        let granted = rights.net(address);
        rights = granted.map_err(|error| Problem::Usage(error.into()))?;
    }
    if *allow_tasks {
        rights = rights.tasks();
    }
    if *inherit_stdio {
        rights = rights.inherit_stdio();
    }
    if let Some(seed) = deterministic {
        rights = rights.deterministic(*seed);
    }
    let is_nothing = dirs.is_empty()
        && env.is_empty()
        && allow_net.is_empty()
        && !allow_tasks
        && !inherit_stdio
        && deterministic.is_none();
    Ok((!is_nothing).then_some(rights))
}

/// A folder as it was typed.
#[derive(Debug, PartialEq)]
struct Dir<'a> {
    host: &'a str,
    guest: &'a str,
    access: Access,
    has_special_files: bool,
    is_slow: bool,
}

/// `HOST::GUEST`, or one name for both; with `:ro` at the end if it is read-only, with `:special`
/// if its special files may be opened, and with `:slow` if it is on a slow disk.
fn dir(text: &str) -> Dir<'_> {
    let (mut names, mut access) = (text, Access::ReadWrite);
    let (mut has_special_files, mut is_slow) = (false, false);
    loop {
        if let Some(rest) = names.strip_suffix(":ro") {
            (names, access) = (rest, Access::ReadOnly);
        } else if let Some(rest) = names.strip_suffix(":special") {
            (names, has_special_files) = (rest, true);
        } else if let Some(rest) = names.strip_suffix(":slow") {
            (names, is_slow) = (rest, true);
        } else {
            break;
        }
    }
    let (host, guest) = names.split_once("::").unwrap_or((names, names));
    Dir {
        host,
        guest,
        access,
        has_special_files,
        is_slow,
    }
}

fn own_variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|error| {
        let error = anyhow!("cannot pass the variable `{name}` on: {error}");
        Problem::Usage(
            error.context("`--env NAME` takes it from here; or write `--env NAME=VALUE`"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_a_name_on_each_side() {
        let check = |text, host, guest, access, [has_special_files, is_slow]: [bool; 2]| {
            let expected = Dir {
                host,
                guest,
                access,
                has_special_files,
                is_slow,
            };
            assert_eq!(dir(text), expected);
        };
        let (read_only, read_write) = (Access::ReadOnly, Access::ReadWrite);
        let [usual, special, slow] = [[false, false], [true, false], [false, true]];
        check("data", "data", "data", read_write, usual);
        check("data:ro", "data", "data", read_only, usual);
        check("/srv::/data", "/srv", "/data", read_write, usual);
        check("/srv::/data:ro", "/srv", "/data", read_only, usual);
        check("a:b::c:d:ro", "a:b", "c:d", read_only, usual);
        check("/dev:special", "/dev", "/dev", read_write, special);
        check("/dev::d:ro:special", "/dev", "d", read_only, special);
        check("/dev::d:special:ro", "/dev", "d", read_only, special);
        check("/mnt::m:slow:ro", "/mnt", "m", read_only, slow);
        check("/mnt:ro:slow", "/mnt", "/mnt", read_only, slow);
    }
}
