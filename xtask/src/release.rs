//! What a release must pass, beyond `cargo xtask ci`: packages, public API, licences, the oldest Rust, the oldest dependencies, every
//! choice of features, fuzz targets, and the documentation as docs.rs builds it.

mod features;
mod minimal;
mod rust_1_85;
pub(crate) mod tools;

use crate::public_api;
use crate::run::{Checks, PUBLISHED, apart, cargo, cargo_of, output, root, shown, step, target};

/// A check: its name, what it does, and the function.
type Check = (&'static str, &'static str, fn() -> Result<(), String>);

const CHECKS: &[Check] = &[
    ("texts", "changelog, security policy, and what lies in each package", texts),
    ("package", "each published crate is packaged, and built from its package", package),
    ("deny", "licences, sources and double versions of all that we depend on", deny),
    (
        "features",
        "each published crate with no feature, each alone, pairs that matter, all but each, all",
        features::features,
    ),
    ("public-api", "the public API against crates/*/public-api.txt", || public_api::public_api(&[])),
    ("rust-1.85", "a real Rust 1.85 builds the published crates and checks all targets", rust_1_85::rust_1_85),
    ("minimal", "the lowest versions of our own dependencies", minimal::minimal),
    ("fuzz", "the fuzz targets build", fuzz),
    ("docs.rs", "the documentation, as docs.rs builds it", docs_rs),
];

/// Makes all checks, or those that are named; goes on after one that failed.
pub(crate) fn release(arguments: &[String]) -> Result<(), String> {
    if let Some(unknown) = arguments.iter().find(|argument| !CHECKS.iter().any(|check| check.0 == *argument)) {
        let list = CHECKS.iter().fold(String::new(), |list, (name, what, _)| list + &format!("\n  {name:<12} {what}"));
        return Err(format!("there is no check {unknown}; there are:{list}"));
    }
    let mut checks = Checks::default();
    for (name, _, check) in CHECKS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            checks.also(name, check);
        }
    }
    checks.end()
}

fn texts() -> Result<(), String> {
    println!("\n== texts");
    let read = |name: &str| std::fs::read_to_string(root().join(name)).map_err(|error| format!("{name}: {error}"));
    let version = env!("CARGO_PKG_VERSION");
    let changelog = read("CHANGELOG.md")?;
    if !["## Unreleased".to_owned(), format!("## {version}")].iter().any(|heading| changelog.contains(heading)) {
        return Err(format!("CHANGELOG.md has neither `## Unreleased` nor `## {version}`"));
    }
    if !read("SECURITY.md")?.contains("Report") {
        return Err("SECURITY.md does not say how to report a vulnerability".to_owned());
    }
    if !read("CONTRIBUTING.md")?.contains("cargo xtask ci") {
        return Err("CONTRIBUTING.md does not name the one command".to_owned());
    }
    for package in PUBLISHED {
        let list = output(cargo().args(["package", "--list", "--allow-dirty", "-p", package]))?;
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.toml"] {
            if !list.lines().any(|line| line == file) {
                return Err(format!("the package of {package} has no {file}"));
            }
        }
        println!("   {:>3} files  {package}", list.lines().count());
    }
    Ok(())
}

/// Cargo packages members that depend on each other through a registry of its own, so nothing has to be published first.
fn package() -> Result<(), String> {
    let packages = PUBLISHED.map(|package| format!("-p {package}")).join(" ");
    step("package", &format!("package --locked {packages}"), &[]).map_err(|error| {
        format!("{error}\n  (packages are made of what is committed; cargo 1.90 or later is needed for members that are not published yet)")
    })
}

fn deny() -> Result<(), String> {
    let mut command = tools::tool("cargo-deny", "0.20.2")?;
    command.args([
        "deny",
        "--workspace",
        "--all-features",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]);
    shown(
        "deny",
        "cargo deny --workspace --all-features check --hide-inclusion-graph bans licenses sources",
        &mut command,
    )
}

fn fuzz() -> Result<(), String> {
    tools::nightly()?;
    // cargo-fuzz of any version will do; one that is installed is taken.
    let path = if output(cargo().args(["fuzz", "--version"])).is_ok() {
        None
    } else {
        Some(tools::tool_path("cargo-fuzz", "0.13.1")?)
    };
    let folder = target().join("fuzz");
    let mut command = cargo_of("nightly");
    command.args(["fuzz", "build", "--fuzz-dir", "crates/fetch-hive-core/fuzz", "--target-dir"]).arg(&folder);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    shown("fuzz targets", "cargo +nightly fuzz build --fuzz-dir crates/fetch-hive-core/fuzz", &mut command)
}

fn docs_rs() -> Result<(), String> {
    tools::nightly()?;
    let mut command = cargo_of("nightly");
    command.args(["doc", "--locked", "--no-deps", "--all-features"]);
    command.args(PUBLISHED.map(|package| format!("-p={package}")));
    command.env("RUSTDOCFLAGS", "--cfg docsrs -D warnings");
    apart(&mut command, "nightly");
    let words = "RUSTDOCFLAGS='--cfg docsrs -D warnings' cargo +nightly doc --no-deps --all-features";
    shown("documentation, as docs.rs builds it", words, &mut command)
}
