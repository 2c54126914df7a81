use std::fs;
use std::path::Path;
use std::process::Command;

use crate::release::tools;
use crate::run::{capture_output, cargo, run_command, target_dir, toolchain_cargo, use_own_target_dir, workspace_root};

/// Checks the published crates with the lowest versions that their manifests allow.
pub(crate) fn minimal() -> Result<(), String> {
    tools::require_nightly()?;
    let tree = target_dir().join("minimal").join("tree");
    copy_tracked_files(&tree)?;
    // The other members would raise the versions, so they are removed.
    let manifest = tree.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| error.to_string())?;
    let start = text.find("members = [").ok_or("Cargo.toml has no `members = [`")?;
    let end = start + text[start..].find(']').ok_or("the list of members in Cargo.toml has no closing bracket")?;
    let published = crate::run::PUBLISHED.map(|name| format!("\"crates/{name}\"")).join(", ");
    let text = format!("{}members = [{published}{}", &text[..start], &text[end..]);
    fs::write(&manifest, text).map_err(|error| error.to_string())?;
    let _ = fs::remove_file(tree.join("Cargo.lock"));

    let mut resolve = toolchain_cargo("nightly");
    resolve.current_dir(&tree).args(["generate-lockfile", "-Z", "direct-minimal-versions"]);
    run_command(
        "lowest versions of the direct dependencies",
        "cargo +nightly generate-lockfile -Z direct-minimal-versions",
        &mut resolve,
    )?;
    let mut check = cargo();
    check.current_dir(&tree);
    use_own_target_dir(&mut check, "minimal/build");
    check.args(["check", "--locked", "--workspace", "--all-features", "--all-targets"]);
    run_command(
        "check with the lowest versions",
        "cargo check --locked --workspace --all-features --all-targets",
        &mut check,
    )
}

/// Copies the files that git tracks, with their uncommitted changes.
fn copy_tracked_files(to: &Path) -> Result<(), String> {
    let _ = fs::remove_dir_all(to);
    let files = capture_output(Command::new("git").current_dir(workspace_root()).args(["ls-files", "-z"]))?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (workspace_root().join(file), to.join(file));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        }
        // git also lists files whose deletion is not committed yet.
        if from.is_file() {
            fs::copy(&from, &to).map_err(|error| format!("{file}: {error}"))?;
        }
    }
    Ok(())
}
