//! What must not be in a recording.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeSet;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use serde_json::Value;

/// What stands where a secret was.
pub(super) const REMOVED: &str = "REMOVED";

/// A shorter text is not looked for elsewhere: it would be found where it means nothing.
const SHORTEST: usize = 8;

/// With these the secrets of the service begin.
const BEGINNINGS: [&str; 2] = ["fhk_", "whsec_"];

/// The secrets of an exchange, by which they are found wherever they are repeated.
#[derive(Clone, Default)]
pub(super) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Takes a secret, with the forms that it has in a URL and within JSON.
    pub(super) fn add(&mut self, text: &str) {
        for text in [text, &decoded(text)] {
            if text.len() >= SHORTEST {
                let quoted = Value::from(text).to_string();
                self.0.insert(quoted[1..quoted.len() - 1].to_owned());
                self.0.insert(text.to_owned());
            }
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
                self.find(&text);
                let clean = self.of_urls(&text);
                kept.push((name.to_string(), clean.unwrap_or(text)));
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

    /// Takes the secrets of a body: of JSON, of the JSON in the data of events, or of the URLs in a text.
    pub(super) fn of_body(&mut self, body: &str) -> String {
        self.find(body);
        if let Some(clean) = self.of_text(body) {
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

    /// A value as it may be shown.
    pub(super) fn of_value(mut self, mut value: Value) -> Value {
        self.walk(&mut value, false);
        value
    }

    /// Takes what begins as a secret of the service does.
    fn find(&mut self, text: &str) {
        for (start, _) in BEGINNINGS.iter().flat_map(|beginning| text.match_indices(beginning)) {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-+/=.".contains(byte);
            let length = text.as_bytes()[start..].iter().take_while(|byte| is_part(byte)).count();
            self.add(&text[start..start + length]);
        }
    }

    /// The JSON without secrets, if it is JSON and has some.
    fn of_json(&mut self, text: &str) -> Option<String> {
        let mut value: Value = serde_json::from_str(text).ok()?;
        self.walk(&mut value, false).then(|| value.to_string())
    }

    /// The text without secrets, if it has some: it may be JSON, as what tools say is.
    fn of_text(&mut self, text: &str) -> Option<String> {
        if text.trim_start().starts_with(['{', '[']) { self.of_json(text) } else { self.of_urls(text) }
    }

    /// Removes the secrets of a value; all of its texts where they are secret. Whether there were any.
    fn walk(&mut self, value: &mut Value, secret: bool) -> bool {
        match value {
            Value::Array(values) => values.iter_mut().fold(false, |found, value| self.walk(value, secret) | found),
            Value::Object(members) => {
                let walk = |found, (name, value): (&String, _)| self.walk(value, secret || is_secret(name)) | found;
                members.iter_mut().fold(false, walk)
            }
            Value::String(text) if secret => {
                self.add(text);
                REMOVED.clone_into(text);
                true
            }
            Value::String(text) => match self.of_text(text) {
                Some(clean) => {
                    *text = clean;
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// The text without what stands before the hosts and in the queries of its URLs, if there is any: a password, a token, a signature.
    fn of_urls(&mut self, text: &str) -> Option<String> {
        let (mut clean, mut rest) = (String::new(), text);
        let mut found = false;
        while let Some(scheme) = rest.find("://") {
            clean.push_str(&rest[..scheme + 3]);
            rest = &rest[scheme + 3..];
            let ends = |char: char| char.is_whitespace() || "\"'<>`\\".contains(char);
            let (url, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
            let (mut url, query) = url.split_at(url.find('?').unwrap_or(url.len()));
            if let Some((user, _)) = url.split('/').next().unwrap_or_default().rsplit_once('@') {
                user.split(':').for_each(|part| self.add(part));
                clean.push_str(REMOVED);
                url = &url[user.len()..];
                found = true;
            }
            clean.push_str(url);
            // A bracket is of the text around the URL.
            let (query, closed) = query.split_at(query.find([')', ']', '}']).unwrap_or(query.len()));
            if query.len() > 1 {
                self.add(&query[1..]);
                query[1..].split('&').filter_map(|pair| pair.split_once('=')).for_each(|(_, value)| {
                    // A shorter one is a word.
                    if value.len() > 15 {
                        self.add(value);
                    }
                });
                clean.push('?');
                clean.push_str(REMOVED);
                found = true;
            } else {
                clean.push_str(query);
            }
            clean.push_str(closed);
            rest = after;
        }
        clean.push_str(rest);
        found.then_some(clean)
    }

    /// The longest first, for one may be a part of another.
    fn sorted(&self) -> Vec<&str> {
        let mut secrets: Vec<_> = self.0.iter().map(String::as_str).collect();
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets
    }

    /// Removes every secret found so far.
    pub(super) fn remove(&self, text: &str) -> String {
        self.sorted().into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, REMOVED))
    }

    /// As [`remove`](Self::remove), from what is no text.
    pub(super) fn remove_from_bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for secret in self.sorted() {
            let mut start = 0;
            while let Some(at) = bytes[start..].windows(secret.len()).position(|part| part == secret.as_bytes()) {
                bytes.splice(start + at..start + at + secret.len(), REMOVED.bytes());
                start += at + REMOVED.len();
            }
        }
        bytes
    }
}

/// Whether a member or a parameter of this name holds a secret, however it is written: `api_key`, `apiKey`, `X-Api-Key`.
fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let words = ["secret", "apikey", "accesskey", "privatekey", "passw", "token", "signature", "credential", "cookie"];
    words.iter().any(|word| name.contains(word)) || name.contains("authorization") || name.ends_with("auth")
}

/// What a part of a URL stands for.
fn decoded(text: &str) -> String {
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
