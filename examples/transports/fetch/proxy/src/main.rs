//! Serves the page, and passes its requests on to the service with the API key.
//!
//! ```sh
//! cargo run -p fetch-hive-example-fetch-proxy -- target/wasm/page 127.0.0.1:8080
//! ```
//!
//! Set `FETCH_HIVE_API_KEY` to call the service. Without a key, the program starts an emulator.

mod demo;
mod forward;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use fetch_hive_client::core::DEFAULT_BASE_URL;
use fetch_hive_client::{API_KEY_VARIABLE, BoxError};
use fetch_hive_emulator::Emulator;
use tokio::net::TcpListener;

use crate::forward::Proxy;

/// The page may load and call this server only, and be embedded nowhere.
const POLICY: &str = "default-src 'self'; img-src data:; script-src 'self' 'wasm-unsafe-eval'; frame-ancestors 'none'";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (folder, address) = match arguments.as_slice() {
        [folder] => (folder, "127.0.0.1:8080"),
        [folder, address] => (folder, address.as_str()),
        _ => return Err("usage: fetch-hive-example-fetch-proxy FOLDER [ADDRESS]".into()),
    };
    let key = env::var(API_KEY_VARIABLE).ok();
    let emulator = if key.is_none() { Some(demo::emulator().await?) } else { None };
    let base_url = emulator.as_ref().map_or_else(|| DEFAULT_BASE_URL.to_owned(), Emulator::base_url);
    let proxy = Proxy::new(base_url, key.as_deref().unwrap_or("fhk_example"))?;
    let pages = get(page).with_state(Arc::new(PathBuf::from(folder)));
    let app = Router::new()
        .route("/session", post(forward::session))
        .route("/v1/{*operation}", post(forward::forward))
        .with_state(Arc::new(proxy))
        .fallback_service(pages);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    if let Some(emulator) = &emulator {
        println!("requests and faults: {}/_emulator/", emulator.base_url().trim_end_matches("/v1"));
    }
    axum::serve(listener, app).await?;
    Ok(())
}

/// Serves a file of the page.
async fn page(State(folder): State<Arc<PathBuf>>, uri: Uri) -> impl IntoResponse {
    let name = uri.path().trim_start_matches('/');
    let name = if name.is_empty() { "index.html" } else { name };
    let media_type = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        Some("wasm") => "application/wasm",
        _ => return Err(StatusCode::NOT_FOUND),
    };
    if name.contains('/') {
        return Err(StatusCode::NOT_FOUND);
    }
    let content = tokio::task::spawn_blocking({
        let file = folder.join(name);
        move || std::fs::read(file)
    });
    let content = content.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.map_err(|_| StatusCode::NOT_FOUND)?;
    Ok(([(header::CONTENT_TYPE, media_type), (header::CONTENT_SECURITY_POLICY, POLICY)], content))
}
