use std::collections::BTreeSet;

use crate::run::{cargo, output};

/// What is counted: a name, the words for `cargo tree`, and the budget.
const BUDGETS: [(&str, &str, usize); 7] = [
    ("types", "-p fetch-hive-types", 14),
    ("core", "-p fetch-hive-core", 24),
    ("client", "-p fetch-hive-client", 80),
    ("client without default features", "-p fetch-hive-client --no-default-features", 36),
    ("blocking client, no transport", "-p fetch-hive-client --no-default-features --features blocking", 36),
    ("blocking client with ureq", "-p fetch-hive-client --no-default-features --features ureq", 64),
    ("testing", "-p fetch-hive-testing", 34),
];

/// What must not be behind anything but the client with its hyper transport.
const ASYNC: [&str; 5] = ["hyper", "tokio", "h2 ", "mio ", "async-io"];

/// What reaches for what wasm32-unknown-unknown has not: sockets, files, threads, clocks, the system's randomness.
const SYSTEM: [&str; 9] =
    ["getrandom", "libc ", "mio ", "rustix", "socket2", "tokio", "windows-sys", "wasm-bindgen", "rand "];

pub(crate) fn weight(_: &[String]) -> Result<(), String> {
    println!("\n== weight: crates on Linux, the root included");
    let mut failures = Vec::new();
    for (name, words, budget) in BUDGETS {
        let text = output(
            cargo()
                .args(["tree", "-e", "normal", "--prefix", "none", "--target", "x86_64-unknown-linux-gnu"])
                .args(words.split_whitespace()),
        )?;
        let crates = crates(&text);
        println!("   {:>3} of {budget:>3}  {name}", crates.len());
        if crates.len() > budget {
            failures.push(format!("{name} has {} crates, its budget is {budget}", crates.len()));
        }
        if name == "client" {
            failures.extend(twice(&crates).into_iter().map(|name| format!("the client has {name} in two versions")));
        }
        if name != "client" {
            failures.extend(among(&crates, &ASYNC).map(|line| format!("{name} depends on {line}")));
        }
        if matches!(name, "types" | "core") {
            failures
                .extend(among(&crates, &SYSTEM).map(|line| format!("{name} depends on {line}, which wasm32 lacks")));
        }
    }
    if failures.is_empty() {
        println!("   neither tokio nor hyper behind any but the client with its default features");
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// The crates of a tree: name and version, each once.
fn crates(tree: &str) -> BTreeSet<String> {
    let line = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(line).filter(|line| !line.is_empty()).collect()
}

/// The crates whose names begin like one of these.
fn among<'a>(crates: &'a BTreeSet<String>, starts: &'a [&str]) -> impl Iterator<Item = &'a String> {
    crates.iter().filter(|line| starts.iter().any(|start| line.starts_with(start)))
}

/// The names that come in more than one version.
fn twice(crates: &BTreeSet<String>) -> BTreeSet<String> {
    let names: Vec<_> = crates.iter().filter_map(|line| line.split(' ').next()).collect();
    names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_counted_by_name_and_version() {
        let tree = "a v0.1.0 (path)\nserde v1.0.0\nserde_core v1.0.0\nserde_core v1.0.0 (*)\nsyn v2.0.0 (proc-macro)\nsyn v3.0.0 (proc-macro)\n\n";
        let crates = crates(tree);
        assert_eq!(crates.len(), 5);
        assert_eq!(twice(&crates).into_iter().collect::<Vec<_>>(), ["syn"]);
    }
}
