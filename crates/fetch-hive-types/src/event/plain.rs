//! The short way for the event that streams are made of: a flat object of texts. Any other JSON takes the long way, through serde; a test
//! holds both ways to the same result.

use super::{StreamEvent, TextEvent};
use crate::TextChunk;

/// Reads a text event that is written the plain way; `None` says nothing about the JSON.
#[inline]
pub(super) fn text_event(json: &[u8]) -> Option<StreamEvent> {
    let mut json = Plain { json: std::str::from_utf8(json).ok()?, at: 0, escaped: false };
    let [mut response, mut model, mut request_id] = [None; 3];
    let (mut reasoning, mut done) = (None, None);
    json.byte(b'{')?;
    loop {
        // What stands twice is an error, which serde words.
        let twice = if json.takes(r#""response""#)? {
            json.byte(b':')?;
            response.replace(json.text()?).is_some()
        } else if json.takes(r#""type""#)? {
            json.byte(b':')?;
            let answer = json.takes(r#""response""#)?;
            if !answer && !json.takes(r#""reasoning""#)? {
                return None;
            }
            reasoning.replace(!answer).is_some()
        } else if json.takes(r#""model""#)? {
            json.byte(b':')?;
            model.replace(json.text()?).is_some()
        } else if json.takes(r#""done""#)? {
            json.byte(b':')?;
            done.replace(json.boolean()?).is_some()
        } else if json.takes(r#""request_id""#)? {
            json.byte(b':')?;
            request_id.replace(json.text()?).is_some()
        } else {
            return None;
        };
        if twice {
            return None;
        }
        if json.ends()? {
            break;
        }
    }
    let reasoning = reasoning?;
    // Only the answer's text has escapes often enough to be read here; the others take the long way with them.
    if json.escaped && [model, request_id].into_iter().flatten().any(|text| text.contains('\\')) {
        return None;
    }
    let event = TextEvent {
        response: match response {
            Some(text) if json.escaped && text.contains('\\') => serde_json::from_str(text).ok()?,
            Some(text) => bare(text).into(),
            None => TextChunk::default(),
        },
        model: model.map(|text| bare(text).into()),
        done,
        request_id: request_id.map(|text| bare(text).into()),
    };
    Some(if reasoning { StreamEvent::Reasoning(event) } else { StreamEvent::Response(event) })
}

/// A text without its quotes.
fn bare(text: &str) -> &str {
    &text[1..text.len() - 1]
}

struct Plain<'a> {
    json: &'a str,
    at: usize,
    /// Whether a text had a backslash.
    escaped: bool,
}

impl<'a> Plain<'a> {
    /// Goes to the next byte that is no blank, and gives it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Takes the next byte that is no blank.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Takes a token if it comes next.
    fn takes(&mut self, token: &str) -> Option<bool> {
        self.peek()?;
        let comes = self.json.as_bytes()[self.at..].starts_with(token.as_bytes());
        self.at += if comes { token.len() } else { 0 };
        Some(comes)
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A text in its quotes, escapes as they stand.
    fn text(&mut self) -> Option<&'a str> {
        self.byte(b'"')?;
        let from = self.at;
        loop {
            match self.json.as_bytes().get(self.at)? {
                b'"' => break,
                b'\\' => {
                    self.escaped = true;
                    self.at += 1;
                }
                0..0x20 => return None,
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
        self.json.get(from - 1..self.at)
    }

    fn boolean(&mut self) -> Option<bool> {
        let (value, rest) = match self.next()? {
            b't' => (true, "rue"),
            b'f' => (false, "alse"),
            _ => return None,
        };
        self.at += rest.len();
        (self.json.get(self.at - rest.len()..self.at)? == rest).then_some(value)
    }

    /// Whether the object ends after a member, and the JSON with it.
    fn ends(&mut self) -> Option<bool> {
        match self.next()? {
            b',' => Some(false),
            b'}' => self.next().is_none().then_some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way of writing that the short way might take by mistake, against serde.
    #[test]
    fn the_short_way_is_the_long_way() {
        let members = [
            r#""type":"response""#,
            r#""type":"reasoning""#,
            r#""type":"tool""#,
            r#""type":null"#,
            r#""response":"hi""#,
            r#""response": "é""#,
            r#""response":"\u00e9\n""#,
            r#""response":"\"\\""#,
            r#""response":"\""#,
            r#""response":"\ud83d""#,
            r#""m\u006fdel":"m""#,
            r#""response":"""#,
            r#""response":null"#,
            r#""response":7"#,
            "\"response\":\"a\tb\"",
            r#" "model" : "m" "#,
            r#""model":null"#,
            r#""done":true"#,
            r#""done" : false"#,
            r#""done":null"#,
            r#""done":tru"#,
            r#""request_id":"req_1""#,
            r#""new":[1]"#,
            "",
        ];
        let long = |json: &[u8]| {
            #[derive(serde::Deserialize)]
            struct Tag {
                r#type: String,
            }
            let tag = serde_json::from_slice::<Tag>(json).ok()?.r#type;
            let text = serde_json::from_slice::<TextEvent>(json);
            match tag.as_str() {
                "response" => text.ok().map(StreamEvent::Response),
                "reasoning" => text.ok().map(StreamEvent::Reasoning),
                _ => None,
            }
        };
        let check = |json: &[u8]| {
            let event = text_event(json);
            assert!(event.is_none() || event == long(json), "{}", String::from_utf8_lossy(json));
            usize::from(event.is_some())
        };
        let mut taken = 0;
        for a in members {
            for b in members {
                for c in members {
                    for (open, end) in [("{", "}"), (" {", "} \n"), ("{", "}}"), ("{", "} x"), ("[", "]"), ("{", "")] {
                        taken += check(format!("{open}{a},{b},{c}{end}").as_bytes());
                    }
                }
            }
        }
        assert!(taken > 300, "{taken}");
        // Every single byte put in the place of every other: what is taken is read as serde reads it.
        let whole = br#"{"type":"response","response":"hi","done":true}"#;
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut json = whole.to_vec();
                json[at] = byte;
                check(&json);
            }
        }
    }
}
