use crate::run::{Checks, PUBLISHED, read_text, run_cargo, workspace_root};
use crate::{cli, contract, dependencies, docs, python, python_sdk, structure, wasm};

/// Runs every check that a change must pass. `--skip-tests` skips the plain `cargo test
/// --workspace`.
pub(crate) fn ci(arguments: &[String]) -> Result<(), String> {
    let mut checks = Checks::default();
    let mut cargo = |name: &str, arguments: &str| checks.run(name, || run_cargo(name, arguments, &[]));
    cargo("formatting", "fmt --all --check");
    cargo("clippy, default features", "clippy --workspace --all-targets -- -D warnings");
    cargo("clippy, all features", "clippy --workspace --all-targets --all-features -- -D warnings");
    // The store needs one of its databases.
    for package in PUBLISHED.into_iter().filter(|package| *package != "fetch-hive-store") {
        let arguments = format!("clippy -p {package} --no-default-features -- -D warnings");
        cargo(&format!("clippy, no features: {package}"), &arguments);
    }
    for package in PUBLISHED {
        for feature in features_of(package)? {
            let arguments = format!("check -p {package} --no-default-features --features {feature}");
            cargo(&format!("{package} with only {feature}"), &arguments);
        }
    }
    let aws_lc_rs = "check -p fetch-hive-client --no-default-features --features hyper,aws-lc-rs";
    cargo("client with aws-lc-rs", aws_lc_rs);
    if !arguments.iter().any(|argument| argument == "--skip-tests") {
        cargo("tests", "test --workspace");
    }
    cargo("tests, all features", "test --workspace --all-features");
    let no_features = "test -p fetch-hive-types -p fetch-hive-core -p fetch-hive-client --no-default-features";
    cargo("tests, no features", no_features);
    let no_hyper = "test -p fetch-hive-client --no-default-features --features ureq";
    cargo("tests of the client without hyper", no_hyper);
    let deny_warnings = [("RUSTDOCFLAGS", "-D warnings")];
    checks.run("rustdoc", || run_cargo("rustdoc", "doc --workspace --no-deps --all-features", &deny_warnings));
    checks.run("structure", || structure::structure(&[]));
    checks.run("contract", || contract::contract(&[]));
    checks.run("dependencies", || dependencies::dependencies(&[]));
    checks.run("wasm", || wasm::wasm(&[]));
    if std::env::var_os("CI").is_none() && !python::is_installed() {
        println!("\n== python-sdk: SKIPPED, Python 3 is not installed");
    } else {
        checks.run("python-sdk", || python_sdk::python_sdk(&[]));
    }
    checks.run("cli", || cli::cli(&[]));
    checks.run("docs", || docs::docs(&["--run".to_owned()]));
    checks.finish()
}

/// Returns the features of a package, without `default`.
fn features_of(package: &str) -> Result<Vec<String>, String> {
    let manifest = read_text(&workspace_root().join("crates").join(package).join("Cargo.toml"))?;
    Ok(features(&manifest))
}

fn features(manifest: &str) -> Vec<String> {
    let lines =
        manifest.lines().skip_while(|line| *line != "[features]").skip(1).take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    let names = names.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned());
    names.filter(|name| name != "default").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_read_from_the_manifest() {
        let manifest = "[package]\nname = \"x\"\n[features]\ndefault = [\"a\"]\n# A comment = here.\na = [\n    \"dep:b\",\n]\nc-d_1 = []\n\n[dependencies]\ne = \"1\"\n";
        assert_eq!(features(manifest), ["a", "c-d_1"]);
        for feature in ["hyper", "ring", "aws-lc-rs", "tracing", "rustls-0_23"] {
            assert!(features_of("fetch-hive-client").unwrap().iter().any(|name| name == feature), "{feature}");
        }
    }

    #[test]
    fn every_published_crate_is_listed() {
        for folder in std::fs::read_dir(workspace_root().join("crates")).unwrap() {
            let folder = folder.unwrap();
            let manifest = std::fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
            let published = !manifest.contains("publish = false");
            assert_eq!(published, PUBLISHED.iter().any(|name| *name == folder.file_name()), "{folder:?}");
        }
    }
}
