use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fetch_hive_client::core as fetch_hive_core;
use fetch_hive_client::core::callback::Verifier;
use fetch_hive_client::core::sse::Decoder;
use fetch_hive_client::core::stream::{EventReader, Streaming};
use fetch_hive_client::types::{ApprovalFilter, InvokePrompt, InvokeWorkflow, InvokeWorkflowResponse, WebhookSecret};
use http::{HeaderMap, Response};
use serde_json::{Value, json};

use super::{BODY, KEY, Printed, SECRET, delivered, fields, with};

fn refusal(status: u16, body: String) -> Response<Bytes> {
    let answer = Response::builder().status(status).header("x-echo", KEY).header("content-type", "application/json");
    answer.body(body.into()).unwrap()
}

/// Prints the writers that the client passes to an endpoint.
struct Writing;
impl fetch_hive_core::Endpoint for Writing {
    type Response = Value;
    const NAME: &'static str = "writing";
    const METHOD: http::Method = http::Method::GET;
    const PATH: &'static str = "/writing";
    const RETRY: fetch_hive_core::Retry = fetch_hive_core::Retry::Idempotent;

    fn path(&self, path: &mut fetch_hive_core::PathWriter) {
        Printed::default().debug("fetch_hive_core::PathWriter", path);
    }

    fn query(&self, query: &mut fetch_hive_core::QueryWriter) {
        Printed::default().debug("fetch_hive_core::QueryWriter", query.fields(&json!({"secret": SECRET})));
    }
}

pub(crate) fn core(printed: &mut Printed) {
    let documented = json!({
        "error": "E", "message": "no\n\r\u{1b}[31m\u{9b}\u{2028}", "error_code": "odd\nforged", "errors": [BODY], BODY: 1,
        "webhook_secret": SECRET, "request_id": "req\n1",
    });
    let operation = fetch_hive_core::Operation::of::<InvokeWorkflow>();
    let api = |body: String| fetch_hive_core::ApiError::new(&operation, refusal(422, body));
    let decode = || fetch_hive_core::parse_response::<InvokeWorkflow>(refusal(200, format!("\"{BODY}\""))).unwrap_err();
    let reply = |body: String| fetch_hive_core::parse_response::<InvokeWorkflow>(refusal(200, body)).unwrap();
    let raw = || fetch_hive_core::parse_raw_response(&operation, refusal(200, BODY.to_owned())).unwrap();
    let data = |data: &str| Bytes::from(format!("data: {data}\n\n"));
    let read = |text: Bytes| {
        let mut reader = EventReader::new(1 << 20);
        reader.push(text);
        reader.next_event().unwrap()
    };
    let half = || {
        let mut decoder = Decoder::new(1 << 20);
        decoder.push(Bytes::from(format!("id: {BODY}\ndata: {BODY}\ndata: {BODY}\ndata: {BODY}")));
        assert!(decoder.next_event().is_none());
        decoder
    };
    let trigger = || fetch_hive_client::types::TriggerAgent::new("a", SECRET, "hi", "https://h/cb");
    let verifier = || Verifier::new([SECRET]);
    let delivery = || {
        let (headers, body) =
            delivered(&with(json!({"event_type": "agent.completed", "data": {"response": BODY}})).to_string());
        verifier().verify(&headers, body).unwrap()
    };
    let secret = WebhookSecret::new(SECRET);
    let unreadable = || {
        let body = format!("{{\"request_id\":[\"{BODY}\"],\"run_status\":{{\"a\":\"{BODY}\"}}}}");
        fetch_hive_core::lenient::from_slice::<InvokeWorkflowResponse>(body.as_bytes()).unwrap()
    };
    print! { printed, debug:
        fetch_hive_core::Api = fetch_hive_core::Api::default();
        fetch_hive_core::ApprovalPager = fetch_hive_core::ApprovalPager::new("w", ApprovalFilter::new().extra("api_key", KEY));
        fetch_hive_core::BaseUrl = fetch_hive_core::BaseUrl::default();
        fetch_hive_core::Body = fetch_hive_core::Body::json(&json!({"text": BODY})).unwrap();
        fetch_hive_core::BodyPiece = fetch_hive_core::BodyPiece::Bytes(BODY.into());
        fetch_hive_core::RequestBody = fetch_hive_core::RequestBody::from(BODY);
        fetch_hive_core::ErrorPayload = api(documented.to_string()).payload;
        fetch_hive_core::ErrorPayload = api(format!("{{\"detail\":\"{BODY}\"}}")).payload;
        fetch_hive_core::KeyHeader =
            fetch_hive_core::KeyHeader::new(&fetch_hive_client::types::ApiKey::new(KEY).unwrap()).unwrap();
        fetch_hive_core::DecodeErrorKind = fetch_hive_core::DecodeErrorKind::NotJson;
        fetch_hive_core::UnreadableField = unreadable().unreadable.remove(0);
        fetch_hive_core::lenient::DecodeErrorKind = fetch_hive_core::lenient::DecodeErrorKind::NotJson;
        fetch_hive_core::lenient::Parsed<InvokeWorkflowResponse> = unreadable();
        fetch_hive_core::lenient::UnreadableField = unreadable().unreadable.remove(0);
        fetch_hive_core::Timeouts = fetch_hive_core::Timeouts::default();
        fetch_hive_core::Operation = fetch_hive_core::Operation::of::<InvokeWorkflow>();
        fetch_hive_core::RateLimit = fetch_hive_core::RateLimit::Concurrency;
        fetch_hive_core::Retry = fetch_hive_core::Retry::Idempotent;
        fetch_hive_core::ApiResponse<InvokeWorkflowResponse> = reply(fields().to_string());
        fetch_hive_core::ApiResponseParts = raw().into_parts().1;
        fetch_hive_core::SecretInQuery<fetch_hive_client::types::TriggerAgent> = fetch_hive_core::SecretInQuery(trigger());
        fetch_hive_core::callback::Delivery = delivery();
        fetch_hive_core::callback::EventKey = delivery().key();
        fetch_hive_core::callback::Verifier = verifier();
        fetch_hive_core::retry::NextStep = fetch_hive_core::retry::NextStep::Finish;
        fetch_hive_core::retry::RetryEngine =
            fetch_hive_core::retry::RetryEngine::new(fetch_hive_core::Retry::Idempotent, fetch_hive_core::retry::RetryPolicy::never(), fetch_hive_core::Timeouts::default());
        fetch_hive_core::retry::Now =
            fetch_hive_core::retry::Now { elapsed: Duration::ZERO, wall_clock: SystemTime::UNIX_EPOCH, random: 0 };
        fetch_hive_core::retry::RetryPolicy = fetch_hive_core::retry::RetryPolicy::never();
        fetch_hive_core::retry::Verdict =
            fetch_hive_core::retry::RetryEvent::NotSent.verdict(fetch_hive_core::Retry::Idempotent, false);
        fetch_hive_core::signature::BodyHmac = fetch_hive_core::signature::BodyHmac;
        fetch_hive_core::sse::Decoder = half();
        fetch_hive_core::sse::EndOfStream = half().finish();
        fetch_hive_core::sse::RawEvent = {
            let mut decoder = Decoder::new(1 << 20);
            decoder.push(data(BODY));
            decoder.next_event().unwrap().unwrap()
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
        "fetch_hive_core::retry::RetryEvent",
        &fetch_hive_core::retry::RetryEvent::Rejected(&api(documented.to_string())),
    );
    fetch_hive_core::Api::default()
        .request(&Writing, Some(&fetch_hive_client::types::ApiKey::new(KEY).unwrap()))
        .unwrap();
    for name in ["fetch_hive_core::PathWriter", "fetch_hive_core::QueryWriter"] {
        printed.debug(name, &());
    }

    let too_large = || {
        let mut decoder = Decoder::new(10);
        decoder.push(data(&BODY.repeat(9)));
        decoder.next_event().unwrap().unwrap_err()
    };
    let unsigned = || verifier().verify(&HeaderMap::new(), BODY).unwrap_err();
    let fetch_hive_core::callback::CallbackError::Signature(signature) = unsigned() else { panic!("it is not signed") };
    let fetch_hive_core::Error::Decode(undecoded) = decode() else { panic!("it cannot be read") };
    let mut ignoring = fetch_hive_core::ApprovalPager::new("w", ApprovalFilter::new().cursor("b\n"));
    let repeated =
        ignoring.advance(&serde_json::from_value(json!({"approvals": [{"id": "b\n"}]})).unwrap()).unwrap_err();
    let failed = json!({"type": "error", "error": "no\n\u{1b}", "error_code": "odd\nforged", "webhook_secret": SECRET});
    print! { printed, error:
        fetch_hive_core::ApiError = api(documented.to_string());
        fetch_hive_core::ApiError = api(format!("<html>{BODY}</html>"));
        fetch_hive_core::lenient::ParseError =
            fetch_hive_core::lenient::from_slice::<InvokeWorkflowResponse>(BODY.as_bytes()).unwrap_err();
        fetch_hive_core::DecodeError = *undecoded;
        fetch_hive_core::Error = decode();
        fetch_hive_core::Error = fetch_hive_core::Error::Api(Box::new(api(documented.to_string())));
        fetch_hive_core::InvalidInput = fetch_hive_core::InvalidInput::new("inputs.a\nb", "no\u{1b}");
        fetch_hive_core::RepeatedCursor = repeated;
        fetch_hive_core::callback::CallbackError = unsigned();
        fetch_hive_core::signature::SignatureError = signature;
        fetch_hive_core::sse::EventTooLarge = too_large();
        fetch_hive_core::stream::StreamError = read(data(BODY)).unwrap_err();
        fetch_hive_core::stream::StreamError = read(data(&failed.to_string())).unwrap_err();
    }
}
