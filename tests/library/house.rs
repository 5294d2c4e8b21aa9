//! The layout: what the files of the host may import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the library, each of which imports only from those below it.
const ROOMS: &[&str] = &[
    "pool", "future", "task", "schedule", "sandbox", "error", "call", "objects", "value", "sync",
];

/// The only room that names the engine.
const ENGINE_ROOM: &str = "sandbox";

#[test]
fn rooms_import_only_from_rooms_below() {
    let root = source("wasmpool");
    let mut broken = Vec::new();
    for path in files(&root) {
        let file = path.strip_prefix(&root).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let Some(room) = file.iter().next().filter(|_| file.iter().count() > 1) else {
            assert_eq!(file, Path::new("lib.rs"), "a file outside of the rooms");
            continue;
        };
        broken.extend(broken_rules(file, room.to_str().unwrap(), &text));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn an_upward_import_is_found_with_its_file_line_and_rule() {
    let file = Path::new("call/limits.rs");
    let text = "//! Limits of crate::pool.\n\nuse std::time::Duration;\n\nuse crate::{\n    value::Type, pool::Pool};\n";
    let found = broken_rules(file, "call", text);
    let rule = "`call` imports from `pool`, which is above it; allowed are objects, value, sync";
    assert_eq!(found, [format!("call/limits.rs:5: {rule}")]);
    let text = "fn f() {\n    crate::schedule::Retry::times(2);\n    let _: wasmtime::Engine;\n}\n";
    let found = broken_rules(file, "call", text);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("call/limits.rs:2: `call` imports from `schedule`"));
    assert!(found[1].starts_with("call/limits.rs:3: only `sandbox` names wasmtime"));
    let text = "use super::control::Control;\nuse crate::call::Control;\nuse crate::sync::Arc;\nuse crate::TaskError;\n";
    assert!(broken_rules(file, "call", text).is_empty());
}

#[test]
fn files_of_the_other_packages_have_no_import_cycles() {
    for package in ["cli", "bench", "cluster"] {
        let root = source(package);
        let circle = circle(&imports(&root));
        assert!(circle.is_empty(), "{package}: {}", circle.join(" -> "));
    }
}

#[test]
fn a_cycle_of_imports_is_found() {
    let imports = |edges: &[(&str, &str)]| {
        let mut imports = BTreeMap::<_, BTreeSet<_>>::new();
        for (from, to) in edges {
            imports
                .entry(from.to_string())
                .or_default()
                .insert(to.to_string());
        }
        imports
    };
    assert!(circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let found = circle(&imports(&[("a", "b"), ("b", "c"), ("c", "b")]));
    assert_eq!(found, ["b", "c", "b"]);
}

fn source(package: &str) -> PathBuf {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    host.join(package).join("src")
}

/// All Rust files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Lines at which a file of a room breaks a rule.
fn broken_rules(file: &Path, room: &str, text: &str) -> Vec<String> {
    let place = ROOMS.iter().position(|&other| other == room);
    let place = place.unwrap_or_else(|| panic!("`{room}` is none of the rooms"));
    let above = &ROOMS[..place];
    let below = ROOMS[place + 1..].join(", ");
    let mut broken = Vec::new();
    for (line, path) in paths(text) {
        let place = format!("{}:{line}", file.display());
        if let Some(other) = path.first().filter(|name| above.contains(&name.as_str())) {
            broken.push(format!(
                "{place}: `{room}` imports from `{other}`, which is above it; allowed are {below}"
            ));
        }
    }
    for (number, line) in code(text).lines().enumerate() {
        if line.contains("wasmtime") && line.contains("::") && room != ENGINE_ROOM {
            let place = format!("{}:{}", file.display(), number + 1);
            broken.push(format!("{place}: only `{ENGINE_ROOM}` names wasmtime"));
        }
    }
    broken
}

/// The text without comments, on the same lines.
fn code(text: &str) -> String {
    let lines = text.lines().map(|line| match line.find("//") {
        // `://` is part of an address.
        Some(place) if !line[..place].ends_with(':') => &line[..place],
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that begin with `crate`, without that prefix, each with its line.
fn paths(text: &str) -> Vec<(usize, Vec<String>)> {
    let code = code(text);
    let mut found = Vec::new();
    for (start, prefix) in code.match_indices("crate::") {
        let line = code[..start].matches('\n').count() + 1;
        let rest = &code[start + prefix.len()..];
        let branches = match rest.strip_prefix('{') {
            Some(group) => branches(group),
            None => vec![rest],
        };
        found.extend(branches.into_iter().map(|path| (line, names(path))));
    }
    found
}

/// The paths of a group of imports; only their beginning matters.
fn branches(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (place, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                found.push(group[start..place].trim());
                break;
            }
            ',' if depth == 0 => {
                found.push(group[start..place].trim());
                start = place + 1;
            }
            _ => {}
        }
    }
    found
}

/// The names at the beginning of a path.
fn names(path: &str) -> Vec<String> {
    let is_of_name = |character: char| character.is_alphanumeric() || character == '_';
    let mut names = Vec::new();
    for part in path.split("::") {
        let end = part.find(|character| !is_of_name(character));
        names.push(part[..end.unwrap_or(part.len())].to_owned());
        if end.is_some() {
            break;
        }
    }
    names
}

/// The modules that each file of a package imports. Imports of items that a file declares itself
/// do not count.
fn imports(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let module = |path: &Path| {
        let path = path.strip_prefix(root).unwrap().with_extension("");
        let path = path.to_str().unwrap().replace('/', "::");
        path.strip_suffix("::mod")
            .map_or(path.clone(), str::to_owned)
    };
    let files = files(root);
    let modules = files
        .iter()
        .map(|path| module(path))
        .collect::<BTreeSet<_>>();
    let mut imports = BTreeMap::<_, BTreeSet<_>>::new();
    for path in &files {
        let own = module(path);
        if own == "lib" || own == "main" {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        // For a file `super` is its folder.
        let parent = own.rsplit_once("::").map_or("", |(parent, _)| parent);
        let above = match parent {
            "" => "crate::".to_owned(),
            parent => format!("crate::{parent}::"),
        };
        let text = text.replace("use super::", &format!("use {above}"));
        for (_, path) in paths(&text) {
            let named = (1..=path.len())
                .rev()
                .map(|length| path[..length].join("::"));
            if let Some(other) = named.into_iter().find(|name| modules.contains(name))
                && other != own
            {
                imports.entry(own.clone()).or_default().insert(other);
            }
        }
    }
    imports
}

/// The modules of a cycle of imports; empty if there is none.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    fn walk<'a>(
        module: &'a str,
        imports: &'a BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> Option<Vec<String>> {
        if let Some(start) = way.iter().position(|&passed| passed == module) {
            let circle = way[start..].iter().copied().chain([module]);
            return Some(circle.map(str::to_owned).collect());
        }
        if !done.insert(module) {
            return None;
        }
        way.push(module);
        let found = imports
            .get(module)
            .into_iter()
            .flatten()
            .find_map(|other| walk(other, imports, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    imports
        .keys()
        .find_map(|module| walk(module, imports, &mut Vec::new(), &mut done))
        .unwrap_or_default()
}
