//! The kinds of client that the fault table runs over.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use fetch_hive_client::blocking::{self, UreqTransport};
use fetch_hive_client::{BoxError, Client, ClientBuilder, Clock, Error, HyperTransport, TokioClock};
use fetch_hive_example_transports::{OnThread, ReqwestTransport};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::{BODY, KEY, Row, Setting, Wall, What};
use crate::stack::{Stack, stack};

/// A kind of client, with its HTTP stack. In-process is none: it has no socket, and nearly all that goes wrong here goes wrong in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The async client with the transport that is included.
    Hyper,
    /// The blocking client with ureq.
    Blocking,
    /// The async client over reqwest.
    Reqwest,
    /// The async client over ureq on threads.
    Ureq,
}

impl Over {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hyper, Self::Blocking, Self::Reqwest, Self::Ureq];

    /// The kinds of client with the stack that is asked for: see [`stack`](crate::stack). The blocking client goes with hyper, the default.
    pub fn asked_for() -> Vec<Self> {
        match stack() {
            Stack::Hyper => vec![Self::Hyper, Self::Blocking],
            Stack::Reqwest => vec![Self::Reqwest],
            Stack::Ureq => vec![Self::Ureq],
            Stack::InProcess => Vec::new(),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hyper => "the client, hyper",
            Self::Blocking => "the blocking client, ureq",
            Self::Reqwest => "the client, reqwest",
            Self::Ureq => "the client, ureq on threads",
        }
    }

    /// The client of a row.
    ///
    /// # Errors
    ///
    /// When it cannot be built.
    pub fn client(self, setting: &Setting) -> Result<Box<dyn Calls>, BoxError> {
        let ureq = || {
            let transport = UreqTransport::builder().no_proxy();
            match &setting.ca_pem {
                Some(pem) => transport.root_certificates_pem(pem.as_str()),
                None => transport,
            }
            .build()
        };
        let builder = set(Client::builder(), setting);
        let builder = match self {
            Self::Hyper => {
                let mut transport = HyperTransport::builder().no_proxy();
                if let Some(pem) = &setting.ca_pem {
                    transport = transport.add_root_certificates_pem(pem.as_str());
                }
                builder.transport(transport.build()?)
            }
            Self::Blocking => {
                let builder = set(blocking::Client::builder(), setting);
                return Ok(Box::new(builder.transport(ureq()?).build()?));
            }
            Self::Reqwest => builder.transport(ReqwestTransport::new(setting.connect)?),
            Self::Ureq => builder.transport(OnThread::new(ureq()?)),
        };
        Ok(Box::new(builder.build()?))
    }

    /// Why a row cannot apply, if it cannot.
    pub fn lacks(self, row: &Row) -> Option<&'static str> {
        let stack = match self {
            Self::Hyper => Stack::Hyper,
            Self::Blocking | Self::Ureq => Stack::Ureq,
            Self::Reqwest => Stack::Reqwest,
        };
        stack.lacks(&row.needs)
    }
}

/// Everything but the transport.
fn set<C>(builder: ClientBuilder<C>, setting: &Setting) -> ClientBuilder<C> {
    let builder = builder
        .api_key(KEY)
        .base_url(&setting.base_url)
        .retry(setting.policy)
        .timeout(setting.deadline)
        .connect_timeout(setting.connect)
        .headers_timeout(setting.headers)
        .idle_timeout(setting.idle)
        .max_response_bytes(setting.max_response_bytes)
        .max_event_bytes(setting.max_response_bytes);
    match setting.wall {
        Wall::Right => builder,
        Wall::Jumps(seconds) => {
            builder.clock(Jumping { seconds, asked: AtomicUsize::new(0), timers: Handle::current() })
        }
    }
}

/// A clock whose time of day jumps, and whose monotonic time does not.
struct Jumping {
    seconds: i64,
    asked: AtomicUsize,
    /// The blocking client calls on a thread that knows no timers.
    timers: Handle,
}

impl Clock for Jumping {
    fn wall(&self) -> SystemTime {
        let jump = Duration::from_secs(self.seconds.unsigned_abs());
        match (self.asked.fetch_add(1, Ordering::Relaxed), self.seconds) {
            (0, _) => SystemTime::now(),
            (_, ..0) => SystemTime::now() - jump,
            _ => SystemTime::now() + jump,
        }
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let _entered = self.timers.enter();
        TokioClock.sleep(duration)
    }
}

/// A call under way: how often the request was sent, if all went well.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<u32, Error>> + Send + 'a>>;

/// A client of any kind.
pub trait Calls: Send + Sync {
    /// Makes one call, to its end.
    fn call(&self, what: What, deadline: Duration) -> Calling<'_>;
}

impl Calls for Client {
    fn call(&self, what: What, deadline: Duration) -> Calling<'_> {
        Box::pin(async move {
            match what {
                What::Invoke => Ok(self.invoke_workflow("d").input("text", BODY).await?.parts().attempts),
                What::List => Ok(self.models().await?.parts().attempts),
                What::Stream => {
                    let events = self.invoke_prompt("d").input("text", BODY).timeout(deadline).stream().await?;
                    let attempts = events.attempts();
                    events.into_reply().await.complete()?;
                    Ok(attempts)
                }
            }
        })
    }
}

impl Calls for blocking::Client {
    fn call(&self, what: What, deadline: Duration) -> Calling<'_> {
        let (client, (said, says)) = (self.clone(), oneshot::channel());
        // Not by `spawn_blocking`: a runtime would wait for a call that hangs.
        std::thread::spawn(move || {
            // The one that asks may have given it up.
            let _ = said.send(block(&client, what, deadline));
        });
        Box::pin(async move { says.await.map_err(|_| fetch_hive_client::core::InvalidInput::new("call", "panicked"))? })
    }
}

fn block(client: &blocking::Client, what: What, deadline: Duration) -> Result<u32, Error> {
    match what {
        What::Invoke => Ok(client.invoke_workflow("d").input("text", BODY).send()?.parts().attempts),
        What::List => Ok(client.models().send()?.parts().attempts),
        What::Stream => {
            let events = client.invoke_prompt("d").input("text", BODY).timeout(deadline).stream()?;
            let attempts = events.attempts();
            events.into_reply()?.complete()?;
            Ok(attempts)
        }
    }
}
