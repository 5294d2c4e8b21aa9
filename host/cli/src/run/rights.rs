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
        inherit_stdio,
        deterministic,
    } = args;
    let mut rights = Capabilities::new();
    for text in dirs {
        let (host, guest, access, files) = dir(text);
        let granted = match files {
            Files::Regular => rights.dir(host, guest, access),
            Files::All => rights.dir_with_special_files(host, guest, access),
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
    if *inherit_stdio {
        rights = rights.inherit_stdio();
    }
    if let Some(seed) = deterministic {
        rights = rights.deterministic(*seed);
    }
    let is_nothing = dirs.is_empty()
        && env.is_empty()
        && allow_net.is_empty()
        && !inherit_stdio
        && deterministic.is_none();
    Ok((!is_nothing).then_some(rights))
}

/// Which files of a folder may be opened.
#[derive(Debug, PartialEq)]
enum Files {
    Regular,
    /// FIFOs and devices, too.
    All,
}

/// `HOST::GUEST`, or one name for both; with `:ro` at the end if it is read-only, and with
/// `:special` if its special files may be opened.
fn dir(text: &str) -> (&Path, &str, Access, Files) {
    let (mut names, mut access, mut files) = (text, Access::ReadWrite, Files::Regular);
    loop {
        if let Some(rest) = names.strip_suffix(":ro") {
            (names, access) = (rest, Access::ReadOnly);
        } else if let Some(rest) = names.strip_suffix(":special") {
            (names, files) = (rest, Files::All);
        } else {
            break;
        }
    }
    let (host, guest) = names.split_once("::").unwrap_or((names, names));
    (Path::new(host), guest, access, files)
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
        let check = |text, host, guest, access, files| {
            assert_eq!(dir(text), (Path::new(host), guest, access, files));
        };
        let (read_only, read_write) = (Access::ReadOnly, Access::ReadWrite);
        let regular = || Files::Regular;
        check("data", "data", "data", read_write, regular());
        check("data:ro", "data", "data", read_only, regular());
        check("/srv::/data", "/srv", "/data", read_write, regular());
        check("/srv::/data:ro", "/srv", "/data", read_only, regular());
        check("a:b::c:d:ro", "a:b", "c:d", read_only, regular());
        check("/dev:special", "/dev", "/dev", read_write, Files::All);
        check("/dev::d:ro:special", "/dev", "d", read_only, Files::All);
        check("/dev::d:special:ro", "/dev", "d", read_only, Files::All);
    }
}
