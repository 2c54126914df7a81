//! The event-stream decoder and reader with arbitrary bytes in arbitrary chunks.
//!
//! Neither panics. The decoder returns the same events for any chunks, and they equal those of the
//! reference decoder. The reader returns the same items for any chunks, and always finishes.
#![no_main]

#[path = "../../tests/support/reference.rs"]
mod reference;

use bytes::Bytes;
use fetch_hive_core::stream::EventReader;
use libfuzzer_sys::fuzz_target;
use reference::{decode, reference};

// The stream comes first, so that a text file is a seed.
fuzz_target!(|input: &[u8]| {
    // The last byte is the number of chunk lengths before it.
    let (lengths, bytes) = match input.split_last() {
        Some((count, rest)) if usize::from(*count) <= rest.len() => {
            let (bytes, lengths) = rest.split_at(rest.len() - usize::from(*count));
            (lengths, bytes)
        }
        _ => (&[][..], input),
    };
    let expected = reference(bytes);
    assert_eq!(decode([bytes]), expected);
    assert_eq!(decode(bytes.chunks(1)), expected);
    let chunks = chunks(bytes, lengths);
    assert_eq!(decode(chunks.iter().copied()), expected);
    assert_eq!(read(&chunks), read(&[bytes]));
});

/// Splits a stream at the given lengths, which are repeated.
fn chunks<'a>(mut bytes: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    for length in lengths.iter().cycle() {
        if bytes.is_empty() || chunks.len() > 1_000 {
            break;
        }
        let (chunk, rest) = bytes.split_at(usize::from(*length).min(bytes.len()));
        chunks.push(chunk);
        bytes = rest;
    }
    chunks.push(bytes);
    chunks
}

/// Returns what the reader makes of a stream.
fn read(chunks: &[&[u8]]) -> Vec<String> {
    let mut reader = EventReader::new(1 << 16);
    let mut items = Vec::new();
    for chunk in chunks {
        reader.push(Bytes::copy_from_slice(chunk));
        items.extend(std::iter::from_fn(|| reader.next_event()).map(|item| format!("{item:?}")));
    }
    items.extend(std::iter::from_fn(|| reader.finish()).map(|item| format!("{item:?}")));
    assert!(reader.is_done());
    items
}
