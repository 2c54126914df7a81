//! Removes secrets from what is recorded and shown.

use serde_json::Value;

use crate::json::MASK;

/// Parts of a name that suggest that its value is a secret.
const SECRET_NAMES: [&str; 7] = ["secret", "token", "password", "passwd", "api_key", "apikey", "credential"];

/// Returns an argument of the command line without secrets.
pub(crate) fn argument(argument: &str) -> String {
    text(&url(&without_named_secrets(argument)))
}

/// Masks the values of secret names, also in JSON and after the name of an option.
fn without_named_secrets(argument: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(argument) {
        // JSON without a secret is kept as it was written.
        return if mask_json(&mut value) { value.to_string() } else { argument.to_owned() };
    }
    match argument.split_once('=') {
        Some((name, _)) if is_secret_name(name) => format!("{name}={MASK}"),
        Some((name, value)) => format!("{name}={}", without_named_secrets(value)),
        None => argument.to_owned(),
    }
}

/// Masks the values of secret names in JSON. Returns whether there were any.
fn mask_json(value: &mut Value) -> bool {
    let mut found = false;
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if is_secret_name(name) {
                    *value = Value::from(MASK);
                    found = true;
                } else {
                    found |= mask_json(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| found |= mask_json(item)),
        _ => {}
    }
    found
}

/// The options whose value may be a secret.
const HIDDEN: [&str; 4] = ["--header", "-H", "--signature", "--key-command"];

/// Returns all arguments of this process without secrets.
pub(crate) fn command_line() -> Vec<String> {
    arguments(std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()))
}

fn arguments(raw: impl Iterator<Item = String>) -> Vec<String> {
    let mut hides_next = false;
    let mut masked = Vec::new();
    for raw in raw {
        let attached = HIDDEN.iter().find(|name| {
            let rest = raw.strip_prefix(**name).unwrap_or_default();
            rest.starts_with('=') || (**name == "-H" && !rest.is_empty())
        });
        masked.push(match attached {
            _ if hides_next => MASK.to_owned(),
            Some(name) => format!("{name}={MASK}"),
            None => argument(&raw),
        });
        hides_next = HIDDEN.contains(&raw.as_str());
    }
    masked
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    // `--key-env=NAME` and `--secret-env=NAME` name a variable.
    !name.ends_with("_env") && SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Masks the keys and the webhook secrets in a text.
pub(crate) fn text(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, prefix)) =
        ["fhk_", "whsec_"].iter().filter_map(|prefix| Some((rest.find(prefix)?, *prefix))).min()
    {
        let end = rest[start + prefix.len()..]
            .find(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '_' | '-'))
            .map_or(rest.len(), |length| start + prefix.len() + length);
        result += &rest[..start];
        result += prefix;
        result += MASK;
        rest = &rest[end..];
    }
    result + rest
}

/// Masks the user name, the password and the query of a URL.
pub(crate) fn url(text: &str) -> String {
    let Some((before, after)) = text.split_once("://") else { return text.to_owned() };
    let (address, has_query) = match after.split_once('?') {
        Some((address, _)) => (address, true),
        None => (after, false),
    };
    let authority_end = address.find('/').unwrap_or(address.len());
    let (authority, path) = address.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("{MASK}@{host}"));
    format!("{before}://{host}{path}{}", if has_query { format!("?{MASK}") } else { String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_options_that_may_be_secret_are_hidden() {
        let raw = ["api", "-H", "x-key: 1", "-Hx-key: 2", "--header=x-key: 3", "--signature", "ab", "-f", "a=1"];
        let masked = arguments(raw.iter().map(|argument| (*argument).to_owned()));
        assert_eq!(masked.join(" "), "api -H *** -H=*** --header=*** --signature *** -f a=1");
    }

    #[test]
    fn secrets_are_removed_from_arguments() {
        for (raw, masked) in [
            ("topic=AI", "topic=AI"),
            ("api_key=abc", "api_key=***"),
            ("db-password:=1", "db-password:=***"),
            ("--secret-env=S", "--secret-env=S"),
            ("note=use fhk_abc-1 and whsec_2.", "note=use fhk_*** and whsec_***."),
            ("--store=postgres://me:pw@db/x", "--store=postgres://***@db/x"),
            ("https://example.com/hook?token=1", "https://example.com/hook?***"),
            (r#"cfg:={"password":"pw123","api_key":"zz9"}"#, r#"cfg:={"api_key":"***","password":"***"}"#),
            (r#"--input=cfg:=[{"db":{"passwd":1,"n":1}}]"#, r#"--input=cfg:=[{"db":{"n":1,"passwd":"***"}}]"#),
            (r#"inputs:={"a": "x=y"}"#, r#"inputs:={"a": "x=y"}"#),
            ("--field=password=pw", "--field=password=***"),
            (r#"-icfg={"password":"pw"}"#, r#"-icfg={"password":"***"}"#),
        ] {
            assert_eq!(argument(raw), masked);
        }
    }
}
