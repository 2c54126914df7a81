//! Tests of the event-stream decoder with a corpus, a reference decoder and random input.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "tests and their helpers fail by panicking"
)]

use bytes::Bytes;
use fetch_hive_core::sse::{Decoder, EventTooLarge};
use proptest::prelude::*;

#[path = "support/reference.rs"]
mod reference;

use reference::{Outcome, decode, reference};

const A: &str = "{\"a\":1}";

/// A name, the input, the expected events, whether the stream is done, and the unfinished data.
type Case = (&'static str, &'static [u8], Vec<&'static str>, bool, Option<&'static str>);

fn corpus() -> Vec<Case> {
    vec![
        ("one event", b"data: {\"a\":1}\n\n", vec![A], false, None),
        ("no space", b"data:{\"a\":1}\n\n", vec![A], false, None),
        ("one space is removed", b"data:  x\n\n", vec![" x"], false, None),
        ("CRLF", b"data: {\"a\":1}\r\n\r\n", vec![A], false, None),
        ("CR", b"data: {\"a\":1}\r\rdata: x\r\r", vec![A, "x"], false, None),
        ("mixed line endings", b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", vec!["a", "b", "c"], false, None),
        ("BOM", b"\xef\xbb\xbfdata: x\n\n", vec!["x"], false, None),
        // The standard removes one, but then the first event would be lost.
        ("two BOMs", b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\ndata: y\n\n", vec!["x", "y"], false, None),
        ("half a BOM", b"\xef\xbbdata: x\n\ndata: y\n\n", vec!["y"], false, None),
        ("multi-line", b"data: {\"a\":\ndata: 1}\n\n", vec!["{\"a\":\n1}"], false, None),
        ("empty data", b"data\n\ndata:\n\ndata: \n\n", vec!["", "", ""], false, None),
        ("empty lines of data", b"data\ndata\n\n", vec!["\n"], false, None),
        ("comment", b": hi\n:\ndata: x\n: in between\n\n", vec!["x"], false, None),
        ("blank lines", b"\n\n\r\n\rdata: x\n\n\n\n", vec!["x"], false, None),
        ("other and unknown fields", b"event: m\nid: 1\nretry: 5\nfoo: bar\nfoo\ndata: x\n\n", vec!["x"], false, None),
        ("no data, no event", b"event: m\n\nid: 7\n\n", vec![], false, None),
        ("field names are exact", b"Data: x\ndata : x\n data: x\ndatas: x\n\n", vec![], false, None),
        ("done", b"data: x\n\ndata: [DONE]\n\n", vec!["x"], true, None),
        ("done, trailing spaces", b"data: [DONE]  \t\n\n", vec![], true, None),
        ("done, no space", b"data:[DONE]\n\n", vec![], true, None),
        ("done, more spaces", b"data:  [DONE]\n\n", vec![], true, None),
        ("done, more after it", b"data: a\n\ndata: [DONE]\n\ndata: b\n\n", vec!["a"], true, None),
        ("done at the end", b"data: a\n\ndata: [DONE]", vec!["a"], true, None),
        ("done, single newlines", b"data: a\ndata: b\ndata: [DONE]\n", vec!["a\nb"], true, None),
        ("not done", b"data: \"[DONE]\"\n\n", vec!["\"[DONE]\""], false, None),
        ("cut in an event", b"data: a\n\ndata: {\"a\"", vec!["a"], false, Some("{\"a\"")),
        ("cut before the blank line", b"data: a\n\ndata: {\"a\":1}\n", vec!["a"], false, Some(A)),
        ("cut in a field name", b"data: a\n\ndat", vec!["a"], false, None),
        ("empty", b"", vec![], false, None),
        ("a line with a space is not blank", b"data: x\n \n\n", vec!["x"], false, None),
        ("colon in the value", b"data: a:b: c\n\n", vec!["a:b: c"], false, None),
        ("UTF-8", "data: é\u{2028}\u{85}ü\n\n".as_bytes(), vec!["é\u{2028}\u{85}ü"], false, None),
        ("NUL", b"data: a\0b\n\n", vec!["a\0b"], false, None),
    ]
}

#[test]
fn events_do_not_depend_on_chunks() {
    for (name, input, events, done, unfinished) in corpus() {
        let want: Outcome = (
            events.iter().map(|event| event.as_bytes().to_vec()).collect(),
            done,
            unfinished.map(|data| data.as_bytes().to_vec()),
        );
        assert_eq!(reference(input), want, "{name}: reference decoder");
        for size in 1..=input.len().max(1) {
            assert_eq!(decode(input.chunks(size)), want, "{name}: chunks of {size}");
        }
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let cuts = [&input[..first], &input[first..second], &input[second..]];
                assert_eq!(decode(cuts), want, "{name}: cut at {first} and {second}");
            }
        }
    }
}

#[test]
fn event_id_and_retry_fields_are_decoded() {
    let mut decoder = Decoder::new(100);
    decoder
        .push(Bytes::from("id: 7\nevent: m\nretry: 250\ndata: a\n\nid: x\0y\nretry: 1s\ndata: b\n\nid\ndata: c\n\n"));
    let mut events = Vec::new();
    while let Some(event) = decoder.next_event() {
        let event = event.unwrap();
        events.push((event.data, event.event, event.id));
    }
    let text = |text: &'static str| Some(Bytes::from(text));
    let want = [("a", text("m"), text("7")), ("b", None, text("7")), ("c", None, text(""))];
    assert_eq!(events, want.map(|(data, event, id)| (Bytes::from(data), event, id)));
    assert_eq!(decoder.retry(), Some(250));
}

#[test]
fn data_in_one_chunk_is_a_slice() {
    let chunk = Bytes::from("data: first\n\nid: 1\ndata: second\n\ndata: third\n\n".to_owned().into_bytes());
    let range = chunk.as_ptr_range();
    let mut decoder = Decoder::new(100);
    decoder.push(chunk.clone());
    let mut count = 0;
    while let Some(event) = decoder.next_event() {
        let data = event.unwrap().data;
        assert!(range.contains(&data.as_ptr()) && range.contains(&data.last().map(std::ptr::from_ref).unwrap()));
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn too_large_events_end_the_stream() {
    let whole = [&b"data: "[..], &[b'x'; 200], b"\n\n"].concat();
    let lines = b"data: 0123456789\n".repeat(30);
    for input in [whole, lines] {
        for size in [1, 7, input.len()] {
            let mut decoder = Decoder::new(100);
            let mut errors = 0;
            for chunk in input.chunks(size) {
                decoder.push(Bytes::copy_from_slice(chunk));
                while let Some(event) = decoder.next_event() {
                    assert_eq!(event.unwrap_err(), too_large());
                    errors += 1;
                }
            }
            assert_eq!(errors, 1);
            let end = decoder.finish();
            assert!(!end.done && end.unfinished.is_none());
        }
    }
    let fitting = [&b"data: "[..], &[b'x'; 100], b"\n\n"].concat();
    let mut decoder = Decoder::new(100);
    decoder.push(fitting.into());
    assert_eq!(decoder.next_event().unwrap().unwrap().data.len(), 100);
}

fn too_large() -> EventTooLarge {
    let mut decoder = Decoder::new(100);
    decoder.push(vec![b'x'; 1000].into());
    decoder.next_event().unwrap().unwrap_err()
}

/// Generates input from tokens of the event-stream format.
fn tokens() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just(b"data: ".to_vec()),
        Just(b"data:".to_vec()),
        Just(b"data".to_vec()),
        Just(b"[DONE]".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b":".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        Just(b"id: 1".to_vec()),
        Just(b"{\"a\":1}".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_events_do_not_depend_on_chunks(input in tokens(), cuts in proptest::collection::vec(0_usize..200, 0..8)) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([input.len()]) {
            chunks.push(&input[from..cut]);
            from = cut;
        }
        let want = reference(&input);
        prop_assert_eq!(decode(chunks), want.clone());
        prop_assert_eq!(decode([&input[..]]), want);
    }
}
