//! Every public type of the library crates is printed with a key, a secret and a body in it wherever it has room for one: `Debug`, `Display`
//! and the causes of an error show none of them. Which types there are is read from the snapshots of the public API, so a new one that is
//! not printed here fails the test.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fetch_hive_client::callback::{Claim, ClaimLost, Claimed, MemoryGuard, Outcome, Receiver};
use fetch_hive_client::conformance::Suite;
use fetch_hive_client::core as fetch_hive_core;
use fetch_hive_client::core::callback::Verifier;
use fetch_hive_client::core::sse::Decoder;
use fetch_hive_client::core::stream::{EventReader, Streaming};
use fetch_hive_client::test_util::{Capture, Exchange, Never, PausedClock, Recorder, Replay};
use fetch_hive_client::types::{
    AgentChatCreate, AgentChatUpdate, AgentCreate, AgentTrigger, AgentUpdate, ApprovalDecision, ApprovalFilter,
    DeploymentTrigger, InvokePrompt, InvokeWorkflow, KnowledgeBaseCreate, KnowledgeBaseItemCreate,
    KnowledgeBaseItemUpdate, KnowledgeBaseSearch, KnowledgeBaseUpdate, WebhookSecret, WorkflowRun,
};
use fetch_hive_client::{Client, HyperTransport, RepeatPolicy, ResponseBody, TransportError, blocking};
use fetch_hive_emulator::{Emulator, Fault, Script};
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};

const KEY: &str = "fhk_KEYMARKER";
const SECRET: &str = "whsec_SECRETMARKER";
const PROXY: &str = "http://user:SECRETMARKER@127.0.0.1:1";
const BODY: &str = "BODYMARKER";
/// What may break a line of a log, or steer a terminal.
const BREAKS: [char; 5] = ['\n', '\r', '\u{1b}', '\u{9b}', '\u{2028}'];

/// The types that were printed, by the names that the snapshots have.
#[derive(Default)]
struct Printed {
    names: BTreeSet<String>,
    /// The types whose JSON does not fit.
    unread: Vec<String>,
}

impl Printed {
    fn debug(&mut self, name: &str, value: &dyn Debug) {
        let texts = format!("{value:?} {value:#?}");
        for marker in ["KEYMARKER", "SECRETMARKER", BODY] {
            assert!(!texts.contains(marker), "{name} shows {marker}: {texts}");
        }
        let name: String = name.split_whitespace().collect();
        self.names.insert(name.split('<').next().unwrap().replace("fetch_hive_client::core::", "fetch_hive_core::"));
    }

    fn error(&mut self, name: &str, error: &(dyn std::error::Error + 'static)) {
        self.debug(name, &error);
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            self.debug(name, &format_args!("{text}"));
            assert!(!text.contains(BREAKS), "{name} breaks the line: {text:?}");
            cause = error.source();
        }
    }
}

/// Prints values; the type before each is the one that the snapshot names.
macro_rules! print {
    ($printed:ident, $how:ident: $($type:ty = $value:expr;)+) => {$({
        let value: $type = $value;
        $printed.$how(stringify!($type), &value);
    })+};
}

/// Prints types that can be read from JSON.
macro_rules! print_json {
    ($printed:ident, $json:expr, $($name:ident)+) => {$({
        match serde_json::from_value::<fetch_hive_types::$name>($json) {
            Ok(value) => $printed.debug(concat!("fetch_hive_types::", stringify!($name)), &value),
            Err(error) => $printed.unread.push(format!("{}: {error}", stringify!($name))),
        }
    })+};
}

/// The types of the snapshots.
fn declared() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for package in ["fetch-hive-types", "fetch-hive-core", "fetch-hive-client"] {
        let path = format!("{}/../../api/{package}.txt", env!("CARGO_MANIFEST_DIR"));
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line = line.strip_prefix("#[non_exhaustive] ").unwrap_or(line);
            let declared = ["pub struct ", "pub enum ", "pub union "].iter().find_map(|kind| line.strip_prefix(kind));
            names.extend(declared.map(|rest| rest.split(['<', '(', ' ']).next().unwrap().to_owned()));
        }
    }
    names
}

/// Unknown fields that hold a secret, beside the required ones of any request.
fn fields() -> Value {
    json!({
        "webhook_secret": SECRET, "api_key": KEY, "made": {"list": [{"client_secret": SECRET, "Authorization": KEY}]},
        "deployment": "d", "message": "hi", "objective": "o", "name": "n", "model": "m", "llm_model": "m", "model_type": "m", "file_url": "https://h/f", "search_query": "q", "type": "hosted",
        "role": "user", "content": "c", "query": "q", "callback_url": "https://example.com/cb", "enabled": true,
    })
}

fn with(more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    let mut all = fields();
    all.as_object_mut().unwrap().extend(more);
    all
}

#[tokio::test]
async fn trap_08_no_public_type_shows_a_key_a_secret_or_a_body() {
    let mut printed = Printed::default();
    types(&mut printed);
    assert!(printed.unread.is_empty(), "{:#?}", printed.unread);
    operations(&mut printed);
    core(&mut printed);
    client(&mut printed).await;
    assert!(printed.unread.is_empty(), "{:#?}", printed.unread);
    let declared = declared();
    assert!(declared.len() > 250, "{}", declared.len());
    let missing: Vec<_> = declared.difference(&printed.names).collect();
    assert!(missing.is_empty(), "these types are not printed here: {missing:#?}");
    let strange: Vec<_> = printed.names.difference(&declared).collect();
    assert!(strange.is_empty(), "these types are not in api/*.txt: {strange:#?}");
}

fn types(printed: &mut Printed) {
    // Whatever has a place for unknown fields.
    print_json!(printed, fields(), Agent AgentAsync AgentChange AgentChat AgentChatChange AgentChatCreate AgentChatUpdate
        AgentCreate AgentDelegation AgentMessage AgentUpdate ApprovalBatchItem ApprovalCapabilities ApprovalDecider
        ApprovalFilter ApprovalPerson ApprovalRequester ApprovalVote ArtifactEvent Asset AssetChange AssetTranscription
        AttachmentDescriptor AutoApprovedToolCall CallbackEvent ChatMessage DeniedToolCall ErrorBody ErrorCodeCatalog
        ErrorCodeEntry ErrorEvent GeneratedArtifact HiveAgentAsync HiveAgentRun HiveAgentSources Inputs InvokePrompt
        InvokeWorkflow KnowledgeBase KnowledgeBaseChange KnowledgeBaseItem KnowledgeBaseItemChange
        KnowledgeBaseItemCreate KnowledgeBaseItemUpdate KnowledgeBaseSearchReply KnowledgeBaseUpdate MessageResponse
        Model PendingDelegation PendingToolApproval PromptReply RegeneratedItem RequestRecord SearchServiceCountries
        SearchServiceCountry SummaryEvent TextEvent TokenDetails TokenUsage ToolActionApproval
        ToolActionApprovalList ToolApprovalEvent ToolEvent ToolInvocation TriggeredRun UsageEvent WebhookAsync
        WorkflowAsync WorkflowRun AgentReply Extra);
    print_json!(printed, with(json!({"async": fields(), "inputs": fields()})), AgentTrigger DeploymentTrigger);
    print_json!(printed, with(json!({"agent": "a"})), InvokeAgent);
    print_json!(printed, with(json!({"hive_agent": "a", "async": fields()})), InvokeHiveAgent);
    print_json!(printed, with(json!({"assets": [fields()]})), ImageOutput);
    print_json!(printed, with(json!({"name": "n"})), KnowledgeBaseCreate);
    print_json!(
        printed,
        with(json!({"search_type": "text", "search_chunk_limit": 1, "search_score_threshold": 0.5})),
        KnowledgeBaseSearch
    );
    print_json!(printed, with(json!({"tool_approval_id": "a", "id": "a", "approval_id": "a"})), DecidedToolApproval);
    print_json!(printed, json!({"name": "n"}), Metadata);
    // Texts, numbers and open enums.
    print_json!(printed, json!("x"), AgentAttachment AgentId AgentRunStatus ApprovalDecision ApprovalId ApprovalStatus ArtifactRef AssetId
        AudienceRole BudgetPolicy CallbackEventType ChatId ChatStatus CountryValueFormat DelegationId DelegationKind
        DelegationStatus DenialReason EndpointId ErrorCode HiveAgentStatus ItemType KnowledgeBaseId KnowledgeBaseItemId
        MetadataValue ModelType Numeric Piece PromptCacheTtl ReasoningEffort RequestId Role RunId RunStatus SearchType
        Switch ThreadId Timestamp ToolApproval ToolChoice TranscriptionStatus VariantId WorkspaceId);
    print_json!(printed, json!(1), TokenCount);
    print! { printed, debug:
        fetch_hive_types::ApiKey = fetch_hive_types::ApiKey::new(KEY).unwrap();
        fetch_hive_types::WebhookSecret = WebhookSecret::new(SECRET);
        fetch_hive_types::AssetFile = fetch_hive_types::AssetFile::new("a.txt", "text/plain", BODY);
        fetch_hive_types::OneLine<&str> = fetch_hive_types::OneLine("x");
        fetch_hive_types::InvalidField = fetch_hive_types::Inputs::new().invalid().cloned().unwrap_or_else(|| {
            let mut inputs = fetch_hive_types::Inputs::new();
            inputs.extend([BODY]);
            inputs.invalid().unwrap().clone()
        });
        fetch_hive_types::StreamEvent = {
            let other = with(json!({"type": "tomorrow"})).to_string();
            fetch_hive_types::StreamEvent::from_slice(other.as_bytes()).unwrap()
        };
    }
    let run = |more| serde_json::from_value::<WorkflowRun>(with(more)).unwrap();
    let failed = run(json!({"run_status": "failed", "error": "no\n\u{1b}[31m", "request_id": "req\r1"}));
    let running = run(json!({"run_status": "odd\u{2028}", "request_id": "req\u{9b}"}));
    let text = run(json!({"run_status": "completed", "output": BODY}));
    let mismatch = |run: &WorkflowRun| run.output_as::<u8>().unwrap_err();
    print! { printed, error:
        fetch_hive_types::InvalidSecret = fetch_hive_types::ApiKey::new(format!("{KEY}\n")).unwrap_err();
        fetch_hive_types::NotFinite = fetch_hive_types::MetadataValue::try_from(f64::NAN).unwrap_err();
        fetch_hive_types::OutputError = mismatch(&failed);
        fetch_hive_types::OutputError = mismatch(&running);
        fetch_hive_types::OutputError = mismatch(&text);
    }
    let fetch_hive_types::OutputError::Failed(failed) = mismatch(&failed) else { panic!("it failed") };
    printed.error("fetch_hive_types::RunFailed", &failed);
    assert!(failed.reason.unwrap().contains('\n'), "the text is kept as it came");
    let fetch_hive_types::OutputError::Mismatch(mismatch) = mismatch(&text) else { panic!("it is a text") };
    printed.debug("fetch_hive_types::OutputMismatch", &mismatch);
}

fn operations(printed: &mut Printed) {
    let trigger = || DeploymentTrigger::new("https://example.com/cb").extra("webhook_secret", SECRET);
    let agent = || AgentTrigger::new("hi", "https://example.com/cb").extra("webhook_secret", SECRET);
    let search = || KnowledgeBaseSearch::new("q", "text", 1, 0.5).extra("api_key", KEY);
    print! { printed, debug:
        fetch_hive_types::TriggerWorkflow = fetch_hive_types::TriggerWorkflow::new("e", "v", SECRET, trigger());
        fetch_hive_types::TriggerPrompt = fetch_hive_types::TriggerPrompt::new("e", "v", SECRET, trigger());
        fetch_hive_types::TriggerAgent = fetch_hive_types::TriggerAgent::new("a", SECRET, agent());
        fetch_hive_types::UploadAsset = fetch_hive_types::UploadAsset::new(
            "w", fetch_hive_types::AssetFile::new("a.txt", "text/plain", BODY));
        fetch_hive_types::CreateAgent = fetch_hive_types::CreateAgent::new(
            "w", AgentCreate::new("n", "m", "hosted").extra("api_key", KEY));
        fetch_hive_types::UpdateAgent = fetch_hive_types::UpdateAgent::new("w", "a", AgentUpdate::new().extra("secret", SECRET));
        fetch_hive_types::CreateAgentChat = fetch_hive_types::CreateAgentChat::new(
            "w", "a", AgentChatCreate::new("n").extra("api_key", KEY));
        fetch_hive_types::UpdateAgentChat = fetch_hive_types::UpdateAgentChat::new(
            "w", "a", "c", AgentChatUpdate::new().extra("api_key", KEY));
        fetch_hive_types::CreateKnowledgeBase = fetch_hive_types::CreateKnowledgeBase::new(
            "w", KnowledgeBaseCreate::new("n").extra("api_key", KEY));
        fetch_hive_types::UpdateKnowledgeBase = fetch_hive_types::UpdateKnowledgeBase::new(
            "w", "k", KnowledgeBaseUpdate::new().extra("api_key", KEY));
        fetch_hive_types::SearchKnowledgeBase = fetch_hive_types::SearchKnowledgeBase::new("w", "k", search());
        fetch_hive_types::CreateKnowledgeBaseItem = fetch_hive_types::CreateKnowledgeBaseItem::new(
            "w", "k", KnowledgeBaseItemCreate::new("file").extra("api_key", KEY));
        fetch_hive_types::UpdateKnowledgeBaseItem = fetch_hive_types::UpdateKnowledgeBaseItem::new(
            "w", "k", "i", KnowledgeBaseItemUpdate::new().extra("api_key", KEY));
        fetch_hive_types::ListToolActionApprovals = fetch_hive_types::ListToolActionApprovals::new(
            "w", ApprovalFilter::new().extra("api_key", KEY));
        // Ids alone.
        fetch_hive_types::CancelAgentDelegation = fetch_hive_types::CancelAgentDelegation::new("d");
        fetch_hive_types::ClearAgentChatMessages = fetch_hive_types::ClearAgentChatMessages::new("w", "a", "c");
        fetch_hive_types::DecideToolActionApproval =
            fetch_hive_types::DecideToolActionApproval::new("w", "a", ApprovalDecision::Deny);
        fetch_hive_types::DeleteAgent = fetch_hive_types::DeleteAgent::new("w", "a");
        fetch_hive_types::DeleteAgentChat = fetch_hive_types::DeleteAgentChat::new("w", "a", "c");
        fetch_hive_types::DeleteKnowledgeBase = fetch_hive_types::DeleteKnowledgeBase::new("w", "k");
        fetch_hive_types::DeleteKnowledgeBaseItem = fetch_hive_types::DeleteKnowledgeBaseItem::new("w", "k", "i");
        fetch_hive_types::GetAgent = fetch_hive_types::GetAgent::new("w", "a");
        fetch_hive_types::GetAgentChat = fetch_hive_types::GetAgentChat::new("w", "a", "c");
        fetch_hive_types::GetAgentDelegation = fetch_hive_types::GetAgentDelegation::new("d");
        fetch_hive_types::GetKnowledgeBase = fetch_hive_types::GetKnowledgeBase::new("w", "k");
        fetch_hive_types::GetKnowledgeBaseItem = fetch_hive_types::GetKnowledgeBaseItem::new("w", "k", "i");
        fetch_hive_types::GetRequest = fetch_hive_types::GetRequest::new("req_1");
        fetch_hive_types::GetSearchServiceCountries = fetch_hive_types::GetSearchServiceCountries::new("s");
        fetch_hive_types::GetToolActionApproval = fetch_hive_types::GetToolActionApproval::new("w", "a");
        fetch_hive_types::ListAgentChatMessages = fetch_hive_types::ListAgentChatMessages::new("w", "a", "c");
        fetch_hive_types::ListAgents = fetch_hive_types::ListAgents::new("w");
        fetch_hive_types::ListAssets = fetch_hive_types::ListAssets::new("w");
        fetch_hive_types::ListErrorCodes = fetch_hive_types::ListErrorCodes::new(None);
        fetch_hive_types::ListKnowledgeBaseItems = fetch_hive_types::ListKnowledgeBaseItems::new("w", "k");
        fetch_hive_types::ListKnowledgeBases = fetch_hive_types::ListKnowledgeBases::new("w");
        fetch_hive_types::ListModels = fetch_hive_types::ListModels::new();
        fetch_hive_types::ListSearchServiceCountries = fetch_hive_types::ListSearchServiceCountries::new();
        fetch_hive_types::ListThreadDelegations = fetch_hive_types::ListThreadDelegations::new("t");
        fetch_hive_types::RegenerateKnowledgeBaseItem = fetch_hive_types::RegenerateKnowledgeBaseItem::new("w", "k", "i");
    }
}

fn refusal(status: u16, body: String) -> Response<Bytes> {
    let answer = Response::builder().status(status).header("x-echo", KEY).header("content-type", "application/json");
    answer.body(body.into()).unwrap()
}

/// A callback, signed.
fn delivered(body: &str) -> (HeaderMap, Bytes) {
    let body = Bytes::from(body.to_owned());
    let mut headers = HeaderMap::new();
    let signature = fetch_hive_client::core::signature::sign(&SECRET.into(), &body);
    headers.insert("x-fetch-hive-signature", signature.parse().unwrap());
    (headers, body)
}

fn core(printed: &mut Printed) {
    let documented = json!({
        "error": "E", "message": "no\n\r\u{1b}[31m\u{9b}\u{2028}", "error_code": "odd\nforged", "errors": [BODY], BODY: 1,
        "webhook_secret": SECRET, "request_id": "req\n1",
    });
    let api = |body: String| fetch_hive_core::ApiError::new("invokeWorkflow", refusal(422, body));
    let decode = || {
        fetch_hive_core::reply::<InvokeWorkflow>(refusal(200, format!("{{\"request_id\":[\"{BODY}\"]}}"))).unwrap_err()
    };
    let reply = |body: String| fetch_hive_core::reply::<InvokeWorkflow>(refusal(200, body)).unwrap();
    let raw = || fetch_hive_core::raw_reply("raw", refusal(200, BODY.to_owned())).unwrap();
    let data = |data: &str| Bytes::from(format!("data: {data}\n\n"));
    let read = |text: Bytes| {
        let mut reader = EventReader::new(1 << 20);
        reader.push(text);
        reader.next_event().unwrap()
    };
    let half = || {
        let mut decoder = Decoder::new(1 << 20);
        decoder.push(Bytes::from(format!("id: {BODY}\ndata: {BODY}\ndata: {BODY}\ndata: {BODY}")));
        assert!(decoder.next_frame().is_none());
        decoder
    };
    let trigger = || fetch_hive_client::types::TriggerAgent::new("a", SECRET, AgentTrigger::new("hi", "https://h/cb"));
    let verifier = || Verifier::new([SECRET]);
    let callback = || {
        let (headers, body) =
            delivered(&with(json!({"event_type": "agent.completed", "data": {"response": BODY}})).to_string());
        verifier().verify(&headers, body).unwrap()
    };
    let secret = WebhookSecret::new(SECRET);
    print! { printed, debug:
        fetch_hive_core::Api = fetch_hive_core::Api::default();
        fetch_hive_core::ApprovalPager = fetch_hive_core::ApprovalPager::new("w", ApprovalFilter::new().extra("api_key", KEY));
        fetch_hive_core::BaseUrl = fetch_hive_core::BaseUrl::default();
        fetch_hive_core::Body = fetch_hive_core::Body::json(&json!({"text": BODY})).unwrap();
        fetch_hive_core::ErrorPayload = api(documented.to_string()).payload;
        fetch_hive_core::ErrorPayload = api(format!("{{\"detail\":\"{BODY}\"}}")).payload;
        fetch_hive_core::Limits = fetch_hive_core::Limits::default();
        fetch_hive_core::Operation = fetch_hive_core::Operation::of::<InvokeWorkflow>();
        fetch_hive_core::RateLimit = fetch_hive_core::RateLimit::Concurrency;
        fetch_hive_core::Repeat = fetch_hive_core::Repeat::Safe;
        fetch_hive_core::Reply<WorkflowRun> = reply(fields().to_string());
        fetch_hive_core::ReplyParts = raw().into_parts().1;
        fetch_hive_core::SecretInQuery<fetch_hive_client::types::TriggerAgent> = fetch_hive_core::SecretInQuery(trigger());
        fetch_hive_core::callback::Callback = callback();
        fetch_hive_core::callback::EventKey = callback().key();
        fetch_hive_core::callback::Verifier = verifier();
        fetch_hive_core::engine::Action = fetch_hive_core::engine::Action::Done;
        fetch_hive_core::engine::Call =
            fetch_hive_core::engine::Call::new(fetch_hive_core::Repeat::Safe, fetch_hive_core::engine::RepeatPolicy::never(), fetch_hive_core::Limits::default());
        fetch_hive_core::engine::Moment =
            fetch_hive_core::engine::Moment { elapsed: Duration::ZERO, wall: SystemTime::UNIX_EPOCH, random: 0 };
        fetch_hive_core::engine::RepeatPolicy = fetch_hive_core::engine::RepeatPolicy::never();
        fetch_hive_core::signature::BodyHmac = fetch_hive_core::signature::BodyHmac;
        fetch_hive_core::sse::Decoder = half();
        fetch_hive_core::sse::End = half().finish();
        fetch_hive_core::sse::Frame = {
            let mut decoder = Decoder::new(1 << 20);
            decoder.push(data(BODY));
            decoder.next_frame().unwrap().unwrap()
        };
        fetch_hive_core::stream::Event = read(data(&with(json!({"type": "tomorrow"})).to_string())).unwrap();
        fetch_hive_core::stream::Event =
            read(data(&format!("{{\"type\":\"usage\",\"unknown\":\"{BODY}\"}}"))).unwrap();
        fetch_hive_core::stream::EventReader = {
            let mut reader = EventReader::new(1 << 20);
            reader.push(data(&format!("{{\"a\":\"{BODY}\"}}\ndata: {{\"b\":\"{BODY}\"}}\ndata: {{\"c\":\"{BODY}\"}}")));
            let _ = reader.next_event();
            reader
        };
        fetch_hive_core::stream::Streaming<InvokePrompt> = Streaming(InvokePrompt::new("d").extra("api_key", KEY));
    }
    printed.debug("fetch_hive_core::Auth", &fetch_hive_core::Auth::WebhookSecret(&secret));
    printed.debug(
        "fetch_hive_core::engine::Input",
        &fetch_hive_core::engine::Input::Refused(&api(documented.to_string())),
    );
    struct Writing;
    impl fetch_hive_core::Endpoint for Writing {
        type Response = Value;
        const NAME: &'static str = "writing";
        const METHOD: http::Method = http::Method::GET;
        const PATH: &'static str = "/writing";
        const REPEAT: fetch_hive_core::Repeat = fetch_hive_core::Repeat::Safe;

        fn path(&self, path: &mut fetch_hive_core::PathWriter) {
            Printed::default().debug("fetch_hive_core::PathWriter", path);
        }

        fn query(&self, query: &mut fetch_hive_core::QueryWriter) {
            Printed::default().debug("fetch_hive_core::QueryWriter", query.fields(&json!({"secret": SECRET})));
        }
    }
    fetch_hive_core::Api::default()
        .request(&Writing, Some(&fetch_hive_client::types::ApiKey::new(KEY).unwrap()))
        .unwrap();
    for name in ["fetch_hive_core::PathWriter", "fetch_hive_core::QueryWriter"] {
        printed.debug(name, &());
    }

    let too_large = || {
        let mut decoder = Decoder::new(10);
        decoder.push(data(&BODY.repeat(9)));
        decoder.next_frame().unwrap().unwrap_err()
    };
    let unsigned = || verifier().verify(&HeaderMap::new(), BODY).unwrap_err();
    let no_event = || {
        let (headers, body) = delivered(&format!("[\"{BODY}\"]"));
        verifier().verify(&headers, body).unwrap_err()
    };
    let fetch_hive_core::callback::CallbackError::Signature(signature) = unsigned() else { panic!("it is not signed") };
    let fetch_hive_core::Error::Decode(undecoded) = decode() else { panic!("it cannot be read") };
    let mut ignoring = fetch_hive_core::ApprovalPager::new("w", ApprovalFilter::new().cursor("b\n"));
    let repeated = ignoring.turn(&serde_json::from_value(json!({"approvals": [{"id": "b\n"}]})).unwrap()).unwrap_err();
    let failed = json!({"type": "error", "error": "no\n\u{1b}", "error_code": "odd\nforged", "webhook_secret": SECRET});
    print! { printed, error:
        fetch_hive_core::ApiError = api(documented.to_string());
        fetch_hive_core::ApiError = api(format!("<html>{BODY}</html>"));
        fetch_hive_core::DecodeError = *undecoded;
        fetch_hive_core::Error = decode();
        fetch_hive_core::Error = fetch_hive_core::Error::Api(Box::new(api(documented.to_string())));
        fetch_hive_core::InvalidInput = fetch_hive_core::InvalidInput::new("inputs.a\nb", "no\u{1b}");
        fetch_hive_core::RepeatedCursor = repeated;
        fetch_hive_core::callback::CallbackError = unsigned();
        fetch_hive_core::callback::CallbackError = no_event();
        fetch_hive_core::signature::SignatureError = signature;
        fetch_hive_core::sse::FrameTooLarge = too_large();
        fetch_hive_core::stream::StreamError = read(data(BODY)).unwrap_err();
        fetch_hive_core::stream::StreamError = read(data(&failed.to_string())).unwrap_err();
    }
}

/// What the hooks of a client are told, and the spans of its calls.
type Told = Arc<Mutex<Vec<(&'static str, String)>>>;

async fn client(printed: &mut Printed) {
    let emulator =
        Emulator::builder().stream("s", Script::new().text(BODY).wait(Duration::from_secs(60))).start().await.unwrap();
    let told = Told::default();
    let builder = || {
        let [attempts, calls, usage] = [(); 3].map(|()| Arc::clone(&told));
        Client::builder()
            .api_key(KEY)
            .base_url(emulator.base_url())
            .repeat(RepeatPolicy::never())
            .on_attempt(move |report| {
                attempts.lock().unwrap().push(("fetch_hive_client::AttemptReport", format!("{report:?}")))
            })
            .on_call(move |report| calls.lock().unwrap().push(("fetch_hive_client::CallReport", format!("{report:?}"))))
            .on_usage(move |report| {
                usage.lock().unwrap().push(("fetch_hive_client::UsageReport", format!("{report:?}")))
            })
    };
    let client = builder().build().unwrap();
    let stream = || client.invoke_prompt("s").input("text", BODY).stream();
    let usage = json!({"type": "usage", "usage": {"total_tokens": 1}, "webhook_secret": SECRET, "request_id": "req_1"});
    emulator.add_fault(events(&format!("data: {usage}\n\ndata: [DONE]\n\n")).nth(1));
    let whole = stream().await.unwrap().into_reply().await;
    client.invoke_prompt("d").await.unwrap();
    let workspace = client.workspace("w");
    let receiver = Receiver::new(Verifier::new([SECRET])).callback_url("https://example.com/cb");
    let started = || client.invoke_workflow("d").metadata("a", 1).start(&receiver);
    let mut handle = started().await.unwrap().wait.handle().clone();
    handle.webhook_secret = Some(SECRET.into());
    let (headers, body) =
        delivered(&json!({"event_type": "agent.completed", "request_id": BODY.to_lowercase()}).to_string());
    let callback = Verifier::new([SECRET]).verify(&headers, body).unwrap();
    let key = callback.key();
    let claim = Claim::new(key.clone(), 1);
    print! { printed, debug:
        fetch_hive_client::ApprovalStream = workspace.approvals().all(ApprovalFilter::new().extra("api_key", KEY));
        fetch_hive_client::Call<fetch_hive_client::types::TriggerAgent> =
            client.trigger_agent("a", SECRET, AgentTrigger::new("hi", "https://h/cb")).header("x-own", KEY);
        fetch_hive_client::Client = client.clone();
        fetch_hive_client::ClientBuilder<Client> = builder();
        fetch_hive_client::Collected<fetch_hive_client::types::PromptReply> = whole;
        fetch_hive_client::EventStream<InvokePrompt> = stream().await.unwrap();
        fetch_hive_client::TextStream<InvokePrompt> = stream().await.unwrap().text();
        fetch_hive_client::HyperTransport = HyperTransport::builder().proxy(PROXY).build().unwrap();
        fetch_hive_client::HyperTransportBuilder = HyperTransport::builder().proxy(PROXY).client_certificate_pem(BODY);
        fetch_hive_client::ResponseBody = ResponseBody::whole(BODY);
        fetch_hive_client::Timeout = fetch_hive_client::Timeout::Idle;
        fetch_hive_client::TransportErrorKind = TransportError::not_sent("no").kind();
        fetch_hive_client::WaitForRun = client.requests().wait("req_1");
        fetch_hive_client::callback::Claim = claim.clone();
        fetch_hive_client::callback::Claimed = Claimed::Yes(claim.clone());
        fetch_hive_client::callback::MemoryGuard = MemoryGuard::new();
        fetch_hive_client::callback::Receiver = receiver.clone().guard(MemoryGuard::new());
        fetch_hive_client::callback::RunWait = client.resume(&receiver, handle.clone()).unwrap();
        fetch_hive_client::callback::StartedRun<WorkflowRun> = started().await.unwrap();
        fetch_hive_client::callback::WaitHandle = handle;
        fetch_hive_client::conformance::Capability = fetch_hive_client::conformance::Capability::Streaming;
        fetch_hive_client::conformance::Suite = Suite::new(HyperTransport::builder().proxy(PROXY).build().unwrap());
        fetch_hive_client::resources::Agents<Client> = workspace.agents();
        fetch_hive_client::resources::Approvals<Client> = workspace.approvals();
        fetch_hive_client::resources::Assets<Client> = workspace.assets();
        fetch_hive_client::resources::Chats<Client> = workspace.chats("a");
        fetch_hive_client::resources::Delegations<Client> = client.delegations();
        fetch_hive_client::resources::Items<Client> = workspace.knowledge_base("k").items();
        fetch_hive_client::resources::KnowledgeBaseHandle<Client> = workspace.knowledge_base("k");
        fetch_hive_client::resources::KnowledgeBases<Client> = workspace.knowledge_bases();
        fetch_hive_client::resources::Requests<Client> = client.requests();
        fetch_hive_client::resources::SearchServices<Client> = client.search_services();
        fetch_hive_client::resources::Workspace<Client> = workspace.clone();
        fetch_hive_client::test_util::Exchange =
            Exchange::status(200).header("x-echo", KEY).body(BODY).expect_header("authorization", KEY).expect_json(BODY);
        fetch_hive_client::test_util::Never = Never;
        fetch_hive_client::test_util::PausedClock = PausedClock::new();
        fetch_hive_client::test_util::Replay = Replay::new([Exchange::status(200).body(BODY)]);
    }
    // What has been sent and received once is kept by these.
    let capture = Capture::new(Exchange::status(200).body(fields().to_string()));
    let captured = Client::builder().api_key(KEY).transport(capture.clone()).build().unwrap();
    captured.invoke_workflow("d").input("text", BODY).await.unwrap();
    printed.debug("fetch_hive_client::test_util::Capture", &capture);
    let folder = std::env::temp_dir().join(format!("fetch-hive-every-type-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let recorder = Recorder::to_file(capture, folder.join("a.jsonl")).unwrap();
    printed.debug("fetch_hive_client::test_util::Recorder", &recorder);
    std::fs::write(folder.join("b.jsonl"), format!("\"{BODY}\"\n")).unwrap();
    let unread = [Replay::from_file(folder.join("b.jsonl")).unwrap_err(), Replay::from_file(&folder).unwrap_err()];
    std::fs::remove_dir_all(&folder).unwrap();
    // A body is what a mismatch is about, and the test's own; a key is neither.
    let replay = Replay::new([Exchange::status(200).expect_header("authorization", "other")]);
    let mismatched = Client::builder().api_key(KEY).transport(replay.clone()).build().unwrap();
    let refused = mismatched.invoke_workflow("d").input("text", BODY).await.unwrap_err();
    for error in &unread {
        printed.error("fetch_hive_client::test_util::RecordingError", error);
    }
    print! { printed, error:
        fetch_hive_client::Error = refused;
        fetch_hive_client::callback::ClaimLost = ClaimLost;
        fetch_hive_client::test_util::Mismatch = replay.finish().unwrap_err();
        fetch_hive_client::TransportError = TransportError::not_sent("no");
    }
    for outcome in [
        Outcome::Handled(key.clone()),
        Outcome::Unnoted { key: key.clone(), error: "no".into() },
        Outcome::HandlerFailed { key, error: "no".into() },
        Outcome::Refused(Verifier::new([SECRET]).verify(&HeaderMap::new(), BODY).unwrap_err()),
        Outcome::Full,
    ] {
        printed.debug("fetch_hive_client::callback::Outcome", &outcome);
        let text = outcome.to_string();
        printed.debug("fetch_hive_client::callback::Outcome", &format_args!("{text}"));
    }

    errors(printed, &emulator, &client).await;
    client_without_async(printed, &emulator).await;
    for (name, text) in told.lock().unwrap().iter() {
        printed.debug(name, &format_args!("{text}"));
    }
}

fn events(body: &str) -> Fault {
    Fault::status(200).header("content-type", "text/event-stream").body(body.to_owned())
}

async fn errors(printed: &mut Printed, emulator: &Emulator, client: &Client) {
    let json = |status| Fault::status(status).header("content-type", "application/json").header("x-echo", KEY);
    let forged =
        json!({"error": "no\n\u{1b}[31m", "error_code": "odd\r", "request_id": "req\u{2028}", "x": BODY}).to_string();
    let failed =
        format!("data: {}\n\n", json!({"type": "error", "error": "no\n\u{1b}", "error_code": "odd\r", "x": BODY}));
    for fault in [
        json(422).body(forged),
        json(502).body(format!("<html>{BODY}</html>")),
        json(200).body(format!("{{\"request_id\":[\"{BODY}\"]}}")),
        json(200).body(BODY.repeat(10)).cut_after(20),
        json(200).body(BODY.repeat(1 << 20)),
        events(&failed),
        events(&format!("data: {BODY}\n\ndata: {BODY}")),
        Fault::raw(format!("{BODY}\r\n\r\n")),
        Fault::close(),
    ] {
        emulator.clear_faults();
        emulator.add_fault(fault);
        let mut errors = Vec::new();
        errors.extend(client.invoke_workflow("d").input("text", BODY).await.err());
        match client.invoke_prompt("d").input("text", BODY).stream().await {
            Err(error) => errors.push(error),
            Ok(stream) => {
                let collected = stream.into_reply().await;
                printed.debug("fetch_hive_client::Collected", &collected);
                errors.extend(collected.malformed);
                errors.extend(collected.end.err());
            }
        }
        assert!(!errors.is_empty());
        for error in &errors {
            // What had come of a reply is in the error, and shown with it.
            printed.error("fetch_hive_client::Error", error);
            printed.debug("fetch_hive_client::ErrorKind", error.kind());
        }
    }
    emulator.clear_faults();
    let cut = json(200).body(BODY.repeat(10)).cut_after(20);
    emulator.add_fault(cut.nth(1));
    let error = client.invoke_workflow("d").await.unwrap_err();
    assert!(error.body().is_some() && format!("{error:?}").contains("PartialReply"), "{error:?}");
    printed.debug("fetch_hive_client::PartialReply", &error);
    let odd = json!({"request": {"request_id": "req\n1", "run_status": "running\u{1b}"}});
    emulator.add_fault(json(200).body(odd.to_string()).operation("getRequest"));
    let waited = client.requests().wait("req\n1").timeout(Duration::from_millis(60)).await.unwrap_err();
    let fetch_hive_client::ErrorKind::Wait(wait) = waited.kind() else { panic!("{waited:?}") };
    printed.error("fetch_hive_client::WaitError", &**wait);
    printed.error("fetch_hive_client::Error", &waited);
    emulator.clear_faults();
    // A proxy's password is not in the error of a proxy that is not there.
    for url in [emulator.base_url(), "https://127.0.0.1:1/v1".to_owned()] {
        let proxied = HyperTransport::builder().proxy(PROXY).build().unwrap();
        let builder = Client::builder().api_key(KEY).base_url(url).repeat(RepeatPolicy::never());
        let error = builder.transport(proxied).build().unwrap().invoke_workflow("d").await.unwrap_err();
        printed.error("fetch_hive_client::Error", &error);
    }
    let unfit = Client::builder().api_key(format!("{KEY}\u{e9}")).build().unwrap_err();
    printed.error("fetch_hive_client::Error", &unfit);
    printed
        .error("fetch_hive_client::Error", &client.invoke_workflow("d").metadata("a\nb", f64::NAN).await.unwrap_err());
}

async fn client_without_async(printed: &mut Printed, emulator: &Emulator) {
    let receiver = Receiver::new(Verifier::new([SECRET]));
    let (headers, body) =
        delivered(&json!({"event_type": "agent.completed", "request_id": "req_1", "data": {"x": BODY}}).to_string());
    let mut request = Request::post("/callbacks").body(body).unwrap();
    *request.headers_mut() = headers;
    let (sender, received) = std::sync::mpsc::channel();
    let handle = move |received| {
        sender.send(received).unwrap();
        std::future::ready(Ok::<_, fetch_hive_client::BoxError>(()))
    };
    assert_eq!(receiver.receive_bytes(request, handle).await.status(), 200);
    printed.debug("fetch_hive_client::callback::Received", &received.recv().unwrap());
    let report = Suite::new(Never).patience(Duration::from_millis(1)).run().await;
    printed.debug("fetch_hive_client::conformance::Report", &report);
    for (check, outcome) in report.outcomes() {
        printed.debug("fetch_hive_client::conformance::Check", &check);
        printed.debug("fetch_hive_client::conformance::Outcome", outcome);
    }
    printed.debug("fetch_hive_client::TokioClock", &fetch_hive_client::TokioClock);

    let base_url = emulator.base_url();
    let mut blocking = std::mem::take(printed);
    let work = move || {
        let proxied = || blocking::UreqTransport::builder().proxy(PROXY).root_certificates_pem(BODY);
        blocking.debug("fetch_hive_client::blocking::UreqTransportBuilder", &proxied());
        let transport = blocking::UreqTransport::builder().no_proxy().build().unwrap();
        blocking.debug("fetch_hive_client::blocking::UreqTransport", &transport);
        let client = blocking::Client::builder().api_key(KEY).base_url(base_url).transport(transport).build().unwrap();
        blocking.debug("fetch_hive_client::blocking::Client", &client);
        let approvals = client.workspace("w").approvals().all(ApprovalFilter::new().extra("api_key", KEY));
        blocking.debug("fetch_hive_client::blocking::Approvals", &approvals);
        let stream = || client.invoke_prompt("s").stream().unwrap();
        blocking.debug("fetch_hive_client::blocking::EventStream", &stream());
        blocking.debug("fetch_hive_client::blocking::TextStream", &stream().text());
        blocking
    };
    *printed = tokio::task::spawn_blocking(work).await.unwrap();
}
