//! Checks that a release needs in addition to `cargo xtask ci`.

mod features;
mod minimal;
mod rust_1_85;
pub(crate) mod tools;

use crate::fuzz;
use crate::public_api;
use crate::run::{
    Checks, LIBRARIES, PUBLISHED, capture_output, cargo, read_text, run_cargo, run_command, toolchain_cargo,
    use_own_target_dir, workspace_root,
};

/// A name, a description for the list of checks, and the function.
type Check = (&'static str, &'static str, fn() -> Result<(), String>);

const CHECKS: &[Check] = &[
    ("texts", "Check the changelog, the security policy and the files of each package", texts),
    ("package", "Build each published crate from its package", package),
    ("deny", "Check licenses, sources and duplicate versions of the dependencies", deny),
    ("features", "Check each published crate with many selections of its features", features::features),
    ("public-api", "Compare the public API with crates/*/public-api.txt", || public_api::public_api(&[])),
    ("rust-1.85", "Build the published crates and check all targets with Rust 1.85", rust_1_85::rust_1_85),
    ("minimal", "Check with the lowest versions of the direct dependencies", minimal::minimal),
    ("fuzz", "Build the fuzz targets", fuzz::build),
    ("docs.rs", "Build the documentation as docs.rs does", docs_rs),
];

/// Runs all checks, or the named ones, and continues after a failure.
pub(crate) fn release(arguments: &[String]) -> Result<(), String> {
    if let Some(unknown) = arguments.iter().find(|argument| !CHECKS.iter().any(|check| check.0 == *argument)) {
        let list = CHECKS.iter().fold(String::new(), |list, (name, help, _)| list + &format!("\n  {name:<12} {help}"));
        return Err(format!("unknown check {unknown}; the checks are:{list}"));
    }
    let mut checks = Checks::default();
    for (name, _, check) in CHECKS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            checks.run_always(name, check);
        }
    }
    checks.finish()
}

fn texts() -> Result<(), String> {
    println!("\n== texts");
    let read = |name: &str| read_text(&workspace_root().join(name));
    let version = env!("CARGO_PKG_VERSION");
    let changelog = read("CHANGELOG.md")?;
    if !["## Unreleased".to_owned(), format!("## {version}")].iter().any(|heading| changelog.contains(heading)) {
        return Err(format!("CHANGELOG.md has neither `## Unreleased` nor `## {version}`"));
    }
    if !read("SECURITY.md")?.contains("Report") {
        return Err("SECURITY.md does not explain how to report a vulnerability".to_owned());
    }
    if !read("CONTRIBUTING.md")?.contains("cargo xtask ci") {
        return Err("CONTRIBUTING.md does not mention `cargo xtask ci`".to_owned());
    }
    for package in PUBLISHED {
        let list = capture_output(cargo().args(["package", "--list", "--allow-dirty", "-p", package]))?;
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.toml"] {
            if !list.lines().any(|line| line == file) {
                return Err(format!("the package of {package} does not contain {file}"));
            }
        }
        if let Some(file) = list.lines().find(|line| line.starts_with("fuzz/") || *line == "public-api.txt") {
            return Err(format!("the package of {package} contains {file}; add it to `exclude` in its Cargo.toml"));
        }
        println!("   {:>3} files  {package}", list.lines().count());
    }
    Ok(())
}

/// Builds each published crate from its package.
///
/// Cargo resolves members that depend on each other through a temporary registry, so nothing has to
/// be published.
fn package() -> Result<(), String> {
    let packages = PUBLISHED.map(|package| format!("-p {package}")).join(" ");
    run_cargo("package", &format!("package --locked {packages}"), &[]).map_err(|error| {
        format!("{error}\n  (only committed files are packaged; unpublished members need cargo 1.90 or later)")
    })
}

fn deny() -> Result<(), String> {
    let arguments = "deny --workspace --all-features check --hide-inclusion-graph bans licenses sources";
    let mut command = tools::tool_cargo("cargo-deny", "0.20.2")?;
    run_command("deny", &format!("cargo {arguments}"), command.args(arguments.split(' ')))
}

fn docs_rs() -> Result<(), String> {
    tools::require_nightly()?;
    let mut command = toolchain_cargo("nightly");
    command.args(["doc", "--locked", "--no-deps", "--all-features"]);
    command.args(LIBRARIES.map(|package| format!("-p={package}")));
    command.env("RUSTDOCFLAGS", "--cfg docsrs -D warnings");
    use_own_target_dir(&mut command, "nightly");
    let command_line = "RUSTDOCFLAGS='--cfg docsrs -D warnings' cargo +nightly doc --no-deps --all-features";
    run_command("documentation as on docs.rs", command_line, &mut command)
}
