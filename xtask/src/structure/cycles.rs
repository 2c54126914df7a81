//! Import cycles between the source files of one crate.
//!
//! The parser reads the `use` declarations and resolves each path to the file that declares the
//! item. Re-exports are followed: `use crate::Client` depends on the file that declares `Client`,
//! not on `lib.rs`. A file that declares a child module, or re-exports its items with `pub use`,
//! does not depend on the child. Paths in code are ignored.

use std::collections::{BTreeMap, BTreeSet};

/// A source file: its imports and re-exports.
#[derive(Debug, Default)]
struct Module {
    /// The imported paths, from the root of the crate.
    imports: Vec<Vec<String>>,
    /// The re-exported paths, each with its visible name. A glob has the name `*`.
    reexports: Vec<(String, Vec<String>)>,
}

/// Returns the import cycles of a crate, each as a list of files.
///
/// `files` contains the path below `src` and the text of each file. Test modules are ignored.
pub(crate) fn find_cycles(files: &[(String, String)]) -> Vec<String> {
    let paths: BTreeSet<Vec<String>> = files.iter().map(|(file, _)| module_path(file)).collect();
    let modules: BTreeMap<Vec<String>, (&str, Module)> = files
        .iter()
        .map(|(file, text)| {
            let path = module_path(file);
            let module = parse(&paths, &path, text);
            (path, (file.as_str(), module))
        })
        .collect();
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, (file, module)) in &modules {
        for import in &module.imports {
            let Some(target) = resolve(&modules, import, 0) else { continue };
            if target != path {
                edges.entry(file).or_default().insert(modules[target].0);
            }
        }
    }
    components(&edges).into_iter().map(|cycle| describe(&cycle, &edges)).collect()
}

/// Returns the path of the module in a file below `src`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

/// Parses the imports of a file. `paths` contains the modules of the crate.
fn parse(paths: &BTreeSet<Vec<String>>, path: &[String], text: &str) -> Module {
    let mut module = Module::default();
    let code = without_comments(&without_tests(text));
    for statement in code.split(';') {
        let Some((start, is_public)) = find_use(statement) else { continue };
        for (name, import) in expand(&statement[start..]) {
            let Some(import) = absolute(paths, path, &import) else { continue };
            let is_child = import.len() > path.len() && import.starts_with(path);
            if is_public {
                module.reexports.push((name, import.clone()));
            }
            // A parent may use and re-export its children; only the other direction counts.
            if !(is_public && is_child) {
                module.imports.push(import);
            }
        }
    }
    module
}

/// Returns the position after `use ` and whether the import is public, if a statement contains an
/// import.
fn find_use(statement: &str) -> Option<(usize, bool)> {
    let mut position = 0;
    for line in statement.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let offset = position + line.len() - trimmed.len();
        if let Some(rest) = trimmed.strip_prefix("use ") {
            return Some((offset + trimmed.len() - rest.len(), false));
        }
        if let Some(rest) = trimmed.strip_prefix("pub") {
            // `pub(crate) use` and the like are also re-exports.
            let rest = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
            if let Some(rest) = rest.trim_start().strip_prefix("use ") {
                return Some((offset + trimmed.len() - rest.len(), true));
            }
        }
        position += line.len();
    }
    None
}

/// Expands the braces of an import to the visible name and the segments of each path.
fn expand(tree: &str) -> Vec<(String, Vec<String>)> {
    let tree = tree.trim();
    if let Some((prefix, rest)) = tree.split_once('{') {
        let prefix: Vec<String> = segments(prefix);
        let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
        let mut paths = Vec::new();
        for part in split_top_level(inner) {
            for (name, path) in expand(part) {
                let mut full = prefix.clone();
                full.extend(path.into_iter().filter(|segment| segment != "self"));
                paths.push((name, full));
            }
        }
        return paths;
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
    let path = segments(path);
    let Some(last) = path.last() else { return Vec::new() };
    vec![(alias.unwrap_or(last).to_owned(), path)]
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
}

/// Splits a list at the commas outside of braces.
fn split_top_level(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (index, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Resolves a path that starts with `crate`, `self`, `super` or a child module.
///
/// Returns `None` for a path of another crate.
fn absolute(paths: &BTreeSet<Vec<String>>, module: &[String], path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let mut parent = module.split_last()?.1;
            let mut rest = rest;
            while let Some(("super", tail)) = rest.split_first().map(|(first, tail)| (first.as_str(), tail)) {
                parent = parent.split_last()?.1;
                rest = tail;
            }
            Some([parent, rest].concat())
        }
        _ => {
            let child = [module, &path[..1]].concat();
            paths.contains(&child).then(|| [module, path].concat())
        }
    }
}

/// Returns the module that defines the item at a path, and follows re-exports.
fn resolve<'a>(
    modules: &'a BTreeMap<Vec<String>, (&str, Module)>,
    path: &[String],
    depth: usize,
) -> Option<&'a Vec<String>> {
    if depth > 16 {
        return None;
    }
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let (key, (_, module)) = modules.get_key_value(&path[..length])?;
    let Some(item) = path.get(length) else { return Some(key) };
    for (name, target) in &module.reexports {
        if name == item {
            let target = [target.as_slice(), &path[length + 1..]].concat();
            return resolve(modules, &target, depth + 1).or(Some(key));
        }
    }
    // An item behind a glob could be in either module, so the re-exporting one is assumed.
    Some(key)
}

/// Returns the strongly connected components with more than one file.
fn components<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<BTreeSet<&'a str>> {
    let mut components: Vec<BTreeSet<&str>> = Vec::new();
    for file in edges.keys() {
        if components.iter().any(|component| component.contains(file)) {
            continue;
        }
        let forward = reachable(edges, file);
        let component: BTreeSet<&str> =
            forward.into_iter().filter(|other| reachable(edges, other).contains(file)).collect();
        if component.len() > 1 {
            components.push(component);
        }
    }
    components
}

/// Returns the files that a file depends on, directly or indirectly.
fn reachable<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut pending: Vec<&str> = edges.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = pending.pop() {
        if found.insert(file) {
            pending.extend(edges.get(file).into_iter().flatten());
        }
    }
    found
}

/// Describes a cycle by its imports.
fn describe(cycle: &BTreeSet<&str>, edges: &BTreeMap<&str, BTreeSet<&str>>) -> String {
    let imports = cycle.iter().flat_map(|file| {
        edges[file].iter().filter(|target| cycle.contains(*target)).map(move |target| format!("{file} → {target}"))
    });
    format!("of {} files: {}", cycle.len(), imports.collect::<Vec<_>>().join(", "))
}

/// Removes everything from the first test module on.
fn without_tests(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod ").or_else(|| text.find("\n#[cfg(all(test")).unwrap_or(text.len());
    text[..end].to_owned()
}

/// Removes line comments, because they can contain semicolons and examples.
fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        find_cycles(&files)
    }

    #[test]
    fn two_files_that_import_each_other_are_a_cycle() {
        let found = cycles(&[
            ("a.rs", "use crate::b::B;\n"),
            ("b.rs", "use super::a::{A, C as D};\n"),
            ("c.rs", "use crate::a::A;"),
        ]);
        assert_eq!(found, ["of 2 files: a.rs → b.rs, b.rs → a.rs"]);
    }

    #[test]
    fn reexports_are_followed_to_the_defining_file() {
        let lib = ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use self::b::B;\n");
        assert!(cycles(&[lib, ("a.rs", "use crate::B;\n"), ("b.rs", "struct B;\n")]).is_empty());
        assert_eq!(cycles(&[lib, ("a.rs", "use crate::B;\n"), ("b.rs", "use crate::A;\n")]).len(), 1);
    }

    #[test]
    fn parent_may_reexport_its_children() {
        let parent = ("a.rs", "mod child;\npub(crate) use self::child::Child;\nstruct A;\n");
        assert!(cycles(&[parent, ("a/child.rs", "use super::A;\n")]).is_empty());
    }

    #[test]
    fn parent_that_uses_a_child_which_uses_the_parent_is_a_cycle() {
        let parent = ("a.rs", "mod child;\nuse self::child::Child;\nstruct A;\n");
        assert_eq!(cycles(&[parent, ("a/child.rs", "use super::A;\n")]).len(), 1);
    }

    #[test]
    fn tests_comments_and_other_crates_are_ignored() {
        let a = "//! use crate::b::B;\nuse http::b;\n\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n";
        assert!(cycles(&[("a.rs", a), ("b.rs", "use crate::a::A;\n")]).is_empty());
    }

    #[test]
    fn nested_braces_are_expanded() {
        let text = "use crate::{a::{self, A}, b::B};";
        let paths: Vec<_> =
            parse(&BTreeSet::new(), &["x".to_owned()], text).imports.iter().map(|path| path.join("::")).collect();
        assert_eq!(paths, ["a", "a::A", "b::B"]);
    }
}
