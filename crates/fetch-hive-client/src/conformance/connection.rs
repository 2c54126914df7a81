//! Connections: how they fail, and how they are given up.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::server::{Server, Then};
use super::wait::{Gate, pause, until, within};
use super::{Checked, Subject, expect, get, next, read, started, told};
use crate::{Timeouts, Timeout, TransportErrorKind};

/// A limit that is meant to run out.
const SHORT: Duration = Duration::from_millis(300);

/// A limit that must run out: which one, where, and how it is set.
type Row = (Timeout, &'static str, fn(&mut Timeouts));

/// A POST, which must never be sent again.
fn post(url: &str) -> Result<Request<Bytes>, String> {
    let body = Bytes::from_static(br#"{"deployment":"d"}"#);
    Request::post(url).header("content-type", "application/json").body(body).map_err(|error| error.to_string())
}

fn limited(mut request: Request<Bytes>, set: impl FnOnce(&mut Timeouts)) -> Request<Bytes> {
    let mut timeouts = Timeouts::default();
    set(&mut timeouts);
    request.extensions_mut().insert(timeouts);
    request
}

impl Subject {
    pub(super) async fn refused(&self) -> Checked {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(started)?;
        let address = listener.local_addr().map_err(started)?;
        drop(listener);
        let error = self.fail(post(&format!("http://{address}/"))?).await?;
        if error.is_not_sent() { Ok(()) } else { Err(format!("it says: {}", told(&error))) }
    }

    pub(super) async fn lost_reply(&self) -> Checked {
        let rows = [
            ("a reset", Server::resetting()),
            ("a close", Server::start(|_, _| Ok(Then::Close))),
            (
                "a close in the head",
                Server::start(|_, peer| peer.write("HTTP/1.1 200 OK\r\ncontent-").map(|()| Then::Close)),
            ),
            ("no HTTP", Server::start(|_, peer| peer.write("220 mail ESMTP\r\n").map(|()| Then::Close))),
        ];
        for (what, server) in rows {
            let server = server.map_err(started)?;
            let error = self.fail(post(&server.url("/"))?).await.map_err(|wrong| format!("after {what} {wrong}"))?;
            if error.kind() != TransportErrorKind::MayHaveRun {
                return Err(format!("after {what} it says: {}", told(&error)));
            }
        }
        Ok(())
    }

    pub(super) async fn repeats(&self) -> Checked {
        let fails = Server::start(|_, _| Ok(Then::Close)).map_err(started)?;
        let busy = Server::start(|_, peer| peer.respond("503 Service Unavailable", "retry-after: 0\r\n", ""));
        let busy = busy.map_err(started)?;
        let second = Server::start(|request, peer| match request.target.as_str() {
            "/first" => peer.respond("200 OK", "", ""),
            _ => Ok(Then::Close),
        })
        .map_err(started)?;
        // A transport without connections of its own has a response where others have an error.
        let _ = within(self.patience, self.send(post(&fails.url("/"))?)).await;
        self.respond(get(&busy.url("/"))?).await?;
        let first = self.respond(post(&second.url("/first"))?).await?;
        self.whole(first.into_body()).await?;
        let _ = within(self.patience, self.send(post(&second.url("/second"))?)).await;
        // What is sent again in the background needs a moment.
        pause(Duration::from_millis(100)).await;
        for (what, server, want) in [("that fails", &fails, 1), ("that is busy", &busy, 1), ("that closes", &second, 2)]
        {
            expect(&format!("the number of requests to a server {what}"), &server.requests().len(), &want)?;
        }
        Ok(())
    }

    pub(super) async fn connect_limit(&self) -> Checked {
        // It takes the connection and leaves the handshake of TLS unanswered.
        let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(started)?;
        let address = silent.local_addr().map_err(started)?;
        let request = limited(post(&format!("https://{address}/"))?, |timeouts| timeouts.connect = Some(SHORT));
        let error = match within(self.patience, self.send(request)).await {
            None => return Err("it did not run out".to_owned()),
            Some(Ok(_)) => return Err("there was a response".to_owned()),
            Some(Err(error)) => error,
        };
        drop(silent);
        expect("the error", &error.kind(), &TransportErrorKind::Timeout(Timeout::Connect))
    }

    pub(super) async fn drop_request(&self) -> Checked {
        let (arrived, gone) = (Gate::default(), Gate::default());
        let (is_there, left, patience) = (arrived.clone(), gone.clone(), self.patience);
        let server = Server::start(move |_, peer| {
            is_there.open();
            if peer.is_gone(patience) {
                left.open();
            }
            Ok(Then::Close)
        })
        .map_err(started)?;
        let mut sending = self.send(post(&server.url("/"))?);
        let mut asking = Box::pin(until(patience, || arrived.is_open()));
        let came = std::future::poll_fn(|cx| match sending.as_mut().poll(cx) {
            std::task::Poll::Ready(result) => std::task::Poll::Ready(Err(result.is_ok())),
            std::task::Poll::Pending => asking.as_mut().poll(cx).map(Ok),
        });
        match came.await {
            Ok(true) => {}
            Ok(false) => return Err("the request did not arrive".to_owned()),
            Err(response) => return Err(format!("there was a result before the reply (a response: {response})")),
        }
        drop(sending);
        self.given_up(&gone).await
    }

    pub(super) async fn drop_body(&self) -> Checked {
        let gone = Gate::default();
        let (left, patience) = (gone.clone(), self.patience);
        let server = Server::start(move |_, peer| {
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            peer.chunk("data: 1\n\n")?;
            if peer.is_gone(patience) {
                left.open();
            }
            Ok(Then::Close)
        })
        .map_err(started)?;
        drop(self.respond(post(&server.url("/"))?).await?);
        self.given_up(&gone).await
    }

    async fn given_up(&self, gone: &Gate) -> Checked {
        if until(self.patience, || gone.is_open()).await { Ok(()) } else { Err("it stayed open".to_owned()) }
    }

    pub(super) async fn own_limits(&self) -> Checked {
        let patience = self.patience;
        let gone = Gate::default();
        let left = gone.clone();
        let server = Server::start(move |request, peer| {
            if request.target != "/" {
                peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                peer.chunk("data: 1\n\n")?;
            }
            if request.target == "/drip" {
                // A deadline that starts anew with each piece does not run out before the body ends.
                for _ in 0..12 {
                    std::thread::sleep(SHORT / 3);
                    peer.chunk(".")?;
                }
                return peer.chunk("").map(|()| Then::Close);
            }
            if peer.is_gone(patience) {
                left.open();
            }
            Ok(Then::Close)
        })
        .map_err(started)?;
        let rows: [Row; 4] = [
            (Timeout::Headers, "/", |timeouts| timeouts.headers = Some(SHORT)),
            (Timeout::Deadline, "/", |timeouts| timeouts.deadline = Some(SHORT)),
            (Timeout::Deadline, "/body", |timeouts| timeouts.deadline = Some(SHORT)),
            (Timeout::Deadline, "/drip", |timeouts| timeouts.deadline = Some(SHORT)),
        ];
        let idle: Row = (Timeout::Idle, "/body", |timeouts| timeouts.idle = Some(SHORT));
        for (timeout, target, set) in rows.into_iter().chain(self.streams.then_some(idle)) {
            let request = limited(post(&server.url(target))?, set);
            let failing = async {
                let body = self.send(request).await?.into_body();
                read(body).await
            };
            let error = match within(patience, failing).await {
                None => return Err(format!("{timeout} ({target}) did not run out")),
                Some(Ok(_)) => return Err(format!("{timeout} ({target}) did not run out before the connection ended")),
                Some(Err(error)) => error,
            };
            expect(&format!("the error at {target}"), &error.kind(), &TransportErrorKind::Timeout(timeout))?;
        }
        self.given_up(&gone).await?;
        // A run sends nothing until it ends, and its body is slower than the limit, all in all: it is never idle.
        let slow = Server::start(|_, peer| {
            std::thread::sleep(SHORT * 2);
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            for _ in 0..6 {
                std::thread::sleep(SHORT / 3);
                peer.chunk(".")?;
            }
            peer.chunk("").map(|()| Then::Next)
        })
        .map_err(started)?;
        let request = limited(post(&slow.url("/"))?, |timeouts| timeouts.idle = Some(SHORT));
        let response = self.respond(request).await;
        let mut body =
            response.map_err(|wrong| format!("the idle limit ran out before the head: {wrong}"))?.into_body();
        let mut came = 0;
        while let Some(piece) = next(&mut body).await.map_err(|error| format!("a slow body fails: {}", told(&error)))? {
            came += piece.len();
        }
        expect("the length of a slow body", &came, &6)
    }
}
