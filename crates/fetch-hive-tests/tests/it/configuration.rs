//! Settings that cannot be right are rejected when the client is built, and before anything is
//! sent.

use std::future::IntoFuture as _;
use std::process::{Command, Output};
use std::time::Duration;

use fetch_hive_client::{Client, ErrorKind, HyperTransport, Retry, RetryPolicy, blocking};
use fetch_hive_emulator::{Deployment, Emulator};
use proptest::prelude::*;

/// Runs a workflow in another process, with the given environment variables.
async fn invoke(emulator: &Emulator, stack: &'static str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_invoke-from-env"));
    command.args([emulator.base_url().as_str(), stack]).env("FETCH_HIVE_API_KEY", "fhk_test");
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(variables.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn invalid_variables_fail_the_build_and_are_named() {
    let emulator = Emulator::start().await.unwrap();
    for stack in ["hyper", "ureq"] {
        for (name, value) in [
            ("HTTP_PROXY", "http://proxy:3128\r\n"),
            ("HTTP_PROXY", " http://proxy:3128"),
            ("HTTPS_PROXY", "\"http://proxy:3128\""),
            ("https_proxy", "http://user:SECRET#@proxy:3128"),
            ("ALL_PROXY", "htp://proxy:3128"),
            ("http_proxy", "http://proxy:99999"),
            ("NO_PROXY", "10.0.0.0/64"),
            ("SSL_CERT_FILE", "/nonexistent/roots.pem"),
            ("SSL_CERT_FILE", "/dev/null"),
            ("SSL_CERT_DIR", "/nonexistent"),
            ("FETCH_HIVE_API_KEY", "\"fhk_SECRET\""),
            ("FETCH_HIVE_API_KEY", "Bearer fhk_SECRET"),
        ] {
            let output = invoke(&emulator, stack, &[(name, value)]).await;
            let printed = String::from_utf8_lossy(&output.stderr);
            let named = if name == "FETCH_HIVE_API_KEY" { "api_key" } else { name };
            assert_eq!(output.status.code(), Some(1), "{stack} {name}={value:?}: {printed}");
            assert!(printed.contains(named) && printed.contains("nothing was sent"), "{stack} {name}: {printed}");
            assert!(!printed.contains("SECRET"), "{printed}");
        }
    }
    assert!(emulator.requests().is_empty());
}

#[tokio::test]
async fn valid_variables_are_used_by_both_stacks() {
    let emulator = Emulator::builder().tls(true).start().await.unwrap();
    let roots = std::env::temp_dir().join(format!("fetch-hive-configuration-{}.pem", std::process::id()));
    std::fs::write(&roots, emulator.ca_pem().unwrap()).unwrap();
    for stack in ["hyper", "ureq"] {
        let variables = [
            ("SSL_CERT_FILE", roots.to_str().unwrap()),
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
            ("NO_PROXY", "10.0.0.0/8,.example.com,fd00::/8"),
            ("FETCH_HIVE_API_KEY", "  fhk_trimmed\n"),
        ];
        let output = invoke(&emulator, stack, &variables).await;
        assert!(output.status.success(), "{stack}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(emulator.requests().last().unwrap().headers["authorization"], "Bearer fhk_trimmed");
    }
    std::fs::remove_file(roots).unwrap();
}

#[test]
fn base_url_with_an_invalid_port_or_host_is_rejected() {
    for url in [
        "http://127.0.0.1:99999/v1",
        "http://127.0.0.1:0/v1",
        "https://example.com:/v1",
        "https://exa_mple..com",
        "http://::1/v1",
        "https://256.0.0.1",
        "https://example.com:443:443",
    ] {
        let error = Client::builder().api_key("k").base_url(url).build().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid(invalid) if invalid.field == "base_url"), "{url}: {error}");
        let error = blocking::Client::builder().api_key("k").base_url(url).build().unwrap_err();
        assert!(error.to_string().contains("base_url"), "{error}");
        let error = HyperTransport::builder().proxy(url.replace("/v1", "")).build().unwrap_err();
        assert!(error.to_string().contains("proxy"), "{url}: {error}");
    }
}

#[tokio::test]
async fn headers_that_frame_or_route_a_message_are_rejected_by_name() {
    let emulator = Emulator::start().await.unwrap();
    let client = Client::builder().api_key("k").base_url(emulator.base_url()).build().unwrap();
    for name in ["content-length", "Transfer-Encoding", "host", "connection", "TE", "trailer", "upgrade", "expect"] {
        let error = client.invoke_workflow("d").header(name, "5").await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&name.to_lowercase()) && text.contains("nothing was sent"), "{text}");
        let error = Client::builder().api_key("k").header(name, "5").build().unwrap_err();
        assert!(error.to_string().contains(&name.to_lowercase()), "{error}");
        let request = http::Request::get("/public/models").header(name, "5").body(bytes::Bytes::new()).unwrap();
        let error = client.call_raw(request, Retry::Idempotent).await.unwrap_err();
        assert!(error.to_string().contains(&name.to_lowercase()), "{error}");
    }
    assert!(emulator.requests().is_empty());
    client.invoke_workflow("d").header("x-trace", "5").await.unwrap();
    assert_eq!(emulator.requests()[0].headers["x-trace"], "5");
}

#[tokio::test]
async fn plain_http_callback_url_needs_permission() {
    let emulator = Emulator::start().await.unwrap();
    let builder = || Client::builder().api_key("k").base_url(emulator.base_url());
    let error = builder().build().unwrap().invoke_workflow("d").callback_url("http://app:3000/hook").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("async.callback_url") && text.contains("allow_plain_http_callbacks"), "{text}");
    assert!(emulator.requests().is_empty());
    let client = builder().allow_plain_http_callbacks().build().unwrap();
    // The emulator rejects the address, because it is not that of this machine.
    let _ = client.invoke_workflow("d").callback_url("http://app:3000/hook").await;
    let body: serde_json::Value = serde_json::from_slice(&emulator.requests()[0].body).unwrap();
    assert_eq!(body["async"]["callback_url"], "http://app:3000/hook");
    for invalid in ["http://app:99999/hook", "http://user@app/hook", "ftp://app/hook"] {
        let error = client.invoke_workflow("d").callback_url(invalid).await.unwrap_err();
        assert!(error.to_string().contains("async.callback_url"), "{error}");
    }
    assert_eq!(emulator.requests().len(), 1);
}

/// Durations from zero to the largest one.
const DURATIONS: [Duration; 7] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_millis(50),
    Duration::from_secs(u32::MAX as u64),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_secs(u64::MAX / 2 + 1),
    Duration::MAX,
];

#[tokio::test]
async fn every_duration_works_in_the_async_client() {
    let emulator = Emulator::builder().deployment(Deployment::workflow("d").output("ok")).start().await.unwrap();
    for duration in DURATIONS {
        let transport = HyperTransport::builder().pool_idle_timeout(duration.max(Duration::from_nanos(1))).build();
        let client = Client::builder()
            .api_key("k")
            .base_url(emulator.base_url())
            .transport(transport.unwrap())
            .max_concurrent_runs(1)
            .unresolved_run_hold(duration)
            .build()
            .unwrap();
        let mut policy = RetryPolicy::default();
        (policy.base_delay, policy.max_delay, policy.max_total_wait) = (duration, duration, duration);
        let call = || client.invoke_workflow("d").retry(policy);
        let is_long = duration > Duration::from_secs(1);
        for (what, call) in [
            ("timeout", call().timeout(duration)),
            ("connect", call().connect_timeout(duration)),
            ("headers", call().headers_timeout(duration)),
            ("idle", call().idle_timeout(duration)),
        ] {
            let result = tokio::time::timeout(Duration::from_secs(20), call.into_future()).await.unwrap();
            assert!(result.is_ok() || !is_long, "{what} {duration:?}: {result:?}");
        }
        let wait =
            client.requests().wait("req_unknown").interval(duration, duration).timeout(Duration::from_millis(50));
        assert!(wait.await.is_err());
    }
}

#[test]
fn every_duration_works_in_the_blocking_client() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let builder = Emulator::builder().deployment(Deployment::workflow("d").output("ok"));
    let emulator = runtime.block_on(builder.start()).unwrap();
    let client = blocking::Client::builder().api_key("k").base_url(emulator.base_url()).build().unwrap();
    for duration in DURATIONS {
        let call = || client.invoke_workflow("d").retry(RetryPolicy::never());
        let is_long = duration > Duration::from_secs(1);
        for (what, call) in [
            ("timeout", call().timeout(duration)),
            ("connect", call().connect_timeout(duration)),
            ("headers", call().headers_timeout(duration)),
            ("idle", call().idle_timeout(duration)),
        ] {
            let result = call.send();
            assert!(result.is_ok() || !is_long, "{what} {duration:?}: {result:?}");
        }
        let wait =
            client.requests().wait("req_unknown").interval(duration, duration).timeout(Duration::from_millis(50));
        assert!(wait.send().is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The emulator is not involved: whatever is built sends its requests to the given host and
    /// port.
    #[test]
    fn base_urls_are_rejected_or_used_exactly(url in "(https?|HTTP|htp|)(://|:/|)[a-z0-9.:@\\[\\] _-]{0,16}(:[0-9a-z+-]{0,6}|)(/v1|/|)") {
        use fetch_hive_client::core::{Api, types::InvokeWorkflow};
        if let Ok(base) = fetch_hive_client::BaseUrl::allow_plain_http(&url) {
            let key = fetch_hive_client::types::ApiKey::new("k").unwrap();
            let request = Api::new(base).request(&InvokeWorkflow::new("d"), Some(&key)).unwrap();
            let authority = request.uri().authority().unwrap();
            prop_assert!(url.to_lowercase().contains(&authority.as_str().to_lowercase()), "{}", url);
            let port = authority.as_str().rsplit(']').next().unwrap().rsplit_once(':');
            prop_assert_eq!(port.map(|(_, port)| port.parse::<u16>().ok()), authority.port_u16().map(Some), "{}", url);
        }
    }

    #[test]
    fn keys_and_headers_are_rejected_or_sent_exactly(key in "\\PC{0,12}|[\"' ]?[a-z_]{1,8}[\"' \r\n]?", name in "[a-zA-Z -]{0,18}", value in "\\PC{0,9}") {
        let built = Client::builder().api_key(key.clone()).header(&name, &value).build();
        match built {
            Ok(client) => {
                let printed = format!("{client:?}");
                prop_assert!(!printed.contains("Bearer"), "{}", printed);
            }
            Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}"),
        }
        if let Ok(key) = fetch_hive_client::types::ApiKey::new(key.clone()) {
            prop_assert!(key.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn proxies_are_rejected_or_used(url in "(http|https|socks5|socks5h|htp|HTTP|)(://|:/|)([a-z%@#:]{0,6}@|)[a-z0-9.\\[\\]:-]{0,12}(:[0-9x]{0,6}|)[/?#\"\r ]{0,1}") {
        let built = HyperTransport::builder().proxy(url.clone()).build();
        match built {
            Ok(_) => prop_assert!(!url.contains(['#', '?', '"', '\r', ' '])),
            Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}"),
        }
        // No panic.
        let _ = blocking::UreqTransport::builder().proxy(url).build();
    }
}

#[test]
fn settings_that_lose_every_response_are_rejected() {
    let builder = || Client::builder().api_key("fhk_test").base_url("http://127.0.0.1:9/v1");
    for (setting, built) in [
        ("idle_timeout", builder().idle_timeout(Duration::ZERO).build()),
        ("headers_timeout", builder().headers_timeout(Duration::ZERO).build()),
        ("accept-encoding", builder().header("accept-encoding", "br").build()),
        ("range", builder().header("range", "bytes=0-9").build()),
        ("if-none-match", builder().header("if-none-match", "\"x\"").build()),
    ] {
        let error = built.unwrap_err().to_string();
        assert!(error.contains(setting), "{error}");
    }
    for key in ["FETCH_HIVE_API_KEY=fhk_1", "${FETCH_HIVE_API_KEY}", "undefined", "bearer:fhk_1"] {
        let built = Client::builder().api_key(key).build();
        let error = built.err().unwrap_or_else(|| panic!("{key} was accepted")).to_string();
        assert!(error.contains("api_key") && !error.contains("fhk_1"), "{error}");
    }
    for headers in [0, usize::MAX] {
        let error = fetch_hive_client::HyperTransport::builder().max_headers(headers).build().unwrap_err();
        assert!(error.to_string().contains("max_headers"), "{error}");
    }
    let untrusted = fetch_hive_client::HyperTransport::builder().only_added_root_certificates().build().unwrap_err();
    assert!(untrusted.to_string().contains("only_added_root_certificates"), "{untrusted}");
}
