use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use fetch_hive_core::retry::RetryPolicy;
use fetch_hive_core::stream::{Streaming, StreamingEndpoint};
use fetch_hive_core::types::{
    AgentAsyncOptions, AgentAttachment, AgentMessage, ArtifactRef, BudgetPolicy, HiveAgentSources, InvokeAgent,
    InvokeHiveAgent, InvokePrompt, InvokeWorkflow, MetadataValue, ThreadId, ToolApproval, TriggerAgent, TriggerPrompt,
    TriggerWorkflow,
};
use fetch_hive_core::{Auth, Endpoint, InvalidInput, Timeouts, Operation, ApiResponse, SecretInQuery};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;

use crate::error::PartialResponse;
use crate::exchange::{Done, Needs, exchange};
use crate::stream::Sent;
use crate::{Client, Error, ErrorKind, EventStream, UsageReport};

/// A call that is being put together. Nothing is sent until it is awaited; dropping the awaited future ends the call.
///
/// What belongs to the request is set by the methods of the request, here or on the request itself; what belongs to this one call, such
/// as its [`timeout`](Call::timeout), is set here.
#[must_use = "a call does nothing until it is awaited"]
pub struct Call<E, C = Client> {
    client: Client,
    kind: PhantomData<fn() -> C>,
    request: E,
    timeouts: Timeouts,
    /// Whether the deadline was set for this call: a stream has none otherwise.
    deadline_is_own: bool,
    policy: RetryPolicy,
    headers: HeaderMap,
    invalid: Option<InvalidInput>,
}

impl<E, C> Call<E, C> {
    pub(crate) fn new(client: Client, request: E) -> Self {
        let (timeouts, policy) = (client.shared.timeouts, client.shared.policy);
        Self {
            client,
            kind: PhantomData,
            request,
            timeouts,
            deadline_is_own: false,
            policy,
            headers: HeaderMap::new(),
            invalid: None,
        }
    }

    /// The deadline of this call, attempts and waits included; `None` for none. A stream has no deadline unless it is set here; then it
    /// is that of the whole stream.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.deadline = timeout.into();
        self.deadline_is_own = true;
        self
    }

    /// The limit for making a connection, in this call.
    pub fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.connect = timeout.into();
        self
    }

    /// The limit until the head of the reply is in, in each attempt of this call.
    pub fn headers_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.headers = timeout.into();
        self
    }

    /// The limit between two pieces of the reply's body, in this call.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.idle = timeout.into();
        self
    }

    /// How often, and after which waits, this call is repeated.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sends a further header. One that the client sets itself is replaced.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value.as_ref())) {
            self.headers.insert(name, value);
        } else {
            let invalid = || InvalidInput::new("header", "has a name or a value that a header cannot have");
            self.invalid.get_or_insert_with(invalid);
        }
        self
    }

    /// Sets the deadline to this, unless it is shorter.
    pub(crate) fn no_longer_than(self, timeout: Duration) -> Self {
        let own = self.timeouts.deadline;
        self.timeout(own.map_or(timeout, |own| own.min(timeout)))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The request as it stands.
    pub fn request(&self) -> &E {
        &self.request
    }

    /// Changes the request as a whole.
    pub fn map(self, change: impl FnOnce(E) -> E) -> Self {
        self.wrap(change)
    }

    fn wrap<W>(self, wrapper: impl FnOnce(E) -> W) -> Call<W, C> {
        let Self { client, kind, request, timeouts, deadline_is_own, policy, headers, invalid } = self;
        Call { client, kind, request: wrapper(request), timeouts, deadline_is_own, policy, headers, invalid }
    }
}

impl<E: Endpoint, C> Call<E, C> {
    /// Sends `endpoint`, which is the request or a wrapper around it, as this call says.
    async fn exchange<W: Endpoint>(&self, endpoint: &W, timeouts: Timeouts, stream: bool) -> Result<Done, Error> {
        if let Some(invalid) = &self.invalid {
            return Err(Error::from_core(W::NAME, invalid.clone().into()));
        }
        let operation = Operation::of::<W>();
        if operation.occupies_run_slot && self.client.shared.places.is_some() {
            // What is wrong is said before the call stands in line.
            endpoint.validate().map_err(|invalid| Error::from_core(W::NAME, invalid.into()))?;
        }
        let build = |key: Option<&_>| {
            let mut built = self.client.shared.api.request_with(endpoint, key)?;
            for (name, value) in &self.headers {
                built.headers_mut().insert(name, value.clone());
            }
            Ok(built)
        };
        let needs = Needs { key: matches!(endpoint.auth(), Auth::ApiKey), stream };
        exchange(&self.client.shared, &operation, timeouts, self.policy, needs, &build).await
    }
}

impl<E: Endpoint + 'static, C> Call<E, C> {
    /// The reply, whichever kind of client the call is of.
    pub(crate) async fn reply(self) -> Result<ApiResponse<E::Response>, Error> {
        let done = self.exchange(&self.request, self.timeouts, false).await?;
        let reply = fetch_hive_core::parse_response::<E>(done.response)
            .map_err(|error| Error::from_core(E::NAME, error).with_attempts(done.attempts, done.waited))?;
        let hook = self.client.shared.usage.as_ref();
        if let (Some(hook), Some(usage), Some(target)) = (hook, E::usage(&reply), self.request.target()) {
            hook(UsageReport { operation: E::NAME, target, usage });
        }
        Ok(reply.with_attempts(done.attempts, done.waited))
    }
}

impl<E: Endpoint + 'static> IntoFuture for Call<E> {
    type Output = Result<ApiResponse<E::Response>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.reply())
    }
}

impl<E: StreamingEndpoint + Clone + 'static> Call<E> {
    /// Sends the call and returns when the head of the reply is in: the events follow as they arrive.
    ///
    /// Dropping the stream ends it, and closes its connection (HTTP/1.1) or resets it (HTTP/2).
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), fetch_hive_client::Error> {
    /// use fetch_hive_client::types::StreamEvent;
    ///
    /// let mut events = client.invoke_agent("agent", "hi").stream().await?;
    /// while let Some(event) = events.next().await {
    ///     match &*event? {
    ///         StreamEvent::Response(piece) => print!("{}", piece.response),
    ///         StreamEvent::Usage(end) => println!("\n{:?}", end.usage),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As any call, body of the refusal included; [`ErrorKind::NotAStream`](crate::ErrorKind::NotAStream) when the success that comes is no event
    /// stream.
    pub async fn stream(self) -> Result<EventStream<E>, Error> {
        self.open().await
    }
}

impl<E: StreamingEndpoint + Clone + 'static, C> Call<E, C> {
    /// The stream, whichever kind of client the call is of.
    pub(crate) async fn open(self) -> Result<EventStream<E>, Error> {
        let mut timeouts = self.timeouts;
        if !self.deadline_is_own {
            timeouts.deadline = None;
        }
        let began = self.client.shared.clock.now();
        let done = self.exchange(&Streaming(self.request.clone()), timeouts, true).await?;
        let (parts, body) = done.response.into_parts();
        let Some(open) = done.open else {
            let received = body.len() as u64;
            let partial = PartialResponse { status: parts.status, headers: parts.headers, body, received };
            return Err(Error::new(E::NAME, ErrorKind::NotAStream)
                .with_partial(Some(partial))
                .with_attempts(done.attempts, done.waited));
        };
        timeouts.deadline = timeouts
            .deadline
            .map(|deadline| deadline.saturating_sub(self.client.shared.clock.now().saturating_duration_since(began)));
        let sent = Sent { span: done.span, place: done.place, attempts: done.attempts, waited: done.waited };
        Ok(EventStream::new(self.client, &self.request, timeouts, parts, open, sent))
    }
}

impl<E: fmt::Debug, C> fmt::Debug for Call<E, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("request", &self.request).field("timeouts", &self.timeouts).finish_non_exhaustive()
    }
}

macro_rules! triggers {
    ($($trigger:ident)+) => {$(
        impl<C> Call<$trigger, C> {
            /// Puts the secret into the URL instead of a header, as `?secret=`, for a proxy that lets no such header through.
            ///
            /// **A secret in a URL leaks**: servers and proxies write URLs to their logs, and whoever reads those can start runs and sign
            /// callbacks. Nothing that this crate prints shows it.
            pub fn secret_in_query(self) -> Call<SecretInQuery<$trigger>, C> {
                self.wrap(SecretInQuery)
            }
        }
    )+};
}

triggers!(TriggerWorkflow TriggerPrompt TriggerAgent);

/// Gives a call the setters of its request.
macro_rules! setters {
    ($request:ident { $($name:ident($($arg:ident: $type:ty),*);)+ }) => {
        #[doc = concat!("The setters of [`", stringify!($request), "`].")]
        impl<C> Call<$request, C> {
            $(
                #[doc = concat!("See [`", stringify!($request), "::", stringify!($name), "`].")]
                pub fn $name(self, $($arg: $type),*) -> Self {
                    self.map(|request| request.$name($($arg),*))
                }
            )+
        }
    };
}

setters!(InvokeWorkflow {
    variant(variant: impl Into<String>);
    input(name: impl Into<String>, value: impl Serialize);
    inputs(inputs: impl Serialize);
    callback_url(url: impl Into<String>);
    user(user: impl Into<String>);
    metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: fmt::Display>);
    tool_approval(mode: impl Into<ToolApproval>);
    extra(name: impl Into<String>, value: impl Into<Value>);
});

setters!(InvokePrompt {
    variant(variant: impl Into<String>);
    input(name: impl Into<String>, value: impl Serialize);
    inputs(inputs: impl Serialize);
    user(user: impl Into<String>);
    metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: fmt::Display>);
    extra(name: impl Into<String>, value: impl Into<Value>);
});

setters!(InvokeAgent {
    thread_id(thread: impl Into<ThreadId>);
    messages(messages: impl IntoIterator<Item: Into<AgentMessage>>);
    attachments(attachments: impl IntoIterator<Item: Into<AgentAttachment>>);
    known_artifact_refs(artifacts: impl IntoIterator<Item: Into<ArtifactRef>>);
    artifact_refs(artifacts: impl IntoIterator<Item: Into<ArtifactRef>>);
    async_mode(mode: impl Into<AgentAsyncOptions>);
    tool_approval(mode: impl Into<ToolApproval>);
    user(user: impl Into<String>);
    metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: fmt::Display>);
    extra(name: impl Into<String>, value: impl Into<Value>);
});

setters!(InvokeHiveAgent {
    sources(sources: impl Into<HiveAgentSources>);
    metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: fmt::Display>);
    unattended(unattended: bool);
    budget_policy(policy: impl Into<BudgetPolicy>);
    extra(name: impl Into<String>, value: impl Into<Value>);
});
