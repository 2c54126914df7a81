use crate::run::step;
use crate::{contract, python_sdk, weight};

/// The crates that are published, and so must build with every choice of features.
const PUBLISHED: [&str; 4] = ["fetch-hive-types", "fetch-hive-core", "fetch-hive-client", "fetch-hive-emulator"];

pub(crate) fn ci(arguments: &[String]) -> Result<(), String> {
    step("formatting", "fmt --all --check", &[])?;
    step("clippy, default features", "clippy --workspace --all-targets -- -D warnings", &[])?;
    step("clippy, all features", "clippy --workspace --all-targets --all-features -- -D warnings", &[])?;
    for package in PUBLISHED {
        let words = format!("clippy -p {package} --no-default-features -- -D warnings");
        step(&format!("clippy, no features: {package}"), &words, &[])?;
    }
    for features in ["hyper", "hyper,aws-lc-rs", "ring"] {
        let words = format!("check -p fetch-hive-client --no-default-features --features {features}");
        step(&format!("client with {features} alone"), &words, &[])?;
    }
    if !arguments.iter().any(|argument| argument == "--skip-tests") {
        step("tests", "test --workspace", &[])?;
    }
    step("tests, all features", "test --workspace --all-features", &[])?;
    let warnings = [("RUSTDOCFLAGS", "-D warnings")];
    step("documentation", "doc --workspace --no-deps --all-features", &warnings)?;
    contract::contract(&[])?;
    weight::weight(&[])?;
    if std::env::var_os("CI").is_none() && !python_sdk::is_possible() {
        println!("\n== python-sdk: LEFT OUT, there is no Python 3 here");
        return Ok(());
    }
    python_sdk::python_sdk(&[])
}
