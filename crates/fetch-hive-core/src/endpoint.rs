use bytes::Bytes;
use fetch_hive_types::{Extra, TokenUsage, WebhookSecret};
use http::{HeaderValue, Method};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};

use crate::{InvalidInput, PathWriter, QueryWriter};

/// One operation of the API. The request struct *is* the endpoint: its value says where the request goes and what it carries.
///
/// An implementor writes only what differs from the defaults. Authentication, the status check and the parsing of errors are
/// the same for every operation and are no part of this trait.
///
/// ```
/// use fetch_hive_core::{Endpoint, InvalidInput, PathWriter, Retry};
/// use http::Method;
///
/// struct GetAgentName { workspace_id: String, id: String }
///
/// impl Endpoint for GetAgentName {
///     type Response = serde_json::Value;
///     const NAME: &'static str = "getAgentName";
///     const METHOD: Method = Method::GET;
///     const PATH: &'static str = "/public/workspaces/{workspace_id}/agents/{id}/name";
///     const RETRY: Retry = Retry::Idempotent;
///
///     fn path(&self, path: &mut PathWriter) {
///         path.id(&self.workspace_id).id(&self.id);
///     }
/// }
/// ```
pub trait Endpoint: Send + Sync {
    /// What a successful reply holds.
    type Response: DeserializeOwned + Send + 'static;

    /// The operation's name in the contract, such as `invokeWorkflow`; in errors and traces.
    const NAME: &'static str;

    /// The HTTP method.
    const METHOD: Method;

    /// The path below the base URL, with a `{name}` for each identifier that [`path`](Endpoint::path) fills.
    const PATH: &'static str;

    /// When the operation may be sent again. Declared, never guessed from the method: a POST search is safe, an invoke is not.
    const RETRY: Retry;

    /// Whether it is answered when a run has ended, and so takes one of the plan's places for runs at a time as long as it lasts.
    const OCCUPIES_RUN_SLOT: bool = false;

    /// The key under which the reply wraps the response, such as `agent` in `{"agent": {…}}`. A reply without that key is read
    /// as the response itself.
    const ENVELOPE: Option<&'static str> = None;

    /// Whether a success may come without a body, which is then read as `{}`. Where a result is expected, an empty body is an error.
    const ALLOWS_EMPTY_BODY: bool = false;

    /// The media type that the reply should have.
    const ACCEPT: &'static str = "application/json";

    /// Checks what the contract states of the request, before anything is sent.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`], which names the field.
    fn validate(&self) -> Result<(), InvalidInput> {
        Ok(())
    }

    /// Fills the placeholders of [`PATH`](Endpoint::PATH).
    fn path(&self, _path: &mut PathWriter) {}

    /// Writes the query.
    fn query(&self, _query: &mut QueryWriter) {}

    /// The body.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] when the body cannot be written.
    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::none())
    }

    /// How the request authenticates.
    fn auth(&self) -> Auth<'_> {
        Auth::Key
    }

    /// What is run: the deployment or the agent. For hooks and traces.
    fn target(&self) -> Option<&str> {
        None
    }

    /// The tokens that a response says were spent.
    fn usage(_response: &Self::Response) -> Option<&TokenUsage> {
        None
    }
}

/// When an operation may be sent again by the [call engine](crate::engine) (contract, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Repeating it does no harm: it reads, or its effect is the same once and twice.
    Idempotent,
    /// It may be charged, or act, each time: it is sent again only when the first one surely did not start.
    OnlyIfNotSent,
}

/// How a request authenticates (contract, section 1).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Auth<'a> {
    /// With the API key, as a bearer token.
    Key,
    /// Not at all; no key is sent.
    None,
    /// With a webhook secret in `X-Fetch-Hive-Webhook-Secret`, and no key.
    WebhookSecret(&'a WebhookSecret),
}

/// The body of a request, always whole, so that an attempt can be repeated.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) bytes: Bytes,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({:?}, {} bytes)", self.content_type, self.bytes.len())
    }
}

impl Body {
    /// No body, and no content type.
    pub fn none() -> Self {
        Self { content_type: None, bytes: Bytes::new() }
    }

    /// Bytes of any content type.
    pub fn new(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        Self { content_type: Some(content_type), bytes: bytes.into() }
    }

    /// A value as JSON.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `body` when the value cannot be serialised.
    pub fn json(value: &impl Serialize) -> Result<Self, InvalidInput> {
        json_text(value).map(Self::json_from)
    }

    fn json_from(text: Vec<u8>) -> Self {
        Self::new(HeaderValue::from_static("application/json"), text)
    }

    /// The object `{}`: what the official SDKs send where an action takes no arguments.
    pub(crate) fn empty_object() -> Self {
        Self::json_from(b"{}".to_vec())
    }

    /// A request whose `extra` fields are flattened into it.
    ///
    /// # Errors
    ///
    /// As [`Body::json`]; also when an extra field has the name of a field that the request writes itself: two fields of one name
    /// would leave it to the service which one counts.
    pub fn json_with_extra(value: &impl Serialize, extra: &Extra) -> Result<Self, InvalidInput> {
        let text = json_text(value)?;
        no_key_twice(&text, extra)?;
        Ok(Self::json_from(text))
    }

    /// As [`json_with_extra`](Body::json_with_extra), with the flag `streaming` added.
    pub(crate) fn json_streaming(value: &impl Serialize, extra: &Extra, on: bool) -> Result<Self, InvalidInput> {
        let mut text = json_text(value)?;
        let separator = if text.len() > 2 { "," } else { "" };
        text.pop();
        text.extend_from_slice(format!("{separator}\"streaming\":{on}}}").as_bytes());
        no_key_twice(&text, extra)?;
        Ok(Self::json_from(text))
    }

    /// As [`json_with_extra`](Body::json_with_extra), wrapped in an object under one key.
    pub(crate) fn json_in(key: &'static str, value: &impl Serialize, extra: &Extra) -> Result<Self, InvalidInput> {
        let text = json_text(value)?;
        no_key_twice(&text, extra)?;
        let mut wrapped = format!("{{\"{key}\":").into_bytes();
        wrapped.extend_from_slice(&text);
        wrapped.push(b'}');
        Ok(Self::json_from(wrapped))
    }
}

fn json_text(value: &impl Serialize) -> Result<Vec<u8>, InvalidInput> {
    serde_json::to_vec(value).map_err(|error| InvalidInput::new("body", error.to_string()))
}

fn no_key_twice(text: &[u8], extra: &Extra) -> Result<(), InvalidInput> {
    match if extra.is_empty() { None } else { repeated_key(text) } {
        Some(name) => Err(InvalidInput::new(name, "is set twice: by its own field and as an extra field")),
        None => Ok(()),
    }
}

/// The first key that a JSON object holds twice.
fn repeated_key(text: &[u8]) -> Option<String> {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = Option<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut seen = std::collections::HashSet::new();
            let mut repeated = None;
            while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
                if !seen.insert(key.clone()) {
                    repeated.get_or_insert(key);
                }
            }
            Ok(repeated)
        }
    }

    serde::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_slice(text), Keys).ok().flatten()
}
