//! The names of host functions, and which versions of an interface fit each other.
//!
//! Does not know what the functions do.

use std::fmt;

/// The name of a function that a component imports: `acme:host/log@1.2.0#write`, or `write` for a
/// function that is imported by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FunctionName {
    /// `None` for a function that belongs to no interface.
    pub(crate) interface: Option<InterfaceName>,
    pub(crate) function: String,
}

/// The name of an interface: `acme:host/log@1.2.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InterfaceName {
    /// The name without the version: `acme:host/log`.
    pub(crate) base: String,
    pub(crate) version: Option<Version>,
}

/// A semantic version, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    text: String,
    numbers: [u64; 3],
    is_prerelease: bool,
}

/// How long the name of an interface and of a function may be, in bytes. Names come from guests, and
/// into messages.
const MAX_LENGTH: usize = 256;

const TOO_LONG: Problem = "it is longer than 256 bytes";

/// What is wrong with a name.
pub(crate) type Problem = &'static str;

impl FunctionName {
    pub(crate) fn parse(name: &str) -> Result<Self, Problem> {
        let (interface, function) = match name.split_once('#') {
            Some((interface, function)) => (Some(InterfaceName::parse(interface)?), function),
            None if name.contains([':', '/']) => {
                return Err("it names an interface and no function in it");
            }
            None => (None, name),
        };
        if function.starts_with('[') {
            return Err("functions of resources cannot be host functions: use plain functions");
        }
        if function.len() > MAX_LENGTH {
            return Err(TOO_LONG);
        }
        if !is_label(function) {
            return Err("its function is not named as in WIT, by letters, digits and dashes");
        }
        Ok(Self {
            interface,
            function: function.to_owned(),
        })
    }

    /// The name of an import, or of a function of an imported interface.
    pub(crate) fn of_import(interface: Option<&str>, function: &str) -> Result<Self, Problem> {
        if function.len() > MAX_LENGTH {
            return Err(TOO_LONG);
        }
        Ok(Self {
            interface: interface.map(InterfaceName::parse).transpose()?,
            function: function.to_owned(),
        })
    }

    /// Whether a function of this name can stand in for an import of that name.
    pub(crate) fn fits(&self, import: &Self) -> bool {
        self.function == import.function
            && match (&self.interface, &import.interface) {
                (Some(own), Some(interface)) => own.fits(interface),
                (None, None) => true,
                _ => false,
            }
    }

    /// The version, for comparing names that fit the same import.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.interface.as_ref()?.version.as_ref()
    }
}

impl InterfaceName {
    pub(crate) fn parse(name: &str) -> Result<Self, Problem> {
        if name.len() > MAX_LENGTH {
            return Err(TOO_LONG);
        }
        let (base, version) = match name.split_once('@') {
            Some((base, version)) => (base, Some(Version::parse(version)?)),
            None => (name, None),
        };
        let (package, interface) = base
            .split_once('/')
            .ok_or("its interface has no name after a slash")?;
        let is_package = package.contains(':') && package.split(':').all(is_label);
        if !is_package || !interface.split('/').all(is_label) {
            return Err("its interface is not named as in WIT, `NAMESPACE:PACKAGE/INTERFACE`");
        }
        Ok(Self {
            base: base.to_owned(),
            version,
        })
    }

    /// Whether functions of this interface can stand in for those of an imported one: it is the same
    /// one, or differs in a part of the version that says that it is compatible.
    pub(crate) fn fits(&self, import: &Self) -> bool {
        self.base == import.base
            && match (&self.version, &import.version) {
                (Some(own), Some(version)) => own.is_compatible(version),
                (None, None) => true,
                _ => false,
            }
    }

    /// Whether a grant of this interface covers an imported one. Without a version it covers all.
    pub(crate) fn covers(&self, import: &Self) -> bool {
        match self.version {
            Some(_) => self.fits(import),
            None => self.base == import.base,
        }
    }
}

impl Version {
    fn parse(text: &str) -> Result<Self, Problem> {
        const PROBLEM: Problem = "its version is not of the form `1.2.0`";
        let release = text.split_once('+').map_or(text, |(release, _)| release);
        let (core, prerelease) = match release.split_once('-') {
            Some((core, prerelease)) => (core, Some(prerelease)),
            None => (release, None),
        };
        let numbers = core.split('.').map(str::parse);
        let numbers = numbers.collect::<Result<Vec<u64>, _>>();
        let numbers = numbers.map_err(|_| PROBLEM)?;
        Ok(Self {
            text: text.to_owned(),
            numbers: numbers.try_into().map_err(|_| PROBLEM)?,
            is_prerelease: prerelease.is_some(),
        })
    }

    /// By the rules of semantic versions, as the engine's own linker has them: before 1.0 a new minor
    /// version is another interface, before 0.1 every version is, and so is every prerelease.
    fn is_compatible(&self, other: &Self) -> bool {
        let track = |version: &Self| match version.numbers {
            _ if version.is_prerelease => None,
            [0, 0, _] => None,
            [0, minor, _] => Some((0, minor)),
            [major, ..] => Some((major, 0)),
        };
        self.text == other.text || (track(self).is_some() && track(self) == track(other))
    }

    pub(crate) fn numbers(&self) -> [u64; 3] {
        self.numbers
    }
}

/// Whether it is a name of WIT, which has letters, digits and dashes.
fn is_label(text: &str) -> bool {
    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_of_label)
}

impl fmt::Display for FunctionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(interface) = &self.interface {
            write!(formatter, "{interface}#")?;
        }
        formatter.write_str(&self.function)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.base)?;
        match &self.version {
            Some(version) => write!(formatter, "@{}", version.text),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fits(offered: &str, imported: &str, expected: bool) {
        let [offered, imported] =
            [offered, imported].map(|name| FunctionName::parse(name).unwrap());
        assert_eq!(offered.fits(&imported), expected, "{offered} {imported}");
    }

    #[test]
    fn versions_fit_by_the_rules_of_semantic_versions() {
        fits("a:b/c#f", "a:b/c#f", true);
        fits("a:b/c#f", "a:b/c#g", false);
        fits("a:b/c#f", "a:b/d#f", false);
        fits("a:b/c#f", "f", false);
        fits("f", "f", true);
        fits("a:b/c#f", "a:b/c@1.0.0#f", false);
        fits("a:b/c@1.0.0#f", "a:b/c#f", false);
        fits("a:b/c@1.0.0#f", "a:b/c@1.7.2#f", true);
        fits("a:b/c@1.7.2#f", "a:b/c@1.0.0#f", true);
        fits("a:b/c@1.7.2#f", "a:b/c@2.0.0#f", false);
        fits("a:b/c@0.1.0#f", "a:b/c@0.1.9#f", true);
        fits("a:b/c@0.1.0#f", "a:b/c@0.2.0#f", false);
        fits("a:b/c@0.0.1#f", "a:b/c@0.0.2#f", false);
        fits("a:b/c@0.0.1#f", "a:b/c@0.0.1#f", true);
        fits("a:b/c@1.0.0-rc1#f", "a:b/c@1.0.0#f", false);
        fits("a:b/c@1.0.0-rc1#f", "a:b/c@1.0.0-rc1#f", true);
        fits("a:b/c@1.0.0+a#f", "a:b/c@1.0.0+b#f", true);
    }

    #[test]
    fn a_grant_without_a_version_covers_all_versions() {
        let covers = |granted: &str, imported: &str| {
            let [granted, imported] =
                [granted, imported].map(|name| InterfaceName::parse(name).unwrap());
            granted.covers(&imported)
        };
        assert!(covers("a:b/c", "a:b/c@1.0.0"));
        assert!(covers("a:b/c", "a:b/c"));
        assert!(covers("a:b/c@1.1.0", "a:b/c@1.0.0"));
        assert!(!covers("a:b/c@1.1.0", "a:b/c"));
        assert!(!covers("a:b/c@1.1.0", "a:b/c@2.0.0"));
    }

    #[test]
    fn names_that_no_component_can_import_are_refused() {
        for name in ["a:b/c@1.2.0-rc.1+x#f-g", "a:b:c/d#f", "f"] {
            assert_eq!(FunctionName::parse(name).unwrap().to_string(), name);
        }
        for (name, problem) in [
            ("", "its function is not named"),
            ("a:b/c", "no function in it"),
            ("a:b/c#", "its function is not named"),
            ("a:b/c#f g", "its function is not named"),
            ("a:b/c#f_g", "its function is not named"),
            ("a:b/c#[method]f.g", "functions of resources"),
            ("a:b#f", "no name after a slash"),
            ("b/c#f", "its interface is not named"),
            ("a:b/#f", "its interface is not named"),
            ("a:b/c@1#f", "its version"),
            ("a:b/c@1.2.x#f", "its version"),
            ("a:b/c@1.2.0.0#f", "its version"),
        ] {
            let refused = FunctionName::parse(name).unwrap_err();
            assert!(refused.contains(problem), "{name}: {refused}");
        }
        let long = "a".repeat(MAX_LENGTH);
        assert!(FunctionName::parse(&format!("a:b/c#{long}")).is_ok());
        for name in [
            format!("a:b/c#a{long}"),
            format!("a:b/c{long}#f"),
            format!("a:b/c@1.0.0+{long}#f"),
        ] {
            assert_eq!(FunctionName::parse(&name), Err(TOO_LONG));
        }
    }
}
