use serde_json::Value;

use crate::run::{PUBLISHED, cargo, output, step};

/// Every published crate with no feature, each alone, each pair, and all: features are additive, so nothing else can be missing.
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

/// None, each alone, each pair, all; each choice once.
fn choices(names: &[&str]) -> Vec<String> {
    let mut choices = vec![String::new()];
    choices.extend(names.iter().map(|name| (*name).to_owned()));
    for (index, name) in names.iter().enumerate() {
        choices.extend(names[index + 1..].iter().map(|other| format!("{name},{other}")));
    }
    if names.len() > 2 {
        choices.push(names.join(","));
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_comes_once() {
        assert_eq!(choices(&[]), [""]);
        assert_eq!(choices(&["a", "b"]), ["", "a", "b", "a,b"]);
        assert_eq!(choices(&["a", "b", "c"]), ["", "a", "b", "c", "a,b", "a,c", "b,c", "a,b,c"]);
    }
}
