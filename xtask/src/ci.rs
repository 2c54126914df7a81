use crate::run::{Checks, PUBLISHED, root, step};
use crate::{contract, docs, python_sdk, weight};

pub(crate) fn ci(arguments: &[String]) -> Result<(), String> {
    let mut checks = Checks::default();
    let mut cargo = |name: &str, words: &str| checks.next(name, || step(name, words, &[]));
    cargo("formatting", "fmt --all --check");
    cargo("clippy, default features", "clippy --workspace --all-targets -- -D warnings");
    cargo("clippy, all features", "clippy --workspace --all-targets --all-features -- -D warnings");
    for package in PUBLISHED {
        let words = format!("clippy -p {package} --no-default-features -- -D warnings");
        cargo(&format!("clippy, no features: {package}"), &words);
    }
    for package in PUBLISHED {
        for feature in features_of(package)? {
            let words = format!("check -p {package} --no-default-features --features {feature}");
            cargo(&format!("{package} with {feature} alone"), &words);
        }
    }
    let words = "check -p fetch-hive-client --no-default-features --features hyper,aws-lc-rs";
    cargo("client with the other cryptography", words);
    if !arguments.iter().any(|argument| argument == "--skip-tests") {
        cargo("tests", "test --workspace");
    }
    cargo("tests, all features", "test --workspace --all-features");
    let words = "test -p fetch-hive-types -p fetch-hive-core -p fetch-hive-client --no-default-features";
    cargo("tests, no features", words);
    let words = "test -p fetch-hive-client --no-default-features --features ureq";
    cargo("tests of the client without hyper", words);
    let warnings = [("RUSTDOCFLAGS", "-D warnings")];
    checks.next("documentation", || step("documentation", "doc --workspace --no-deps --all-features", &warnings));
    checks.next("contract", || contract::contract(&[]));
    checks.next("weight", || weight::weight(&[]));
    if std::env::var_os("CI").is_none() && !python_sdk::is_possible() {
        println!("\n== python-sdk: LEFT OUT, there is no Python 3 here");
    } else {
        checks.next("python-sdk", || python_sdk::python_sdk(&[]));
    }
    checks.next("docs", || docs::docs(&["--run".to_owned()]));
    checks.end()
}

/// The features of a package, but for its defaults.
fn features_of(package: &str) -> Result<Vec<String>, String> {
    let file = root().join("crates").join(package).join("Cargo.toml");
    let manifest = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(features(&manifest))
}

/// The names in the table of features of a manifest.
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
    fn trap_15_every_feature_of_the_published_crates_is_built_alone() {
        let manifest = "[package]\nname = \"x\"\n[features]\ndefault = [\"a\"]\n# A comment = here.\na = [\n    \"dep:b\",\n]\nc-d_1 = []\n\n[dependencies]\ne = \"1\"\n";
        assert_eq!(features(manifest), ["a", "c-d_1"]);
        for feature in ["hyper", "ring", "aws-lc-rs", "tracing", "rustls-0_23"] {
            assert!(features_of("fetch-hive-client").unwrap().iter().any(|name| name == feature), "{feature}");
        }
        // No crate that is published is forgotten.
        for folder in std::fs::read_dir(root().join("crates")).unwrap() {
            let folder = folder.unwrap();
            let manifest = std::fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
            let published = !manifest.contains("publish = false");
            assert_eq!(published, PUBLISHED.iter().any(|name| *name == folder.file_name()), "{folder:?}");
        }
    }
}
