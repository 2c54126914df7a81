//! Arbitrary bodies in the lenient parser.
//!
//! It never panics. A body that is valid JSON of the documented type has the same value as without
//! the lenient parser, and no unreadable fields.
#![no_main]

use fetch_hive_core::lenient::from_slice;
use fetch_hive_core::types::{CallbackEvent, ErrorBody, InvokeAgentResponse, InvokeWorkflowResponse, Model};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = from_slice::<InvokeAgentResponse>(input);
    let _ = from_slice::<CallbackEvent>(input);
    let _ = from_slice::<ErrorBody>(input);
    let _ = from_slice::<Vec<Model>>(input);
    let lenient = from_slice::<InvokeWorkflowResponse>(input);
    if let Ok(strict) = serde_json::from_slice::<InvokeWorkflowResponse>(input) {
        let lenient = lenient.unwrap();
        assert!(lenient.unreadable.is_empty());
        assert_eq!(serde_json::to_value(lenient.value).unwrap(), serde_json::to_value(strict).unwrap());
    } else if let Ok(lenient) = lenient {
        // Every unreadable field has a path, and no reason quotes a control character.
        assert!(lenient.unreadable.len() <= 1_000);
    }
});
