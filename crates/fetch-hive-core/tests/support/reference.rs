//! The decoder, and a second one to compare it with; for tests and for the fuzz target.

use bytes::Bytes;
use fetch_hive_core::sse::Decoder;

/// What a stream comes to: the data of its events, whether it was done, and what was left.
pub type Outcome = (Vec<Vec<u8>>, bool, Option<Vec<u8>>);

pub fn decode<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut decoder = Decoder::new(1 << 20);
    let mut events = Vec::new();
    for chunk in chunks {
        decoder.push(Bytes::copy_from_slice(chunk));
        while let Some(frame) = decoder.next_event() {
            events.push(frame.expect("fits").data.to_vec());
        }
    }
    let end = decoder.finish();
    (events, end.done, end.unfinished.map(|rest| rest.to_vec()))
}

/// The same by the rules alone: the whole input at once, split into lines, line after line.
pub fn reference(input: &[u8]) -> Outcome {
    let input = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = input.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if(|next| **next == b'\n');
                lines.push(Vec::new());
            }
            b'\n' => lines.push(Vec::new()),
            _ => lines.last_mut().expect("fits").push(byte),
        }
    }
    let unfinished_line = lines.pop().expect("fits");
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
            // At the end of input it is handed over as what was left.
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
