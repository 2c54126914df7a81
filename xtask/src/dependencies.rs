use std::collections::BTreeSet;

use crate::run::{capture_output, cargo};

/// A name, the arguments for `cargo tree`, and the maximum number of crates.
const BUDGETS: [(&str, &str, usize); 15] = [
    ("types", "-p fetch-hive-types", 14),
    ("core", "-p fetch-hive-core", 24),
    ("client", "-p fetch-hive-client", 80),
    ("client without default features", "-p fetch-hive-client --no-default-features", 36),
    ("blocking client, no transport", "-p fetch-hive-client --no-default-features --features blocking", 36),
    ("blocking client with ureq", "-p fetch-hive-client --no-default-features --features ureq", 64),
    ("store with SQLite", "-p fetch-hive-store", 47),
    ("store with PostgreSQL", "-p fetch-hive-store --no-default-features --features postgres", 102),
    ("store with both", "-p fetch-hive-store --all-features", 110),
    ("batch", "-p fetch-hive-batch", 76),
    ("batch with PostgreSQL", "-p fetch-hive-batch --all-features", 136),
    ("testing", "-p fetch-hive-testing", 34),
    ("command line", "-p fetch-hive-cli", 300),
    ("command line without the emulator", "-p fetch-hive-cli --no-default-features --features mcp,postgres", 235),
    ("command line without any feature", "-p fetch-hive-cli --no-default-features", 175),
];

/// The starts of the names of the packages that may depend on tokio and hyper.
const MAY_BE_ASYNC: [&str; 4] = ["client", "store", "batch", "command line"];

/// Crates that no other package may depend on.
const ASYNC: [&str; 5] = ["hyper", "tokio", "h2 ", "mio ", "async-io"];

/// Crates that need sockets, files, threads, clocks or system randomness, which
/// wasm32-unknown-unknown lacks.
const SYSTEM: [&str; 9] =
    ["getrandom", "libc ", "mio ", "rustix", "socket2", "tokio", "windows-sys", "wasm-bindgen", "rand "];

/// Compares the number of dependencies of each library with its budget.
pub(crate) fn dependencies(_: &[String]) -> Result<(), String> {
    println!("\n== dependencies: crates on Linux, including the library itself");
    let mut failures = Vec::new();
    for (name, arguments, budget) in BUDGETS {
        let text = capture_output(
            cargo()
                .args(["tree", "-e", "normal", "--prefix", "none", "--target", "x86_64-unknown-linux-gnu"])
                .args(arguments.split_whitespace()),
        )?;
        let crates = crates(&text);
        println!("   {:>3} of {budget:>3}  {name}", crates.len());
        if crates.len() > budget {
            failures.push(format!("{name} has {} crates (budget: {budget})", crates.len()));
        }
        if name == "client" {
            let duplicates = duplicates(&crates).into_iter();
            failures.extend(duplicates.map(|name| format!("the client depends on two versions of {name}")));
        }
        let may_be_async =
            MAY_BE_ASYNC.iter().any(|start| name.starts_with(start)) && !name.contains("without default");
        if !may_be_async {
            failures.extend(with_prefix(&crates, &ASYNC).map(|line| format!("{name} depends on {line}")));
        }
        if matches!(name, "types" | "core") {
            failures.extend(
                with_prefix(&crates, &SYSTEM).map(|line| format!("{name} depends on {line}, which wasm32 lacks")),
            );
        }
    }
    if failures.is_empty() {
        println!(
            "   only the client with its default features, the store, batches and the command line depend on tokio or hyper"
        );
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// Returns the distinct crates of a tree, each with its version.
fn crates(tree: &str) -> BTreeSet<String> {
    let line = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(line).filter(|line| !line.is_empty()).collect()
}

/// Returns the crates whose lines start with one of the prefixes.
fn with_prefix<'a>(crates: &'a BTreeSet<String>, prefixes: &'a [&str]) -> impl Iterator<Item = &'a String> {
    crates.iter().filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix)))
}

/// Returns the names that occur with more than one version.
fn duplicates(crates: &BTreeSet<String>) -> BTreeSet<String> {
    let names: Vec<_> = crates.iter().filter_map(|line| line.split(' ').next()).collect();
    names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_counted_by_name_and_version() {
        let tree = "a v0.1.0 (path)\nserde v1.0.0\nserde_core v1.0.0\nserde_core v1.0.0 (*)\nsyn v2.0.0 (proc-macro)\nsyn v3.0.0 (proc-macro)\n\n";
        let crates = crates(tree);
        assert_eq!(crates.len(), 5);
        assert_eq!(duplicates(&crates).into_iter().collect::<Vec<_>>(), ["syn"]);
    }
}
