//! The event-stream decoder and reader with arbitrary bytes.
//!
//! Neither panics. The decoder returns the same events for all chunk sizes, and they equal those of
//! the reference decoder. The reader always finishes.
#![no_main]

#[path = "../../tests/support/reference.rs"]
mod reference;

use bytes::Bytes;
use fetch_hive_core::stream::EventReader;
use libfuzzer_sys::fuzz_target;
use reference::{decode, reference};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, bytes) = input;
    let size = usize::from(size).max(1);
    let expected = reference(&bytes);
    assert_eq!(decode([&bytes[..]]), expected);
    assert_eq!(decode(bytes.chunks(size)), expected);

    let mut reader = EventReader::new(1 << 16);
    for chunk in bytes.chunks(size) {
        reader.push(Bytes::copy_from_slice(chunk));
        while reader.next_event().is_some() {}
    }
    while reader.finish().is_some() {}
    assert!(reader.is_done());
});
