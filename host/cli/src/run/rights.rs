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
        let (host, guest, access) = dir(text);
        let granted = rights.dir(host, guest, access);
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

/// `HOST::GUEST`, or one name for both; with `:ro` at the end if it is read-only.
fn dir(text: &str) -> (&Path, &str, Access) {
    let (names, access) = match text.strip_suffix(":ro") {
        Some(names) => (names, Access::ReadOnly),
        None => (text, Access::ReadWrite),
    };
    let (host, guest) = names.split_once("::").unwrap_or((names, names));
    (Path::new(host), guest, access)
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
        let check = |text, host, guest, access| {
            assert_eq!(dir(text), (Path::new(host), guest, access));
        };
        check("data", "data", "data", Access::ReadWrite);
        check("data:ro", "data", "data", Access::ReadOnly);
        check("/srv/data::/data", "/srv/data", "/data", Access::ReadWrite);
        check(
            "/srv/data::/data:ro",
            "/srv/data",
            "/data",
            Access::ReadOnly,
        );
        check("a:b::c:d:ro", "a:b", "c:d", Access::ReadOnly);
    }
}
