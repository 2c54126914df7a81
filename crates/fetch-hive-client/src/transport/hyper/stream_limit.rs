//! The number of concurrent streams that an HTTP/2 server allows.
//!
//! hyper queues a request beyond this limit without reporting it. The limit is therefore read from
//! the server's SETTINGS frames (RFC 9113, sections 4.1 and 6.5), and the pool opens another
//! connection instead.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const FRAME_HEADER_BYTES: usize = 9;
const SETTING_BYTES: usize = 6;

const UNKNOWN: usize = usize::MAX;
const UNLIMITED: usize = usize::MAX - 1;

/// The limit of one connection.
pub(super) struct StreamLimit {
    max: AtomicUsize,
    received: Notify,
}

impl StreamLimit {
    pub(super) fn new() -> Self {
        Self { max: AtomicUsize::new(UNKNOWN), received: Notify::new() }
    }

    pub(super) fn get(&self) -> usize {
        self.max.load(Ordering::Acquire)
    }

    /// Waits for the first SETTINGS frame, with which every server begins.
    pub(super) async fn received(&self) {
        while self.get() == UNKNOWN {
            let received = self.received.notified();
            if self.get() == UNKNOWN {
                received.await;
            }
        }
    }

    fn set(&self, max: Option<usize>) {
        match max {
            Some(max) => self.max.store(max.min(UNLIMITED), Ordering::Release),
            None if self.get() == UNKNOWN => self.max.store(UNLIMITED, Ordering::Release),
            None => return,
        }
        self.received.notify_waiters();
    }
}

/// A byte stream that reads the limit from the frames that pass through it.
pub(super) struct LimitReader<S> {
    stream: S,
    frames: Frames,
}

impl<S> LimitReader<S> {
    pub(super) fn new(stream: S, limit: Arc<StreamLimit>) -> Self {
        let frames = Frames { limit, buffer: [0; FRAME_HEADER_BYTES], filled: 0, payload: 0, is_settings: false };
        Self { stream, frames }
    }
}

/// The position within the received frames.
struct Frames {
    limit: Arc<StreamLimit>,
    /// A part of a frame header, or of a setting.
    buffer: [u8; FRAME_HEADER_BYTES],
    filled: usize,
    /// The number of bytes that are left of the payload of the frame.
    payload: usize,
    is_settings: bool,
}

impl Frames {
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload > 0 && !self.is_settings {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let wanted = if self.payload > 0 { SETTING_BYTES } else { FRAME_HEADER_BYTES };
            let (taken, rest) = bytes.split_at((wanted - self.filled).min(bytes.len()));
            self.buffer[self.filled..self.filled + taken.len()].copy_from_slice(taken);
            self.filled += taken.len();
            bytes = rest;
            if self.filled == wanted {
                self.filled = 0;
                if wanted == SETTING_BYTES { self.read_setting() } else { self.read_header() }
            }
        }
    }

    fn read_header(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.buffer;
        self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.is_settings = kind == SETTINGS;
        if self.is_settings && self.payload == 0 && flags & ACK == 0 {
            self.limit.set(None);
        }
    }

    fn read_setting(&mut self) {
        let [id_high, id_low, value @ .., _, _, _] = self.buffer;
        // hyper closes a connection with a payload of another length.
        self.payload = self.payload.saturating_sub(SETTING_BYTES);
        if u16::from_be_bytes([id_high, id_low]) == MAX_CONCURRENT_STREAMS {
            self.limit.set(usize::try_from(u32::from_be_bytes(value)).ok());
        }
        if self.payload == 0 {
            self.limit.set(None);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitReader<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.frames.read(&buf.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitReader<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 0], payload].concat()
    }

    #[test]
    fn limit_is_read_from_frames_in_any_pieces() {
        let max = |value: u32| [&[0, 3], &value.to_be_bytes()[..]].concat();
        let window = [&[0, 4], &[0, 1, 0, 0][..]].concat();
        let settings = frame(SETTINGS, 0, &[window.clone(), max(128)].concat());
        // A DATA frame whose payload looks like a SETTINGS frame.
        let data = frame(0, 0, &frame(SETTINGS, 0, &max(7)));
        let later = frame(SETTINGS, 0, &max(5));
        let acknowledged = frame(SETTINGS, ACK, &[]);
        let all = [settings.clone(), acknowledged, data, frame(6, 0, &[0; 8])].concat();
        for piece in 1..=all.len() {
            let limit = Arc::new(StreamLimit::new());
            let mut reader = LimitReader::new((), Arc::clone(&limit));
            for bytes in all.chunks(piece) {
                reader.frames.read(bytes);
            }
            assert_eq!(limit.get(), 128, "in pieces of {piece} bytes");
            reader.frames.read(&later);
            assert_eq!(limit.get(), 5);
        }
        let without_limit = [frame(SETTINGS, 0, &[]), frame(SETTINGS, 0, &window)];
        for settings in without_limit {
            let limit = Arc::new(StreamLimit::new());
            LimitReader::new((), Arc::clone(&limit)).frames.read(&settings);
            assert_eq!(limit.get(), UNLIMITED);
        }
    }
}
