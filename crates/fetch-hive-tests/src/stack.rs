//! The HTTP stack that the tests of the client run over: `FETCH_HIVE_TEST_TRANSPORT` is `hyper` (the default), `reqwest`, `ureq` or
//! `in-process`. Each test names what it needs of a stack, and is skipped, with the reason, over one that has it not.

#![allow(clippy::panic, clippy::expect_used, reason = "it is part of tests")]

use std::time::Duration;

use fetch_hive_client::blocking::UreqTransport;
use fetch_hive_client::{Client, ClientBuilder, ResponseBody};
use fetch_hive_emulator::{Emulator, Handler};
use fetch_hive_example_transports::{InProcess, OnThread, ReqwestTransport};

use crate::Scripted;

/// What a test may need of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A socket: a server that breaks the protocol, or connections to count.
    Socket,
    /// A dropped call, or stream, ends at once.
    Drop,
    /// A limit for connecting, set for each call.
    ConnectLimit,
    /// A kept connection is looked at before it is used: its end may have come while nobody read.
    LastLook,
    /// gzip, asked for and undone.
    Gzip,
    /// https.
    Tls,
    /// HTTP/2.
    Http2,
    /// A limit for the size of a reply's head.
    HeadLimit,
    /// The hyper transport itself: its configuration, pool or messages are what is tested.
    Hyper,
}

/// A stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// The transport that is included.
    Hyper,
    /// reqwest.
    Reqwest,
    /// ureq, on a thread for each call.
    Ureq,
    /// A function that answers, and no socket.
    InProcess,
}

/// The stack that is asked for.
///
/// # Panics
///
/// When it is none of these.
pub fn stack() -> Stack {
    match std::env::var("FETCH_HIVE_TEST_TRANSPORT").as_deref() {
        Err(_) | Ok("" | "hyper") => Stack::Hyper,
        Ok("reqwest") => Stack::Reqwest,
        Ok("ureq") => Stack::Ureq,
        Ok("in-process") => Stack::InProcess,
        Ok(other) => panic!("FETCH_HIVE_TEST_TRANSPORT is hyper, reqwest, ureq or in-process, and not {other}"),
    }
}

/// Why the stack that is asked for has not what a test needs.
pub fn lacks(needs: &[Need]) -> Option<&'static str> {
    stack().lacks(needs)
}

impl Stack {
    /// Why it has not what is needed.
    pub fn lacks(self, needs: &[Need]) -> Option<&'static str> {
        needs.iter().find_map(|need| match (self, need) {
            (Self::Hyper, _) => None,
            (_, Need::Hyper) => Some("it is a test of the hyper transport itself"),
            (Self::InProcess, Need::Socket) => Some("in-process has no socket"),
            (Self::InProcess, Need::ConnectLimit) => Some("in-process does not connect"),
            (Self::Reqwest, Need::ConnectLimit) => Some("reqwest has one connect limit for a whole client"),
            (Self::Reqwest, Need::LastLook) => {
                Some("reqwest may take a kept connection whose end has come; the call then says that it may have run")
            }
            (Self::Reqwest, Need::Gzip) => Some("reqwest is set up without gzip here"),
            (Self::Reqwest, Need::Tls | Need::Http2) => Some("reqwest is set up without TLS here"),
            (Self::Reqwest, Need::HeadLimit) => Some("reqwest takes a head of any size that hyper takes by default"),
            (Self::Ureq, Need::Drop) => Some("ureq on a thread cannot be ended from outside; it ends at its limits"),
            (Self::Ureq, Need::Http2) => Some("ureq speaks HTTP/1.1 only"),
            _ => None,
        })
    }
}

/// What a client of a test talks to.
pub trait Server {
    /// Where it is.
    fn base_url(&self) -> String;

    /// It, without a socket.
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

/// A client of a server, over the stack that is asked for.
///
/// # Panics
///
/// Where the stack cannot reach the server: the test must say that it needs a socket.
pub fn client(server: &impl Server) -> ClientBuilder {
    let builder = over(Client::builder().api_key("fhk_test").base_url(server.base_url()));
    if stack() != Stack::InProcess {
        return builder;
    }
    let handler = server.handler().expect("the test says that it needs a socket");
    builder.transport(InProcess(move |request| {
        let handler = handler.clone();
        async move {
            let Some(response) = handler.handle(request).await else {
                let mut broken = http::Response::new(ResponseBody::whole("a connection would have been broken"));
                *broken.status_mut() = http::StatusCode::BAD_GATEWAY;
                return broken;
            };
            response.map(|body| ResponseBody::streaming(Box::pin(body)))
        }
    }))
}

/// A client that is being put together, over the stack that is asked for; for in-process there must be a server.
///
/// # Panics
///
/// When a stack cannot be set up.
pub fn over(builder: ClientBuilder) -> ClientBuilder {
    match stack() {
        Stack::Hyper | Stack::InProcess => builder,
        Stack::Reqwest => builder.transport(ReqwestTransport::new(Duration::from_secs(10)).expect("reqwest")),
        Stack::Ureq => builder.transport(OnThread::new(UreqTransport::builder().build().expect("ureq"))),
    }
}

/// Names what a test needs; over a stack that has it not, the test ends here.
#[macro_export]
macro_rules! needs {
    ($($need:ident),*) => {
        if let Some(why) = $crate::stack::lacks(&[$($crate::stack::Need::$need),*]) {
            println!("SKIPPED {}: {why}", std::thread::current().name().unwrap_or_default());
            return;
        }
    };
}
