//! Finds and replaces the secrets of an exchange.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use serde_json::Value;

/// The replacement for a secret.
pub(super) const REDACTED: &str = "REDACTED";

/// The minimum length of a collected secret. A shorter text would match unrelated text.
const MIN_SECRET_BYTES: usize = 8;

/// The minimum length of a query value that is collected. A shorter value is likely a word.
const MIN_QUERY_VALUE_BYTES: usize = 16;

/// The prefixes of API keys and webhook secrets.
const SECRET_PREFIXES: [&str; 2] = ["fhk_", "whsec_"];

/// Redacts the query of a path.
pub(super) fn redact_path(path: &str) -> String {
    Secrets::default().redact_path(path)
}

/// Redacts the secrets of a JSON value.
pub(super) fn redact_value(mut value: Value) -> Value {
    Secrets::default().redact_members(&mut value, false);
    value
}

/// The secrets found in an exchange.
///
/// The `redact_…` methods replace the secrets they recognize and collect them. After all parts of
/// an exchange were visited, [`replace_all`](Self::replace_all) replaces further occurrences.
#[derive(Clone, Default)]
pub(super) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Collects a secret, also in its percent-decoded form and as it appears in JSON.
    pub(super) fn add(&mut self, text: &str) {
        for text in [text, &percent_decode(text)] {
            if text.len() >= MIN_SECRET_BYTES {
                let quoted = Value::from(text).to_string();
                self.0.insert(quoted[1..quoted.len() - 1].to_owned());
                self.0.insert(text.to_owned());
            }
        }
    }

    /// Redacts headers, and leaves out the ones that describe the transfer of the body.
    pub(super) fn redact_headers(&mut self, headers: &HeaderMap) -> Vec<(String, String)> {
        let mut redacted = Vec::new();
        for (name, value) in headers.iter().filter(|(name, _)| *name != CONTENT_LENGTH && *name != TRANSFER_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let is_secret = value.is_sensitive()
                || ["auth", "cookie", "secret", "token", "key", "signature"]
                    .iter()
                    .any(|word| name.as_str().contains(word));
            if is_secret {
                text.split([' ', ';', '=', ',']).for_each(|part| self.add(part));
                redacted.push((name.to_string(), REDACTED.to_owned()));
            } else {
                self.collect_prefixed(&text);
                let clean = self.redact_urls(&text);
                redacted.push((name.to_string(), clean.unwrap_or(text)));
            }
        }
        redacted
    }

    /// Redacts the query parameters of a path whose names indicate a secret.
    pub(super) fn redact_path(&mut self, path: &str) -> String {
        let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
        let pairs: Vec<_> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) if is_secret_name(name) => {
                    self.add(value);
                    format!("{name}={REDACTED}")
                }
                _ => pair.to_owned(),
            })
            .collect();
        format!("{path}?{}", pairs.join("&"))
    }

    /// Redacts a body that is JSON, an event stream with JSON data, or other text with URLs.
    pub(super) fn redact_body(&mut self, body: &str) -> String {
        self.collect_prefixed(body);
        if let Some(clean) = self.redact_text(body) {
            return clean;
        }
        let lines: Vec<Cow<'_, str>> = body
            .split('\n')
            .map(|line| match line.strip_prefix("data:").and_then(|data| self.redact_json(data)) {
                Some(clean) => format!("data: {clean}").into(),
                None => line.into(),
            })
            .collect();
        lines.join("\n")
    }

    /// Collects the API keys and webhook secrets of a text.
    fn collect_prefixed(&mut self, text: &str) {
        for (start, _) in SECRET_PREFIXES.iter().flat_map(|prefix| text.match_indices(prefix)) {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-+/=.".contains(byte);
            let length = text.as_bytes()[start..].iter().take_while(|byte| is_part(byte)).count();
            self.add(&text[start..start + length]);
        }
    }

    /// Returns the redacted JSON, or `None` if the text is not JSON or contains no secret.
    fn redact_json(&mut self, text: &str) -> Option<String> {
        let mut value: Value = serde_json::from_str(text).ok()?;
        self.redact_members(&mut value, false).then(|| value.to_string())
    }

    /// Returns the redacted text, which may be JSON, or `None` if it contains no secret.
    fn redact_text(&mut self, text: &str) -> Option<String> {
        if text.trim_start().starts_with(['{', '[']) { self.redact_json(text) } else { self.redact_urls(text) }
    }

    /// Redacts the secrets of a value, or all its strings if the value itself is secret. Returns
    /// whether anything was redacted.
    fn redact_members(&mut self, value: &mut Value, is_secret: bool) -> bool {
        match value {
            Value::Array(values) => {
                values.iter_mut().fold(false, |found, value| self.redact_members(value, is_secret) | found)
            }
            Value::Object(members) => members.iter_mut().fold(false, |found, (name, value)| {
                self.redact_members(value, is_secret || is_secret_name(name)) | found
            }),
            Value::String(text) if is_secret => {
                self.add(text);
                REDACTED.clone_into(text);
                true
            }
            Value::String(text) => match self.redact_text(text) {
                Some(clean) => {
                    *text = clean;
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// Redacts the user information and the query of every URL in a text. Returns `None` if there
    /// are none.
    fn redact_urls(&mut self, text: &str) -> Option<String> {
        let (mut clean, mut rest) = (String::new(), text);
        let mut found = false;
        while let Some(scheme) = rest.find("://") {
            clean.push_str(&rest[..scheme + 3]);
            rest = &rest[scheme + 3..];
            let is_end = |char: char| char.is_whitespace() || "\"'<>`\\".contains(char);
            let (url, after) = rest.split_at(rest.find(is_end).unwrap_or(rest.len()));
            let (mut url, query) = url.split_at(url.find('?').unwrap_or(url.len()));
            if let Some((user, _)) = url.split('/').next().unwrap_or_default().rsplit_once('@') {
                user.split(':').for_each(|part| self.add(part));
                clean.push_str(REDACTED);
                url = &url[user.len()..];
                found = true;
            }
            clean.push_str(url);
            // A closing bracket belongs to the text around the URL.
            let (query, bracket) = query.split_at(query.find([')', ']', '}']).unwrap_or(query.len()));
            if query.len() > 1 {
                self.add(&query[1..]);
                for (_, value) in query[1..].split('&').filter_map(|pair| pair.split_once('=')) {
                    if value.len() >= MIN_QUERY_VALUE_BYTES {
                        self.add(value);
                    }
                }
                clean.push('?');
                clean.push_str(REDACTED);
                found = true;
            } else {
                clean.push_str(query);
            }
            clean.push_str(bracket);
            rest = after;
        }
        clean.push_str(rest);
        found.then_some(clean)
    }

    /// Returns the secrets, longest first, because a secret can be part of another one.
    fn sorted(&self) -> Vec<&str> {
        let mut secrets: Vec<_> = self.0.iter().map(String::as_str).collect();
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets
    }

    /// Replaces every collected secret in a text.
    pub(super) fn replace_all(&self, text: &str) -> String {
        self.sorted().into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED))
    }

    /// Replaces every collected secret with the redaction mark, in bytes that may not be UTF-8.
    pub(super) fn replace_all_in_bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for secret in self.sorted() {
            let mut start = 0;
            while let Some(at) = bytes[start..].windows(secret.len()).position(|part| part == secret.as_bytes()) {
                bytes.splice(start + at..start + at + secret.len(), REDACTED.bytes());
                start += at + REDACTED.len();
            }
        }
        bytes
    }
}

/// Returns whether the name of a member or parameter indicates a secret, in any style: `api_key`,
/// `apiKey`, `X-Api-Key`.
fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let words = ["secret", "apikey", "accesskey", "privatekey", "passw", "token", "signature", "credential", "cookie"];
    words.iter().any(|word| name.contains(word)) || name.contains("authorization") || name.ends_with("auth")
}

/// Decodes the percent-encoding of a part of a URL.
fn percent_decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        if let Some(byte) = hex.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
