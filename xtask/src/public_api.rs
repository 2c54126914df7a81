use std::fs;

use crate::release::tools;
use crate::run::{LIBRARIES, capture_output, use_own_target_dir, workspace_root};

/// Compares the public API of each published crate with its snapshot in `public-api.txt`.
///
/// `--write` updates the snapshots instead. Blanket, auto-trait and derived implementations are
/// omitted.
pub(crate) fn public_api(arguments: &[String]) -> Result<(), String> {
    println!("\n== public API, compared with crates/*/public-api.txt");
    tools::require_nightly()?;
    let write = arguments.iter().any(|argument| argument == "--write");
    let mut changed = Vec::new();
    for package in LIBRARIES {
        let mut command = tools::tool_cargo("cargo-public-api", "0.52.0")?;
        command.args(["public-api", "-p", package, "--all-features", "--color", "never"]);
        command.args(["--omit", "blanket-impls,auto-trait-impls,auto-derived-impls"]);
        for variable in ["CARGO", "RUSTC", "RUSTDOC"] {
            command.env_remove(variable);
        }
        command.env("RUSTUP_TOOLCHAIN", "nightly");
        use_own_target_dir(&mut command, "nightly");
        let now = capture_output(&mut command)?;
        let path = workspace_root().join("crates").join(package).join("public-api.txt");
        let before = fs::read_to_string(&path).unwrap_or_default();
        println!("   {:>6} lines  {package}", now.lines().count());
        if write {
            fs::write(&path, &now).map_err(|error| format!("{}: {error}", path.display()))?;
        } else if now != before {
            changed.push(package);
            print_difference(&before, &now);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let changed = changed.join(", ");
    Err(format!("the public API of {changed} changed; run `cargo xtask public-api --write` and review the diff"))
}

/// Prints the removed and the added lines.
fn print_difference(before: &str, now: &str) {
    let only = |of: &str, sign: char, other: &str| {
        let other: std::collections::HashSet<_> = other.lines().collect();
        for line in of.lines().filter(|line| !other.contains(line)) {
            println!("   {sign} {line}");
        }
    };
    only(before, '-', now);
    only(now, '+', before);
}
