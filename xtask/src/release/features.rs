use serde_json::Value;

use crate::run::{PUBLISHED, cargo, output, step};

/// The features that most code asks for: each of the others is checked together with each of these, too.
const SEAMS: [&str; 2] = ["hyper", "blocking"];

/// Every published crate with no feature, each alone, each without one of the others, pairs with the two that most code asks for, and all.
/// Features are additive: what is missing where one is absent, or present alone, shows in one of these.
pub(crate) fn features() -> Result<(), String> {
    let metadata = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    for package in PUBLISHED {
        let declared = metadata["packages"].as_array().and_then(|all| all.iter().find(|it| it["name"] == package));
        let names: Vec<&str> = declared
            .and_then(|package| package["features"].as_object())
            .map(|features| features.keys().map(String::as_str).filter(|name| *name != "default").collect())
            .unwrap_or_default();
        let check = |features: &str| {
            let words = format!("check --quiet --locked -p {package} --no-default-features --features={features}");
            step(&format!("{package} with {}", if features.is_empty() { "no feature" } else { features }), &words, &[])
        };
        for choice in choices(&names) {
            check(&choice)?;
        }
    }
    Ok(())
}

/// None, each alone, pairs with a seam, all but one, all; each choice once.
fn choices(names: &[&str]) -> Vec<String> {
    let mut choices = vec![String::new()];
    let mut add = |names: Vec<&str>| {
        let choice = names.join(",");
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    };
    for (index, name) in names.iter().enumerate() {
        add(vec![name]);
        for seam in names.iter().filter(|other| SEAMS.contains(other) && *other != name) {
            let other = names.iter().position(|name| name == seam);
            add(if other < Some(index) { vec![seam, name] } else { vec![name, seam] });
        }
    }
    for left_out in names {
        add(names.iter().copied().filter(|name| name != left_out).collect());
    }
    add(names.to_vec());
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_comes_once() {
        assert_eq!(choices(&[]), [""]);
        assert_eq!(choices(&["a", "b"]), ["", "a", "b", "a,b"]);
        assert_eq!(choices(&["a", "b", "c"]), ["", "a", "b", "c", "b,c", "a,c", "a,b", "a,b,c"]);
        let pairs = ["", "a", "a,hyper", "b", "b,hyper", "c", "c,hyper", "hyper"];
        assert_eq!(choices(&["a", "b", "c", "hyper"])[..8], pairs);
    }
}
