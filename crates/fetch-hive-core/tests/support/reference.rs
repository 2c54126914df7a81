//! A simple reference decoder, which the tests and the fuzz target compare the decoder with.

use bytes::Bytes;
use fetch_hive_core::sse::Decoder;

/// The result of decoding a stream: the data of its events, whether `[DONE]` was received, and the
/// unfinished data.
pub type Outcome = (Vec<Vec<u8>>, bool, Option<Vec<u8>>);

pub fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(1 << 20);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = decoder.next_event() {
            events.push(event.expect("below the limit").data.to_vec());
        }
    }
    let end = decoder.finish();
    (events, end.done, end.unfinished.map(|data| data.to_vec()))
}

/// Decodes the whole input at once, line by line.
pub fn reference(input: &[u8]) -> Outcome {
    let mut input = input;
    while let Some(rest) = input.strip_prefix(b"\xef\xbb\xbf") {
        input = rest;
    }
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = input.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            _ => lines.last_mut().expect("at least one line").push(byte),
        }
    }
    let unfinished_line = lines.pop().expect("at least one line");
    let (mut events, mut data): (Vec<Vec<u8>>, Option<Vec<u8>>) = (Vec::new(), None);
    let count = lines.len();
    for (n, line) in lines.into_iter().chain([unfinished_line]).enumerate() {
        if line.is_empty() {
            if n < count {
                events.extend(data.take());
            }
            continue;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if name != b"data" {
            continue;
        }
        if value.trim_ascii() == b"[DONE]" {
            // Without a blank line, the event before `[DONE]` is unfinished.
            if n < count {
                events.extend(data.take());
            }
            return (events, true, data);
        }
        data = Some(match data {
            None => value.to_vec(),
            Some(before) => [&before, &b"\n"[..], value].concat(),
        });
    }
    (events, false, data)
}
