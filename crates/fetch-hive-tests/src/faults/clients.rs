//! The kinds of client that the fault table covers.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use fetch_hive_client::blocking::{self, UreqTransport};
use fetch_hive_client::{BoxError, Client, ClientBuilder, Clock, Error, HyperTransport, TokioClock};
use fetch_hive_example_transports::{OnThread, ReqwestTransport};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{BODY, KEY, Operation, Row, Settings, WallClock};
use crate::stack::{Stack, stack};

/// A kind of client with its HTTP stack.
///
/// The in-process stack is not included, because most rows need a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// The async client with the hyper transport.
    Hyper,
    /// The blocking client with ureq.
    Blocking,
    /// The async client with reqwest.
    Reqwest,
    /// The async client with ureq on threads.
    Ureq,
}

impl ClientKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Hyper, Self::Blocking, Self::Reqwest, Self::Ureq];

    /// Returns the kinds that use the selected stack. The blocking client belongs to hyper, the
    /// default.
    pub fn selected() -> Vec<Self> {
        match stack() {
            Stack::Hyper => vec![Self::Hyper, Self::Blocking],
            Stack::Reqwest => vec![Self::Reqwest],
            Stack::Ureq => vec![Self::Ureq],
            Stack::InProcess => Vec::new(),
        }
    }

    /// Returns the name of the kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hyper => "async client, hyper",
            Self::Blocking => "blocking client, ureq",
            Self::Reqwest => "async client, reqwest",
            Self::Ureq => "async client, ureq on threads",
        }
    }

    /// Builds a client with the settings.
    ///
    /// # Errors
    ///
    /// Returns an error if the transport or the client cannot be built.
    pub fn build(self, settings: &Settings) -> Result<Box<dyn TestClient>, BoxError> {
        let ureq = || {
            let transport = UreqTransport::builder().no_proxy();
            match &settings.ca_pem {
                Some(pem) => transport.add_root_certificates_pem(pem.as_str()),
                None => transport,
            }
            .build()
        };
        let builder = configure(Client::builder(), settings);
        let builder = match self {
            Self::Hyper => {
                let mut transport = HyperTransport::builder().no_proxy();
                if let Some(pem) = &settings.ca_pem {
                    transport = transport.add_root_certificates_pem(pem.as_str());
                }
                builder.transport(transport.build()?)
            }
            Self::Blocking => {
                let builder = configure(blocking::Client::builder(), settings);
                return Ok(Box::new(builder.transport(ureq()?).build()?));
            }
            Self::Reqwest => builder.transport(ReqwestTransport::new(settings.connect)?),
            Self::Ureq => builder.transport(OnThread::new(ureq()?)),
        };
        Ok(Box::new(builder.build()?))
    }

    /// Returns why a row does not apply to this kind, or `None` if it does.
    pub fn lacks(self, row: &Row) -> Option<&'static str> {
        let stack = match self {
            Self::Hyper => Stack::Hyper,
            Self::Blocking | Self::Ureq => Stack::Ureq,
            Self::Reqwest => Stack::Reqwest,
        };
        stack.lacks(&row.needs)
    }
}

/// Applies all settings except the transport.
fn configure<C>(builder: ClientBuilder<C>, settings: &Settings) -> ClientBuilder<C> {
    let builder = builder
        .api_key(KEY)
        .base_url(&settings.base_url)
        .retry(settings.policy)
        .timeout(settings.deadline)
        .connect_timeout(settings.connect)
        .headers_timeout(settings.headers)
        .idle_timeout(settings.idle)
        .max_response_bytes(settings.max_response_bytes)
        .max_event_bytes(settings.max_response_bytes);
    match settings.wall_clock {
        WallClock::Correct => builder,
        WallClock::Jumps(seconds) => {
            builder.clock(JumpingClock { seconds, reads: AtomicUsize::new(0), runtime: Handle::current() })
        }
    }
}

/// A clock whose time of day jumps after the first read. Its monotonic time is correct.
struct JumpingClock {
    seconds: i64,
    reads: AtomicUsize,
    /// The runtime for timers, because the blocking client runs on a thread without one.
    runtime: Handle,
}

impl Clock for JumpingClock {
    fn wall(&self) -> SystemTime {
        let jump = Duration::from_secs(self.seconds.unsigned_abs());
        match (self.reads.fetch_add(1, Ordering::Relaxed), self.seconds) {
            (0, _) => SystemTime::now(),
            (_, ..0) => SystemTime::now() - jump,
            _ => SystemTime::now() + jump,
        }
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let _guard = self.runtime.enter();
        TokioClock.sleep(duration)
    }
}

/// A call in progress. It returns the number of attempts.
pub type CallFuture<'a> = Pin<Box<dyn Future<Output = Result<u32, Error>> + Send + 'a>>;

/// A client of any kind.
pub trait TestClient: Send + Sync {
    /// Makes one call and reads its whole response.
    fn call(&self, operation: Operation, deadline: Duration) -> CallFuture<'_>;
}

impl TestClient for Client {
    fn call(&self, operation: Operation, deadline: Duration) -> CallFuture<'_> {
        Box::pin(async move {
            match operation {
                Operation::InvokeWorkflow => Ok(self.invoke_workflow("d").input("text", BODY).await?.parts().attempts),
                Operation::ListModels => Ok(self.models().await?.parts().attempts),
                Operation::StreamPrompt => {
                    let events = self.invoke_prompt("d").input("text", BODY).timeout(deadline).stream().await?;
                    let attempts = events.attempts();
                    events.into_response().await.complete()?;
                    Ok(attempts)
                }
            }
        })
    }
}

impl TestClient for blocking::Client {
    fn call(&self, operation: Operation, deadline: Duration) -> CallFuture<'_> {
        let (client, (sender, receiver)) = (self.clone(), oneshot::channel());
        // With `spawn_blocking`, the runtime would wait for a call that hangs.
        std::thread::spawn(move || {
            // The receiver is dropped if the call took too long.
            let _ = sender.send(call_blocking(&client, operation, deadline));
        });
        Box::pin(
            async move { receiver.await.map_err(|_| fetch_hive_client::core::InvalidInput::new("call", "panicked"))? },
        )
    }
}

fn call_blocking(client: &blocking::Client, operation: Operation, deadline: Duration) -> Result<u32, Error> {
    match operation {
        Operation::InvokeWorkflow => Ok(client.invoke_workflow("d").input("text", BODY).send()?.parts().attempts),
        Operation::ListModels => Ok(client.models().send()?.parts().attempts),
        Operation::StreamPrompt => {
            let events = client.invoke_prompt("d").input("text", BODY).timeout(deadline).stream()?;
            let attempts = events.attempts();
            events.into_response()?.complete()?;
            Ok(attempts)
        }
    }
}
