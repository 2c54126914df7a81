//! How the body of a response is handed over.

use bytes::Bytes;
use http::Request;

use super::server::{Server, Then};
use super::wait::Gate;
use super::{Checked, Subject, expect, get, pattern, started};

/// "unpacked", as gzip has it.
const PACKED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0xcd, 0x2b, 0x48, 0x4c, 0xce, 0x4e, 0x4d, 0x01,
    0x00, 0x96, 0x62, 0x2f, 0xca, 0x08, 0x00, 0x00, 0x00,
];

impl Subject {
    pub(super) async fn headers_first(&self) -> Checked {
        let (gate, patience) = (Gate::default(), self.patience);
        let opened = gate.clone();
        let late = Gate::default();
        let was_late = late.clone();
        let server = Server::start(move |_, peer| {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")?;
            if !opened.pass(patience) {
                was_late.open();
            }
            peer.write("later")?;
            Ok(Then::Next)
        })
        .map_err(started)?;
        let response = self.respond(get(&server.url("/"))?).await?;
        if late.is_open() {
            return Err("the head was handed over when the body had come".to_owned());
        }
        gate.open();
        expect("the body", &self.whole(response.into_body()).await?, &b"later".to_vec())
    }

    pub(super) async fn streaming(&self) -> Checked {
        let (gate, patience) = (Gate::default(), self.patience);
        let opened = gate.clone();
        let late = Gate::default();
        let was_late = late.clone();
        let server = Server::start(move |_, peer| {
            peer.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
            peer.chunk("data: 1\n\n")?;
            if !opened.pass(patience) {
                was_late.open();
            }
            peer.chunk("data: 2\n\n")?;
            peer.chunk("")?;
            Ok(Then::Next)
        })
        .map_err(started)?;
        let mut body = self.respond(get(&server.url("/"))?).await?.into_body();
        let mut first = Vec::new();
        while first.len() < 9 {
            let Some(piece) = self.piece(&mut body).await? else { return Err("the body ended early".to_owned()) };
            first.extend_from_slice(&piece);
        }
        if late.is_open() || first.len() > 9 {
            return Err("the first piece was handed over when the second had come".to_owned());
        }
        gate.open();
        expect("the second piece", &self.whole(body).await?, &b"data: 2\n\n".to_vec())
    }

    pub(super) async fn large_body(&self) -> Checked {
        let want = pattern(9_000_001);
        let bytes = want.clone();
        let server = Server::start(move |request, peer| match request.target.as_str() {
            "/known" => peer.respond("200 OK", "", &bytes),
            "/chunked" => {
                peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                bytes.chunks(65_521).try_for_each(|piece| peer.chunk(piece))?;
                peer.chunk("")?;
                Ok(Then::Next)
            }
            _ => {
                peer.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
                peer.write(&bytes)?;
                Ok(Then::Close)
            }
        })
        .map_err(started)?;
        for target in ["/known", "/chunked", "/until-the-end"] {
            let body = self.respond(get(&server.url(target))?).await?.into_body();
            let got = self.whole(body).await?;
            if got != want {
                return Err(format!("of {} bytes {} came, or they were changed ({target})", want.len(), got.len()));
            }
        }
        Ok(())
    }

    pub(super) async fn cut_body(&self) -> Checked {
        let server = Server::start(|request, peer| {
            peer.write(match request.target.as_str() {
                "/known" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":",
                _ => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n",
            })?;
            Ok(Then::Close)
        })
        .map_err(started)?;
        for target in ["/known", "/chunked"] {
            let error = self.fail(get(&server.url(target))?).await.map_err(|wrong| format!("at {target} {wrong}"))?;
            expect("whether nothing was sent", &error.is_not_sent(), &false)?;
        }
        Ok(())
    }

    pub(super) async fn empty_body(&self) -> Checked {
        let server = Server::start(|request, peer| match request.target.as_str() {
            "/204" => peer.write("HTTP/1.1 204 No Content\r\n\r\n").map(|()| Then::Next),
            "/304" => peer.write("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n").map(|()| Then::Next),
            "/200" => peer.respond("200 OK", "", ""),
            "/chunked" => {
                peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n").map(|()| Then::Next)
            }
            _ => peer.respond("200 OK", "", "next"),
        })
        .map_err(started)?;
        for (target, status) in [("/204", 204), ("/304", 304), ("/200", 200), ("/chunked", 200)] {
            let at = |wrong: String| format!("at {target} {wrong}");
            let request = Request::delete(server.url(target)).body(Bytes::new()).map_err(|error| error.to_string())?;
            let response = self.respond(request).await.map_err(at)?;
            expect("the status", &response.status().as_u16(), &status).map_err(at)?;
            expect("the body", &self.whole(response.into_body()).await.map_err(at)?, &Vec::new()).map_err(at)?;
            let next = self.respond(get(&server.url("/next"))?).await.map_err(at)?;
            expect("the body after it", &self.whole(next.into_body()).await.map_err(at)?, &b"next".to_vec())
                .map_err(at)?;
        }
        Ok(())
    }

    pub(super) async fn encoding(&self) -> Checked {
        let server = Server::start(|request, peer| {
            if request.all("accept-encoding").iter().any(|asked| asked.contains("gzip")) {
                return peer.respond("200 OK", "content-encoding: gzip\r\n", PACKED);
            }
            peer.respond("200 OK", "", "unpacked")
        })
        .map_err(started)?;
        let response = self.respond(get(&server.url("/"))?).await?;
        let still = response.headers().contains_key("content-encoding");
        let body = self.whole(response.into_body()).await?;
        expect("the body", &String::from_utf8_lossy(&body).as_ref(), &"unpacked")?;
        expect("whether the header content-encoding was left", &still, &false)
    }
}
