//! The event-stream decoder: it never panics, chunking never changes what comes out, and it agrees with the reference decoder. The reader
//! above it never panics and comes to an end.
#![no_main]

#[path = "../../crates/fetch-hive-core/tests/support/reference.rs"]
mod reference;

use bytes::Bytes;
use fetch_hive_core::stream::EventReader;
use libfuzzer_sys::fuzz_target;
use reference::{decode, reference};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (size, bytes) = input;
    let size = usize::from(size).max(1);
    let want = reference(&bytes);
    assert_eq!(decode([&bytes[..]]), want);
    assert_eq!(decode(bytes.chunks(size)), want);

    let mut reader = EventReader::new(1 << 16);
    for chunk in bytes.chunks(size) {
        reader.push(Bytes::copy_from_slice(chunk));
        while reader.next_event().is_some() {}
    }
    while reader.finish().is_some() {}
    assert!(reader.is_done());
});
