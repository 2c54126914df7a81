//! What must not be in a recording.

use std::borrow::Cow;
use std::collections::BTreeSet;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use serde_json::Value;

/// What stands where a secret was.
pub(super) const REMOVED: &str = "REMOVED";

/// A shorter text is not looked for elsewhere: it would be found where it means nothing.
const SHORTEST: usize = 8;

/// The secrets of an exchange, by which they are found wherever they are repeated.
#[derive(Clone, Default)]
pub(super) struct Secrets(BTreeSet<String>);

impl Secrets {
    pub(super) fn add(&mut self, text: &str) {
        if text.len() >= SHORTEST {
            self.0.insert(text.to_owned());
        }
    }

    /// Takes the secrets of headers, and gives the headers without them, and without those of a body's transfer.
    pub(super) fn of_headers(&mut self, headers: &HeaderMap) -> Vec<(String, String)> {
        let mut kept = Vec::new();
        for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let secret = value.is_sensitive()
                || ["auth", "cookie", "secret", "token", "key", "signature"]
                    .iter()
                    .any(|word| name.as_str().contains(word));
            if secret {
                text.split([' ', ';', '=', ',']).for_each(|part| self.add(part));
                kept.push((name.to_string(), REMOVED.to_owned()));
            } else {
                kept.push((name.to_string(), text));
            }
        }
        kept
    }

    /// Takes the secrets of a URL's query, and gives the URL without them.
    pub(super) fn of_path(&mut self, path: &str) -> String {
        let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
        let pairs: Vec<_> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) if is_secret(name) => {
                    self.add(value);
                    format!("{name}={REMOVED}")
                }
                _ => pair.to_owned(),
            })
            .collect();
        format!("{path}?{}", pairs.join("&"))
    }

    /// Takes the secrets of a body: of JSON, or of the JSON in the data of events.
    pub(super) fn of_body(&mut self, body: &str) -> String {
        if let Some(clean) = self.of_json(body) {
            return clean;
        }
        let lines: Vec<Cow<'_, str>> = body
            .split('\n')
            .map(|line| match line.strip_prefix("data:").and_then(|data| self.of_json(data)) {
                Some(clean) => format!("data: {clean}").into(),
                None => line.into(),
            })
            .collect();
        lines.join("\n")
    }

    /// The JSON without secrets, if it is JSON and has some.
    fn of_json(&mut self, text: &str) -> Option<String> {
        let mut value: Value = serde_json::from_str(text).ok()?;
        self.walk(&mut value).then(|| value.to_string())
    }

    fn walk(&mut self, value: &mut Value) -> bool {
        match value {
            Value::Array(values) => values.iter_mut().fold(false, |found, value| self.walk(value) | found),
            Value::Object(members) => {
                let mut found = false;
                for (name, value) in members {
                    match value {
                        Value::String(text) if is_secret(name) => {
                            self.add(text);
                            REMOVED.clone_into(text);
                            found = true;
                        }
                        Value::String(text) if name == "url" || name.ends_with("_url") => found |= self.url(text),
                        value => found |= self.walk(value),
                    }
                }
                found
            }
            _ => false,
        }
    }

    /// A URL may carry a password, a token or a signature before its host or in its query.
    fn url(&mut self, text: &mut String) -> bool {
        let mut found = false;
        if let Some((start, query)) = text.clone().split_once('?') {
            self.add(query);
            *text = format!("{start}?{REMOVED}");
            found = true;
        }
        if let Some((scheme, rest)) = text.clone().split_once("://") {
            let authority = rest.split('/').next().unwrap_or_default();
            if let Some((user, _)) = authority.rsplit_once('@') {
                self.add(user);
                *text = format!("{scheme}://{REMOVED}{}", &rest[user.len()..]);
                found = true;
            }
        }
        found
    }

    /// Removes every secret found so far.
    pub(super) fn remove(&self, text: &str) -> String {
        self.0.iter().rev().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REMOVED))
    }
}

/// Whether a member or a parameter of this name holds a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is = |word: &str| name == word || name.ends_with(&format!("_{word}"));
    ["secret", "api_key", "apikey", "password", "token", "authorization", "signature", "credential"]
        .iter()
        .any(|word| is(word))
}
