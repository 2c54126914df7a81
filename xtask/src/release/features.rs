use serde_json::Value;

use crate::run::{PUBLISHED, capture_output, cargo, run_cargo};

/// The features that most code is gated on. Every other feature is also checked together with each
/// of them.
const COMMON: [&str; 2] = ["hyper", "blocking"];

/// Crates that do not build without at least one of these features.
const NEEDS_ONE_OF: [(&str, &[&str]); 1] = [("fetch-hive-store", &["sqlite", "postgres"])];

/// Checks each published crate with many selections of its features.
///
/// The selections are none, each alone, pairs with a common feature, all but each, and all.
pub(crate) fn features() -> Result<(), String> {
    let metadata = capture_output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    for package in PUBLISHED {
        let declared =
            metadata["packages"].as_array().and_then(|all| all.iter().find(|entry| entry["name"] == package));
        let names: Vec<&str> = declared
            .and_then(|package| package["features"].as_object())
            .map(|features| features.keys().map(String::as_str).filter(|name| *name != "default").collect())
            .unwrap_or_default();
        let check = |features: &str| {
            let arguments = format!("check --quiet --locked -p {package} --no-default-features --features={features}");
            run_cargo(
                &format!("{package} with {}", if features.is_empty() { "no feature" } else { features }),
                &arguments,
                &[],
            )
        };
        let needed = NEEDS_ONE_OF.iter().find(|(name, _)| *name == package).map(|(_, features)| *features);
        let builds =
            |selection: &str| needed.is_none_or(|needed| selection.split(',').any(|feature| needed.contains(&feature)));
        for selection in selections(&names).iter().filter(|selection| builds(selection)) {
            check(selection)?;
        }
    }
    Ok(())
}

/// Returns the distinct selections of features to check, each separated by commas.
fn selections(names: &[&str]) -> Vec<String> {
    let mut selections = vec![String::new()];
    let mut add = |names: Vec<&str>| {
        let selection = names.join(",");
        if !selections.contains(&selection) {
            selections.push(selection);
        }
    };
    for (index, name) in names.iter().enumerate() {
        add(vec![name]);
        for common in names.iter().filter(|other| COMMON.contains(other) && *other != name) {
            let other = names.iter().position(|name| name == common);
            add(if other < Some(index) { vec![common, name] } else { vec![name, common] });
        }
    }
    for omitted in names {
        add(names.iter().copied().filter(|name| name != omitted).collect());
    }
    add(names.to_vec());
    selections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_are_distinct() {
        assert_eq!(selections(&[]), [""]);
        assert_eq!(selections(&["a", "b"]), ["", "a", "b", "a,b"]);
        assert_eq!(selections(&["a", "b", "c"]), ["", "a", "b", "c", "b,c", "a,c", "a,b", "a,b,c"]);
        let pairs = ["", "a", "a,hyper", "b", "b,hyper", "c", "c,hyper", "hyper"];
        assert_eq!(selections(&["a", "b", "c", "hyper"])[..8], pairs);
    }
}
