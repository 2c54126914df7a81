use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, map};

/// The fields of a JSON object by name. It dereferences to the underlying map.
///
/// `Debug` masks the value of every field whose name suggests a secret, such as `webhook_secret`,
/// at any depth. Masking does not affect how the fields are read, stored or sent.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(Map<String, Value>);

impl Extra {
    /// Creates an empty set of fields.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Deref for Extra {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<Map<String, Value>> for Extra {
    fn from(fields: Map<String, Value>) -> Self {
        Self(fields)
    }
}

impl From<Extra> for Map<String, Value> {
    fn from(extra: Extra) -> Self {
        extra.0
    }
}

impl IntoIterator for Extra {
    type Item = (String, Value);
    type IntoIter = map::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Extra {
    type Item = (&'a String, &'a Value);
    type IntoIter = map::Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Fields(&self.0).fmt(f)
    }
}

/// A wrapper whose `Debug` masks the secrets in a JSON value.
pub(crate) struct Masked<'a>(pub(crate) &'a Value);

impl fmt::Debug for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Object(fields) => Fields(fields).fmt(f),
            Value::Array(items) => f.debug_list().entries(items.iter().map(Masked)).finish(),
            plain => plain.fmt(f),
        }
    }
}

struct Fields<'a>(&'a Map<String, Value>);

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_map();
        for (name, value) in self.0 {
            if is_secret(name) && !value.is_null() {
                shown.entry(name, &format_args!("redacted"));
            } else {
                shown.entry(name, &Masked(value));
            }
        }
        shown.finish()
    }
}

/// Returns whether the name of a field suggests that it holds a secret, such as `apiKey` or
/// `access_token`, but not `total_tokens`.
fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    ["secret", "password", "passphrase", "apikey", "privatekey", "authorization", "credential"]
        .iter()
        .any(|word| name.contains(word))
        || name.ends_with("token")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_in_debug_output_only() {
        let json = json!({
            "webhook_secret": "MARK", "webhookSecret": ["MARK"], "API-Key": {"a": "MARK"}, "access_token": "MARK",
            "list": [{"deep": {"client_secret": "MARK"}}], "none_secret": null,
            "total_tokens": 7, "token_count": 8, "plain": "shown",
        });
        let extra: Extra = serde_json::from_value(json.clone()).unwrap();
        for printed in [format!("{extra:?}"), format!("{extra:#?}"), format!("{:?}", Masked(&json))] {
            assert!(!printed.contains("MARK"), "{printed}");
            for shown in ["webhook_secret", "redacted", "shown", "7", "8", "Null"] {
                assert!(printed.contains(shown), "{shown}: {printed}");
            }
        }
        assert_eq!(serde_json::to_value(&extra).unwrap(), json);
        assert_eq!(extra["webhook_secret"], "MARK");
    }
}
