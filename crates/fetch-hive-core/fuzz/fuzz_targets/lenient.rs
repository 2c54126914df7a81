//! Arbitrary bodies in the lenient parser.
//!
//! It never panics. A body that is valid JSON of the documented type has the same value as without
//! the lenient parser, also with a byte-order mark or with data after it. A response and each of
//! its errors keep the body.
#![no_main]

use bytes::Bytes;
use fetch_hive_core::lenient::from_slice;
use fetch_hive_core::types::{
    CallbackEvent, ErrorBody, InvokeAgentResponse, InvokeWorkflow, InvokeWorkflowResponse, Model,
};
use fetch_hive_core::{Endpoint, Error, parse_response};
use http::{Method, Response};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// An operation whose responses have an envelope.
struct Enveloped;

impl Endpoint for Enveloped {
    type Response = Value;
    const NAME: &'static str = "enveloped";
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/enveloped";
    const RETRY: fetch_hive_core::Retry = fetch_hive_core::Retry::Idempotent;
    const ENVELOPE: Option<&'static str> = Some("output");
}

fuzz_target!(|input: &[u8]| {
    let _ = from_slice::<InvokeAgentResponse>(input);
    let _ = from_slice::<CallbackEvent>(input);
    let _ = from_slice::<ErrorBody>(input);
    let _ = from_slice::<Vec<Model>>(input);
    if let Ok(strict) = serde_json::from_slice::<Value>(input) {
        let lenient = from_slice::<Value>(input).unwrap();
        assert_eq!((&lenient.value, lenient.unreadable.len()), (&strict, 0));
        let marked = from_slice::<Value>(&[b"\xef\xbb\xbf", input].concat()).unwrap();
        assert_eq!(marked.value, strict);
    }
    match from_slice::<InvokeWorkflowResponse>(input) {
        Ok(lenient) => {
            assert!(lenient.unreadable.len() <= 1_000);
            if let Ok(strict) = serde_json::from_slice::<InvokeWorkflowResponse>(input) {
                let strict = serde_json::to_value(strict).unwrap();
                assert!(lenient.unreadable.is_empty());
                assert_eq!(serde_json::to_value(lenient.value).unwrap(), strict);
                let with_rest = from_slice::<InvokeWorkflowResponse>(&[input, b"\n<html>"].concat()).unwrap();
                assert!(!with_rest.unreadable.is_empty());
                assert_eq!(serde_json::to_value(with_rest.value).unwrap(), strict);
            }
        }
        Err(_) => assert!(serde_json::from_slice::<InvokeWorkflowResponse>(input).is_err()),
    }
    for status in [200, 404, 502] {
        keeps_body::<InvokeWorkflow>(status, input);
        keeps_body::<Enveloped>(status, input);
    }
});

fn keeps_body<E: Endpoint>(status: u16, input: &[u8]) {
    let body = Bytes::copy_from_slice(input);
    let response = Response::builder().status(status).body(body.clone()).unwrap();
    let kept = match parse_response::<E>(response) {
        Ok(response) => response.body().clone(),
        Err(Error::Api(error)) => error.body.clone(),
        Err(Error::Decode(error)) => error.body.clone(),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(kept, body);
}
