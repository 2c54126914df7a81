use std::collections::BTreeSet;

use crate::run::{cargo, output};

/// What is counted: a name, the words for `cargo tree`, and the budget.
const BUDGETS: [(&str, &str, usize); 4] = [
    ("types", "-p fetch-hive-types", 14),
    ("core", "-p fetch-hive-core", 24),
    ("client", "-p fetch-hive-client", 80),
    ("client without default features", "-p fetch-hive-client --no-default-features", 36),
];

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
        if words.contains("--no-default-features") {
            let heavy = crates.iter().filter(|line| line.starts_with("hyper") || line.starts_with("tokio"));
            failures.extend(heavy.map(|line| format!("{name} depends on {line}")));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// The crates of a tree: name and version, each once.
fn crates(tree: &str) -> BTreeSet<String> {
    let line = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(line).filter(|line| !line.is_empty()).collect()
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
