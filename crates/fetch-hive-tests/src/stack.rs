//! The HTTP stack under the client in the tests.
//!
//! The environment variable `FETCH_HIVE_TEST_TRANSPORT` selects `hyper` (the default), `reqwest`,
//! `ureq` or `in-process`. Each test declares its needs with [`needs!`](crate::needs), and is
//! skipped with a reason if the selected stack does not meet them.

#![allow(clippy::panic, clippy::expect_used, reason = "test code fails by panicking")]

use std::time::Duration;

use fetch_hive_client::blocking::UreqTransport;
use fetch_hive_client::{Client, ClientBuilder, ResponseBody};
use fetch_hive_emulator::{Emulator, Handler};
use fetch_hive_example_transports::{InProcess, OnThread, ReqwestTransport};

use crate::Scripted;

/// An ability of the HTTP stack that a test may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Real connections, for a server that breaks the protocol or counts connections.
    Socket,
    /// Dropping a call or a stream ends it at once.
    Drop,
    /// A connect timeout for each call.
    ConnectTimeout,
    /// A check of each pooled connection before its use, because the server may have closed it.
    IdleCheck,
    /// Requested and decoded gzip.
    Gzip,
    /// HTTPS.
    Tls,
    /// HTTP/2.
    Http2,
    /// A size limit for response heads.
    HeadLimit,
    /// The hyper transport, because the test is about its configuration, pool or messages.
    Hyper,
}

/// An HTTP stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// The included hyper transport.
    Hyper,
    /// A transport over reqwest.
    Reqwest,
    /// A transport that runs ureq on one thread per call.
    Ureq,
    /// A function call in this process, without sockets.
    InProcess,
}

/// Returns the stack that the environment selects.
///
/// # Panics
///
/// Panics if the environment variable names an unknown stack.
pub fn stack() -> Stack {
    match std::env::var("FETCH_HIVE_TEST_TRANSPORT").as_deref() {
        Err(_) | Ok("" | "hyper") => Stack::Hyper,
        Ok("reqwest") => Stack::Reqwest,
        Ok("ureq") => Stack::Ureq,
        Ok("in-process") => Stack::InProcess,
        Ok(other) => panic!("FETCH_HIVE_TEST_TRANSPORT must be hyper, reqwest, ureq or in-process, not {other}"),
    }
}

/// Returns why the selected stack does not meet the needs of a test, or `None` if it does.
pub fn lacks(needs: &[Need]) -> Option<&'static str> {
    stack().lacks(needs)
}

impl Stack {
    /// Returns why the stack does not meet the needs of a test, or `None` if it does.
    pub fn lacks(self, needs: &[Need]) -> Option<&'static str> {
        needs.iter().find_map(|need| match (self, need) {
            (Self::Hyper, _) => None,
            (_, Need::Hyper) => Some("the test is about the hyper transport"),
            (Self::InProcess, Need::Socket) => Some("in-process has no sockets"),
            (Self::InProcess, Need::ConnectTimeout) => Some("in-process does not connect"),
            (Self::Reqwest, Need::ConnectTimeout) => Some("reqwest has one connect timeout per client"),
            (Self::Reqwest, Need::IdleCheck) => {
                Some("reqwest may reuse a closed connection, and the call then reports that it may have run")
            }
            (Self::Reqwest, Need::Gzip) => Some("reqwest is built without gzip here"),
            (Self::Reqwest, Need::Tls | Need::Http2) => Some("reqwest is built without TLS here"),
            (Self::Reqwest, Need::HeadLimit) => Some("reqwest has no setting for the size of a response head"),
            (Self::Ureq, Need::Drop) => Some("ureq on a thread cannot be cancelled; it ends at its timeouts"),
            (Self::Ureq, Need::Http2) => Some("ureq supports only HTTP/1.1"),
            _ => None,
        })
    }
}

/// A server that the client of a test can reach.
pub trait Server {
    /// Returns the base URL for the client.
    fn base_url(&self) -> String;

    /// Returns the server as a function, or `None` if it needs sockets.
    fn handler(&self) -> Option<Handler>;
}

impl Server for Emulator {
    fn base_url(&self) -> String {
        Self::base_url(self)
    }

    fn handler(&self) -> Option<Handler> {
        Some(Self::handler(self))
    }
}

impl Server for Scripted {
    fn base_url(&self) -> String {
        Self::base_url(self)
    }

    fn handler(&self) -> Option<Handler> {
        None
    }
}

impl<S: Server> Server for &S {
    fn base_url(&self) -> String {
        S::base_url(self)
    }

    fn handler(&self) -> Option<Handler> {
        S::handler(self)
    }
}

/// Creates a client builder for the server that uses the HTTP stack under test.
///
/// # Panics
///
/// Panics if the stack cannot reach the server. The test must then declare that it needs a socket.
pub fn client(server: &impl Server) -> ClientBuilder {
    let builder = with_transport(Client::builder().api_key("fhk_test").base_url(server.base_url()));
    if stack() != Stack::InProcess {
        return builder;
    }
    let handler = server.handler().expect("the test must declare that it needs a socket");
    builder.transport(InProcess(move |request| {
        let handler = handler.clone();
        async move {
            let Some(response) = handler.handle(request).await else {
                let mut broken = http::Response::new(ResponseBody::whole("the emulator closed the connection"));
                *broken.status_mut() = http::StatusCode::BAD_GATEWAY;
                return broken;
            };
            response.map(|body| ResponseBody::streaming(Box::pin(body)))
        }
    }))
}

/// Sets the transport of the selected stack. For `in-process`, use [`client`] instead.
///
/// # Panics
///
/// Panics if the transport cannot be built.
pub fn with_transport(builder: ClientBuilder) -> ClientBuilder {
    match stack() {
        Stack::Hyper | Stack::InProcess => builder,
        Stack::Reqwest => builder.transport(ReqwestTransport::new(Duration::from_secs(10)).expect("reqwest")),
        Stack::Ureq => builder.transport(OnThread::new(UreqTransport::builder().build().expect("ureq"))),
    }
}

/// Declares the needs of a test. If the selected stack does not meet them, the test returns here.
#[macro_export]
macro_rules! needs {
    ($($need:ident),*) => {
        if let Some(reason) = $crate::stack::lacks(&[$($crate::stack::Need::$need),*]) {
            println!("SKIPPED {}: {reason}", std::thread::current().name().unwrap_or_default());
            return;
        }
    };
}
