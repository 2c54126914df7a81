//! A request that is being answered: told to the logger, and kept for the page, without keys and secrets.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;

#[cfg(feature = "page")]
use crate::exchange::Exchange;
use crate::record::RecordedRequest;
use crate::reply::{Body, Broken, Reply};
use crate::service::Service;

/// A request that is being answered.
pub(crate) struct Seen {
    service: Arc<Service>,
    /// Its number among those that the page shows; 0 where it shows none.
    #[cfg(feature = "page")]
    number: u64,
    began: Instant,
    line: String,
    status: Option<u16>,
    pieces: usize,
    ended: Option<&'static str>,
}

impl Seen {
    /// Notes a request, where someone looks.
    pub(crate) fn begin(service: &Arc<Service>, request: &RecordedRequest) -> Option<Self> {
        #[cfg(feature = "page")]
        let number = if service.page { service.exchanges.push(Exchange::new(request)) } else { 0 };
        #[cfg(feature = "page")]
        let is_kept = service.page;
        #[cfg(not(feature = "page"))]
        let is_kept = false;
        (is_kept || service.logger.is_some()).then(|| Self {
            service: Arc::clone(service),
            #[cfg(feature = "page")]
            number,
            began: Instant::now(),
            line: format!("{} {}", request.method, masked(&request.path)),
            status: None,
            pieces: 0,
            ended: None,
        })
    }

    /// The same reply, which is noted as it goes.
    pub(crate) fn reply(mut self, reply: Reply) -> Reply {
        let (parts, body) = reply.into_parts();
        self.status = Some(parts.status.as_u16());
        // A body without anything in it is not asked for more.
        self.ended = http_body::Body::is_end_stream(&body).then_some("complete");
        #[cfg(feature = "page")]
        self.service.exchanges.change(self.number, |exchange| exchange.answered(&parts));
        Reply::from_parts(parts, Noted { body, seen: self }.boxed_unsync())
    }

    fn piece(&mut self, piece: &Bytes) {
        self.pieces += usize::from(!piece.is_empty());
        #[cfg(feature = "page")]
        self.service.exchanges.change(self.number, |exchange| exchange.sent(self.began.elapsed(), piece));
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        let took = self.began.elapsed();
        let ended = self.ended.unwrap_or(if self.status.is_some() { "hung up" } else { "no reply" });
        #[cfg(feature = "page")]
        self.service.exchanges.change(self.number, |exchange| exchange.ended(took, ended));
        self.service.log(|| {
            let status = self.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let pieces = if self.pieces > 1 { format!(", {} pieces", self.pieces) } else { String::new() };
            format!("{} {status} {} ms{pieces}, {ended}", self.line, took.as_millis())
        });
    }
}

/// A body that is noted as it goes.
struct Noted {
    body: Body,
    seen: Seen,
}

impl http_body::Body for Noted {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    self.seen.piece(piece);
                }
            }
            Some(Err(_)) => self.seen.ended = Some("broken off"),
            None => self.seen.ended = Some("complete"),
        }
        // The server does not ask again for what it knows to be over.
        if self.body.is_end_stream() {
            self.seen.ended.get_or_insert("complete");
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

pub(crate) const MASK: &str = "••••••";

/// A text without what looks like a key or a secret: after these marks, up to where a word ends.
pub(crate) fn masked(text: &str) -> String {
    let mut left = text;
    let mut masked = String::with_capacity(text.len());
    let marks = ["fhk_", "whsec_", "\"webhook_secret\":\"", "\"webhook_secret\": \"", "secret="];
    while let Some((at, mark)) =
        marks.iter().filter_map(|mark| left.find(mark).map(|at| (at, *mark))).min_by_key(|(at, _)| *at)
    {
        let (before, after) = left.split_at(at + mark.len());
        masked.push_str(before);
        masked.push_str(MASK);
        let ends = |c: char| matches!(c, '"' | '&' | '\'' | '\\' | '<' | ',') || c.is_whitespace();
        left = &after[after.find(ends).unwrap_or(after.len())..];
    }
    masked + left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_secrets_are_masked_wherever_they_stand() {
        for (text, shown) in [
            ("Bearer fhk_abc def", "Bearer fhk_•••••• def"),
            ("{\"webhook_secret\":\"s3cret!\",\"a\":1}", "{\"webhook_secret\":\"••••••\",\"a\":1}"),
            ("{\"x\":\"whsec_1\",\"y\":\"fhk_2\"}", "{\"x\":\"whsec_••••••\",\"y\":\"fhk_••••••\"}"),
            ("/v1/agent/webhooks/a?secret=abc&b=1", "/v1/agent/webhooks/a?secret=••••••&b=1"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
