//! Parses a stored callback with `fetch-hive-types`, without HTTP and without async.
//!
//! The first argument is the path of the file. The default is `callback.json` in this package. The
//! signature is not verified here, because the receiver must verify it before it stores a callback.

use std::error::Error;

use fetch_hive_types::{CallbackEvent, CallbackEventType, RequestId};

fn main() -> Result<(), Box<dyn Error>> {
    let path =
        std::env::args().nth(1).unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/callback.json").to_owned());
    let event: CallbackEvent = serde_json::from_slice(&std::fs::read(&path)?)?;

    println!("event:   {}", event.event_type.as_ref().map_or("none", CallbackEventType::as_str));
    println!("run:     {}", event.request_id.as_ref().map_or("none", RequestId::as_str));
    match event.error() {
        Some(error) => println!("failed:  {error}"),
        None => println!("output:  {}", event.output().map_or_else(String::new, ToString::to_string)),
    }
    println!("unknown: {:?}", event.extra.keys().collect::<Vec<_>>());
    Ok(())
}
