//! Sums the tokens of each deployment and agent with a usage hook.
//!
//! Set `FETCH_HIVE_API_KEY` to use the service. Without a key, the example starts an emulator in
//! this process.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use fetch_hive_client::{API_KEY_VARIABLE, Client};
use fetch_hive_emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let spent: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let sums = Arc::clone(&spent);
    let builder = Client::builder().on_usage(move |report| {
        if let Some(tokens) = report.usage.total() {
            let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
            *sums.entry(report.target.to_owned()).or_default() += tokens;
        }
    });
    let emulator = Emulator::start().await?;
    let client = match std::env::var_os(API_KEY_VARIABLE) {
        Some(_) => builder.build()?,
        None => builder.api_key("fhk_example").base_url(emulator.base_url()).build()?,
    };

    for topic in ["enterprise AI", "weather", "football"] {
        client.invoke_prompt("headline").input("topic", topic).await?;
        client.invoke_prompt("summary").input("topic", topic).input("length", 100).await?;
    }
    client.invoke_agent("researcher", "What is new?").await?;

    for (target, tokens) in spent.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("{target:<12} {tokens:>6} tokens");
    }
    Ok(())
}
