use std::fs;

use crate::release::tools;
use crate::run::{PUBLISHED, apart, output, root};

/// The public API of each published crate, as text, against `crates/<crate>/public-api.txt`; `--write` takes it over, to be looked at in the diff.
///
/// What can be derived, is automatic or a blanket implementation is left out.
pub(crate) fn public_api(arguments: &[String]) -> Result<(), String> {
    println!("\n== public API, against crates/*/public-api.txt");
    tools::nightly()?;
    let write = arguments.iter().any(|argument| argument == "--write");
    let mut changed = Vec::new();
    for package in PUBLISHED {
        let mut command = tools::tool("cargo-public-api", "0.52.0")?;
        command.args(["public-api", "-p", package, "--all-features", "--color", "never"]);
        command.args(["--omit", "blanket-impls,auto-trait-impls,auto-derived-impls"]);
        for variable in ["CARGO", "RUSTC", "RUSTDOC"] {
            command.env_remove(variable);
        }
        command.env("RUSTUP_TOOLCHAIN", "nightly");
        apart(&mut command, "nightly");
        let now = output(&mut command)?;
        let path = root().join("crates").join(package).join("public-api.txt");
        let before = fs::read_to_string(&path).unwrap_or_default();
        println!("   {:>6} lines  {package}", now.lines().count());
        if write {
            fs::write(&path, &now).map_err(|error| format!("{}: {error}", path.display()))?;
        } else if now != before {
            changed.push(package);
            difference(&before, &now);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let changed = changed.join(", ");
    Err(format!(
        "the public API of {changed} is not as in public-api.txt: `cargo xtask public-api --write`, and look at the diff"
    ))
}

/// Prints the lines that went and came.
fn difference(before: &str, now: &str) {
    let only = |of: &str, sign: char, other: &str| {
        let other: std::collections::HashSet<_> = other.lines().collect();
        for line in of.lines().filter(|line| !other.contains(line)) {
            println!("   {sign} {line}");
        }
    };
    only(before, '-', now);
    only(now, '+', before);
}
