//! The fault table: failures between a caller and the service over real sockets, and the result
//! that the caller gets.
//!
//! The rows are the same for every kind of client ([`ClientKind`]). A row that does not apply to a
//! kind is skipped with a reason.

mod clients;
mod rows;
mod run;
mod table;

use std::time::Duration;

use fetch_hive_client::RetryPolicy;
use fetch_hive_emulator::Fault;

use crate::stack::Need;

pub use self::clients::{CallFuture, ClientKind, TestClient};
pub use self::rows::rows;
pub use self::run::{Outcome, run};
pub use self::table::{header_line, row_line, skipped_line};

/// The API key in every row. It must not appear in any error or log line.
pub const KEY: &str = "fhk_KEYMARKER_0123456789";
/// A word in every body. It must not appear in any error or log line.
pub const BODY: &str = "BODYMARKER";

/// The operation of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A direct workflow run, which may be charged.
    InvokeWorkflow,
    /// The list of models, which only reads.
    ListModels,
    /// A prompt, streamed to its end.
    StreamPrompt,
}

impl Operation {
    /// Returns the name of the operation in the records of the emulator.
    fn name(self) -> &'static str {
        match self {
            Self::InvokeWorkflow => "invokeWorkflow",
            Self::ListModels => "listModels",
            Self::StreamPrompt => "invokePrompt",
        }
    }
}

/// The server of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The emulator, over plain HTTP.
    Http,
    /// The emulator, over HTTPS and HTTP/2.
    Https,
    /// The emulator over plain HTTP, called through an `https` URL.
    HttpCalledByHttps,
    /// A host name that does not exist.
    UnknownHost,
    /// A port without a listener.
    ClosedPort,
    /// A listener whose connection queue is full.
    FullBacklog,
    /// The emulator over plain HTTP, restarted before each further call.
    Restarting,
}

/// The behaviour of the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WallClock {
    /// The time of day is correct.
    Correct,
    /// The time of day jumps by this many seconds after it was first read.
    Jumps(i64),
}

/// A row of the table: an operation, a failure, and the result that the caller must get.
#[derive(Debug)]
pub struct Row {
    /// The failure, in plain words.
    pub name: &'static str,
    /// The operation that is called.
    pub operation: Operation,
    /// The server that is called.
    pub target: Target,
    /// The faults of the emulator.
    pub faults: Vec<Fault>,
    /// The settings of the client. The base URL is filled in.
    pub settings: Settings,
    /// The abilities of the HTTP stack that the row needs.
    pub needs: Vec<Need>,
    /// The number of calls, made one after the other. Only the last one is checked.
    pub calls: usize,
    /// The expected result.
    pub expected: Summary,
}

/// The result of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The [`Error::error_type`](fetch_hive_client::Error::error_type), or `ok`.
    pub result: &'static str,
    /// The number of attempts that the client reports.
    pub attempts: u32,
    /// Whether the error reports that the run may have started.
    pub may_have_run: bool,
    /// The number of requests for the operation that the server read.
    pub received: usize,
    /// The number of runs that the server started.
    pub runs: usize,
}

/// The settings of the client of a row.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The base URL.
    pub base_url: String,
    /// A certificate authority to trust in addition to the platform's, in PEM.
    pub ca_pem: Option<String>,
    /// The retry policy.
    pub policy: RetryPolicy,
    /// The deadline, which also applies to a stream.
    pub deadline: Duration,
    /// The connect timeout.
    pub connect: Duration,
    /// The timeout for the response head.
    pub headers: Option<Duration>,
    /// The timeout between two chunks of the response body.
    pub idle: Duration,
    /// The size limit of a response body and of an event.
    pub max_response_bytes: usize,
    /// The behaviour of the time of day.
    pub wall_clock: WallClock,
}
