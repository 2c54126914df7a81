//! What of a request and of a response arrives on the other side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::server::{Server, Then};
use super::wait::lock;
use super::{Checked, Subject, expect, get, pattern, started};

impl Subject {
    pub(super) async fn statuses(&self) -> Checked {
        let server = Server::start(|request, peer| {
            let status = request.target.trim_start_matches('/');
            peer.respond(&format!("{status} Some Reason"), "content-type: application/json\r\n", status)
        })
        .map_err(started)?;
        for status in
            [200, 201, 202, 206, 299, 400, 401, 402, 403, 404, 409, 410, 418, 422, 429, 499, 500, 501, 502, 503, 504]
        {
            let at = |wrong: String| format!("at {status} {wrong}");
            let response = self.respond(get(&server.url(&format!("/{status}")))?).await.map_err(at)?;
            expect("the status", &response.status().as_u16(), &status).map_err(at)?;
            let body = self.whole(response.into_body()).await.map_err(at)?;
            expect("the body", &body, &status.to_string().into_bytes()).map_err(at)?;
        }
        Ok(())
    }

    pub(super) async fn redirects(&self) -> Checked {
        let server = Server::start(|request, peer| match request.target.as_str() {
            "/followed" => peer.respond("200 OK", "", "followed"),
            target => {
                peer.respond(&format!("{} R", target.trim_start_matches('/')), "location: /followed\r\n", "moved")
            }
        })
        .map_err(started)?;
        for status in [301, 302, 303, 307, 308] {
            let request = Request::post(server.url(&format!("/{status}"))).body(Bytes::from_static(b"{}"));
            let response = self.respond(request.map_err(|error| error.to_string())?).await?;
            if server.requests().iter().any(|request| request.target == "/followed") {
                return Err(format!("the {status} was followed"));
            }
            expect("the status", &response.status().as_u16(), &status)?;
            expect(
                "whether the location is there",
                &response.headers().get_all("location").iter().any(|to| to == "/followed"),
                &true,
            )?;
        }
        Ok(())
    }

    pub(super) async fn informational(&self) -> Checked {
        let server = Server::start(|_, peer| {
            peer.write("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n")?;
            peer.respond("201 Created", "x-final: yes\r\n", "final")
        })
        .map_err(started)?;
        let response = self.respond(get(&server.url("/"))?).await?;
        expect("the status", &response.status().as_u16(), &201)?;
        expect("a header of the final response", &response.headers().contains_key("x-final"), &true)?;
        expect("the body", &self.whole(response.into_body()).await?, &b"final".to_vec())
    }

    pub(super) async fn repeated_headers(&self) -> Checked {
        let headers = "x-one: 1\r\nset-cookie: a=1\r\nX-One: 2\r\nset-cookie: b=2\r\nx-one: 3, 4\r\n";
        let server = Server::start(move |_, peer| peer.respond("200 OK", headers, "")).map_err(started)?;
        let response = self.respond(get(&server.url("/"))?).await?;
        for (name, want) in [("x-one", vec!["1", "2", "3, 4"]), ("set-cookie", vec!["a=1", "b=2"])] {
            let values = response.headers().get_all(name).iter();
            let got: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
            expect(&format!("{name} of the response"), &got, &want.into_iter().map(str::to_owned).collect())?;
        }
        Ok(())
    }

    pub(super) async fn request_head(&self) -> Checked {
        let server = Server::start(|_, peer| peer.respond("200 OK", "", "")).map_err(started)?;
        let target = "/v1/a%2Fb/%C3%A9%20/..%2F?x=1&x=2&empty=&q=a%20b+c&r=%26";
        for method in ["GET", "POST", "PATCH", "PUT", "DELETE"] {
            let body = if method == "GET" { "" } else { "{}" };
            let request = Request::builder()
                .method(method)
                .uri(server.url(target))
                .header("accept", "text/event-stream")
                .header("user-agent", "conformance/1 (x; y)")
                .header("authorization", "Bearer fhk_conformance")
                .header("content-type", "application/json")
                .header("x-one", "1")
                .header("x-one", "2, 3")
                .header("x-empty", "")
                .body(Bytes::from_static(body.as_bytes()))
                .map_err(|error| error.to_string())?;
            self.respond(request).await.map_err(|wrong| format!("at {method} {wrong}"))?;
            let Some(seen) = server.requests().pop() else { return Err("no request arrived".to_owned()) };
            expect("the method", &seen.method.as_str(), &method)?;
            expect("the path with its query", &seen.target.as_str(), &target)?;
            for (name, want) in [
                ("accept", "text/event-stream"),
                ("user-agent", "conformance/1 (x; y)"),
                ("authorization", "Bearer fhk_conformance"),
                ("content-type", "application/json"),
                ("x-empty", ""),
                ("host", &server.address().to_string()),
            ] {
                expect(&format!("{name} of the request"), &seen.all(name), &vec![want])?;
            }
            // A list in one line is the same as one header for each.
            expect("x-one of the request", &seen.all("x-one").join(", ").as_str(), &"1, 2, 3")?;
        }
        Ok(())
    }

    pub(super) async fn upload(&self) -> Checked {
        let server = Server::start(|_, peer| peer.respond("200 OK", "", "taken")).map_err(started)?;
        let every_byte: Vec<u8> = (0..=u8::MAX).collect();
        let large = pattern(3_000_001);
        for body in [Vec::new(), b"\r\n\r\n0\r\n\r\n".to_vec(), b"\xef\xbb\xbf{ } \n".to_vec(), every_byte, large] {
            let length = body.len();
            let request = Request::post(server.url("/")).header("content-type", "application/octet-stream");
            let request = request.body(Bytes::from(body.clone())).map_err(|error| error.to_string())?;
            let response = self.respond(request).await?;
            expect("the body of the response", &self.whole(response.into_body()).await?, &b"taken".to_vec())?;
            let Some(seen) = server.requests().pop() else { return Err("no request arrived".to_owned()) };
            if seen.body != body {
                return Err(format!("a body of {length} bytes arrived changed, with {} bytes", seen.body.len()));
            }
        }
        Ok(())
    }

    pub(super) async fn cookies(&self) -> Checked {
        let server = Server::start(|_, peer| peer.respond("200 OK", "set-cookie: session=1; Path=/\r\n", ""))
            .map_err(started)?;
        for _ in 0..2 {
            let response = self.respond(get(&server.url("/"))?).await?;
            self.whole(response.into_body()).await?;
        }
        match server.requests().iter().find_map(|request| request.all("cookie").first().copied().map(str::to_owned)) {
            None => Ok(()),
            Some(cookie) => Err(format!("the next request had the cookie {cookie}")),
        }
    }

    pub(super) async fn concurrency(&self) -> Checked {
        const AT_ONCE: usize = 8;
        let arrived = Arc::new((Mutex::new(0_usize), Condvar::new()));
        let (seen, patience) = (Arc::clone(&arrived), self.patience);
        let in_vain = Arc::new(AtomicBool::new(false));
        let waits_in_vain = Arc::clone(&in_vain);
        let server = Server::start(move |request, peer| {
            *lock(&seen.0) += 1;
            seen.1.notify_all();
            // Once one has waited in vain, the others need not.
            let patience = if waits_in_vain.load(Ordering::SeqCst) { Duration::ZERO } else { patience };
            let waited = seen.1.wait_timeout_while(lock(&seen.0), patience, |arrived| *arrived < AT_ONCE);
            if waited.unwrap_or_else(PoisonError::into_inner).1.timed_out() {
                waits_in_vain.store(true, Ordering::SeqCst);
            }
            peer.respond("200 OK", "", &request.target)?;
            Ok(Then::Next)
        })
        .map_err(started)?;
        let targets: Vec<_> = (0..AT_ONCE).map(|number| format!("/{number}")).collect();
        let mut calls: Vec<std::pin::Pin<Box<dyn Future<Output = Checked> + Send + '_>>> = Vec::new();
        for target in &targets {
            let request = get(&server.url(target))?;
            calls.push(Box::pin(async move {
                let response = self.respond(request).await?;
                expect("the body", &self.whole(response.into_body()).await?, &target.clone().into_bytes())
            }));
        }
        let checked = self.together(calls).await;
        if in_vain.load(Ordering::SeqCst) {
            return Err(format!("not all of {AT_ONCE} requests were under way at once"));
        }
        checked
    }
}
