//! Runs a workflow with `fetch-hive-core` and ureq, without `fetch-hive-client` and without async.
//!
//! Set `FETCH_HIVE_API_KEY` and `FETCH_HIVE_DEPLOYMENT` to run a deployment of yours. Without a
//! key, the example starts an emulator in this process if the default feature `emulator` is
//! enabled.

use std::error::Error;

use fetch_hive_core::types::{ApiKey, InvokeWorkflow};
use fetch_hive_core::{Api, parse_response};

fn main() -> Result<(), Box<dyn Error>> {
    let deployment = std::env::var("FETCH_HIVE_DEPLOYMENT").unwrap_or_else(|_| "weekly-report".to_owned());
    if let Ok(key) = std::env::var("FETCH_HIVE_API_KEY") {
        return invoke(&Api::default(), &ApiKey::new(key)?, &deployment);
    }
    without_a_key(&deployment)
}

fn invoke(api: &Api, key: &ApiKey, deployment: &str) -> Result<(), Box<dyn Error>> {
    let invoke = InvokeWorkflow::new(deployment).variant("default").input("topic", "enterprise AI");
    let request = api.request(&invoke, Some(key))?;

    // Any HTTP client works. ureq must return error statuses as responses, because the core parses
    // their bodies.
    let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let agent = config.max_redirects_will_error(false).build().new_agent();
    let (parts, body) = request.into_parts();
    // Only the body of an upload is not in memory as a whole.
    let bytes = body.into_whole().map_err(|_| "the request contains a file")?;
    let (head, mut body) = agent.run(http::Request::from_parts(parts, &*bytes))?.into_parts();
    let body = body.read_to_vec()?;

    // The core parses the status and the body of successes and errors.
    let run = parse_response::<InvokeWorkflow>(http::Response::from_parts(head, body.into()))?;
    println!("{}: {}", run.request_id.as_ref().map_or("no request id", |id| id.as_str()), run.output_as::<String>()?);
    Ok(())
}

#[cfg(feature = "emulator")]
fn without_a_key(deployment: &str) -> Result<(), Box<dyn Error>> {
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let emulator = servers.block_on(fetch_hive_emulator::Emulator::start())?;
    let api = Api::new(fetch_hive_core::BaseUrl::new(&emulator.base_url())?);
    invoke(&api, &ApiKey::new("fhk_example")?, deployment)?;

    // An error response is typed too.
    let error =
        invoke(&api, &ApiKey::new("fhk_invalid")?, deployment).err().ok_or("the emulator accepted an invalid key")?;
    println!("with an invalid key: {error}");
    Ok(())
}

#[cfg(not(feature = "emulator"))]
fn without_a_key(_: &str) -> Result<(), Box<dyn Error>> {
    Err("set FETCH_HIVE_API_KEY, or enable the feature emulator".into())
}
