use std::fs;
use std::path::Path;
use std::process::Command;

use crate::release::tools;
use crate::run::{apart, cargo, cargo_of, output, root, shown, target};

/// Checks the published crates with the lowest versions that their manifests allow, so that no manifest asks for less than its code needs.
pub(crate) fn minimal() -> Result<(), String> {
    tools::nightly()?;
    let tree = target().join("minimal").join("tree");
    copy(&tree)?;
    // Without the other members, whose own needs would lift the versions.
    let manifest = tree.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| error.to_string())?;
    let begin = text.find("members = [").ok_or("Cargo.toml has no `members = [`")?;
    let end = begin + text[begin..].find(']').ok_or("the list of members in Cargo.toml has no end")?;
    let published = crate::run::PUBLISHED.map(|name| format!("\"crates/{name}\"")).join(", ");
    let text = format!("{}members = [{published}{}", &text[..begin], &text[end..]);
    fs::write(&manifest, text).map_err(|error| error.to_string())?;
    let _ = fs::remove_file(tree.join("Cargo.lock"));

    let mut resolve = cargo_of("nightly");
    resolve.current_dir(&tree).args(["generate-lockfile", "-Z", "direct-minimal-versions"]);
    shown(
        "lowest versions of our own dependencies",
        "cargo +nightly generate-lockfile -Z direct-minimal-versions",
        &mut resolve,
    )?;
    let mut check = cargo();
    check.current_dir(&tree);
    apart(&mut check, "minimal/build");
    check.args(["check", "--locked", "--workspace", "--all-features", "--all-targets"]);
    shown("with them", "cargo check --locked --workspace --all-features --all-targets", &mut check)
}

/// Copies what git knows of, as it stands.
fn copy(to: &Path) -> Result<(), String> {
    let _ = fs::remove_dir_all(to);
    let files = output(Command::new("git").current_dir(root()).args(["ls-files", "-z"]))?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (root().join(file), to.join(file));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        // A file that is deleted and not yet committed is still listed.
        if from.is_file() {
            fs::copy(&from, &to).map_err(|error| format!("{file}: {error}"))?;
        }
    }
    Ok(())
}
