//! Measures four event-stream parsers on the same chunks: ours, two libraries, and a minimal one.

use std::fmt::Write as _;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventsource_stream::Eventsource as _;
use fetch_hive_bench::{Cost, Meter};
use fetch_hive_core::stream::EventReader;
use futures_core::Stream;
use serde::Deserialize;
use serde_json::Value;
use sse_stream::SseStream;

const EVENTS: usize = 50_000;
const ROUNDS: usize = 7;

/// A borrowed version of our event, for the minimal parser.
#[derive(Deserialize)]
struct Text<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    response: std::borrow::Cow<'a, str>,
    #[serde(default)]
    model: Option<&'a str>,
    #[serde(default)]
    done: Option<bool>,
    #[serde(default)]
    request_id: Option<&'a str>,
}

/// Returns a prompt's stream in the documented format, one event per word.
fn input() -> Vec<u8> {
    let words = ["The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog.", "\\n"];
    let mut stream = String::new();
    for n in 0..EVENTS {
        let word = words[n % words.len()];
        let _ =
            write!(stream, "data: {{\"type\":\"response\",\"response\":\"{word}\",\"model\":\"gpt-4.1-mini\"}}\n\n");
    }
    stream.push_str("data: [DONE]\n\n");
    stream.into_bytes()
}

fn ours(chunks: &[Bytes]) -> usize {
    let mut reader = EventReader::new(1 << 20);
    let mut count = 0;
    for chunk in chunks {
        reader.push(chunk.clone());
        while let Some(event) = reader.next_event() {
            count += usize::from(black_box(event).is_ok());
        }
    }
    count
}

/// Splits the stream into lines and parses each line into borrowed fields.
///
/// It ignores every other rule of the format, so it is a lower bound for the cost of a parser.
fn minimal(chunks: &[Bytes]) -> usize {
    let mut count = 0;
    let mut rest = Vec::new();
    let mut line = |line: &[u8]| {
        let Some(data) = line.strip_prefix(b"data: ") else { return };
        if data != b"[DONE]" {
            let text: Text<'_> = serde_json::from_slice(data).unwrap_or_else(|error| unreachable!("{error}"));
            black_box((text.r#type, &text.response, text.model, text.done, text.request_id));
            count += 1;
        }
    };
    for chunk in chunks {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            if rest.is_empty() {
                line(&chunk[from..end]);
            } else {
                rest.extend_from_slice(&chunk[from..end]);
                line(&rest);
                rest.clear();
            }
            from = end + 1;
        }
        rest.extend_from_slice(&chunk[from..]);
    }
    count
}

/// A stream of chunks that is always ready.
struct Ready<'a>(std::slice::Iter<'a, Bytes>);

impl Stream for Ready<'_> {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().cloned().map(Ok))
    }
}

fn drain<S: Stream>(stream: S, mut each: impl FnMut(S::Item)) {
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(item)) = stream.as_mut().poll_next(&mut context) {
        each(item);
    }
}

fn eventsource(chunks: &[Bytes]) -> usize {
    let mut count = 0;
    drain(Ready(chunks.iter()).eventsource(), |event| {
        if let Ok(event) = event {
            count += usize::from(serde_json::from_str::<Value>(&event.data).map(black_box).is_ok());
        }
    });
    count
}

fn sse(chunks: &[Bytes]) -> usize {
    let mut count = 0;
    drain(SseStream::from_bytes_stream(Ready(chunks.iter())), |event| {
        if let Some(data) = event.ok().and_then(|event| event.data) {
            let text = serde_json::from_str::<Text<'_>>(&data);
            count += usize::from(text.map(|text| black_box(text.response.len())).is_ok());
        }
    });
    count
}

type Reader = fn(&[Bytes]) -> usize;

pub fn main() {
    let input = Bytes::from(input());
    for size in [64, 1_400, 16_384] {
        let chunks: Vec<Bytes> =
            (0..input.len()).step_by(size).map(|at| input.slice(at..(at + size).min(input.len()))).collect();
        let readers: [(&str, Reader); 4] =
            [("ours", ours), ("minimal", minimal), ("eventsource", eventsource), ("sse", sse)];
        let mut best = [Cost::MAX; 4];
        for _ in 0..ROUNDS {
            for (best, (name, reader)) in best.iter_mut().zip(readers) {
                let meter = Meter::start();
                let count = reader(&chunks);
                *best = best.min(meter.per(EVENTS));
                assert_eq!(count, EVENTS, "{name}");
            }
        }
        for (best, (name, _)) in best.iter().zip(readers) {
            println!("{}", best.line(&format!("{name} {size}")));
        }
    }
}
