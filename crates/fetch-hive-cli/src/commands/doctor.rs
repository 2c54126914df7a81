//! `fetch-hive doctor`.

use std::time::{Duration, SystemTime};

use clap::Args;
use fetch_hive_client::BaseUrl;
use http::header::DATE;
use serde_json::{Value, json};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::config::Config;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::keys::{KeySource, masked};
use crate::redact;
use crate::text::{duration, one_line};

const EXAMPLES: &str = "\
Examples:
  fetch-hive doctor
  fetch-hive doctor --json
  fetch-hive doctor --profile work";

/// The largest difference of the clocks that is not reported.
const MAX_SKEW: Duration = Duration::from_secs(60);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Doctor {}

/// The result of one check.
struct Check {
    name: &'static str,
    /// `ok`, `note` or `fail`.
    state: &'static str,
    text: String,
    advice: Option<String>,
}

#[derive(Default)]
struct Report {
    checks: Vec<Check>,
    exit: Option<Exit>,
}

impl Report {
    fn add(&mut self, name: &'static str, state: &'static str, text: impl Into<String>, advice: Option<String>) {
        self.checks.push(Check { name, state, text: one_line(&text.into()), advice });
    }

    fn ok(&mut self, name: &'static str, text: impl Into<String>) {
        self.add(name, "ok", text, None);
    }

    fn note(&mut self, name: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(name, "note", text, Some(advice.into()));
    }

    fn fail(&mut self, exit: Exit, name: &'static str, text: impl Into<String>, advice: impl Into<String>) {
        self.add(name, "fail", text, Some(advice.into()));
        self.exit.get_or_insert(exit);
    }

    fn failure(&mut self, name: &'static str, failure: Failure) {
        self.fail(failure.exit, name, failure.text, failure.next.unwrap_or_default());
    }
}

pub(crate) async fn execute(_: &Doctor, context: &Context) -> Result<()> {
    let mut report = Report::default();
    settings(&mut report);
    let has_key = key(&mut report, context);
    let url = base_url(&mut report, context).await;
    if let Some((host, port)) = url {
        if let Some((variable, url)) = proxy(&host) {
            let advice = format!("if the service is reachable directly, add {host} to NO_PROXY");
            report.note("proxy", format!("{variable} is {}", redact::url(&url)), advice);
        } else {
            report.ok("proxy", "none");
            addresses(&mut report, &host, port).await;
        }
        service(&mut report, context, has_key).await;
    }
    print(context, &report)?;
    match report.exit {
        None => Ok(()),
        Some(exit) => {
            let failed = report.checks.iter().filter(|check| check.state == "fail").count();
            Err(Failure::new(exit, format!("{failed} of {} checks failed", report.checks.len()))
                .next("follow the advice of the first failed check"))
        }
    }
}

fn settings(report: &mut Report) {
    match Config::path() {
        Ok(path) if path.exists() => report.ok("settings", path.display().to_string()),
        Ok(path) => report.ok("settings", format!("none ({} does not exist)", path.display())),
        Err(failure) => report.failure("settings", failure),
    }
}

fn key(report: &mut Report, context: &Context) -> bool {
    let read = context.key_source().and_then(|source| {
        if source == KeySource::Missing {
            return Err(Failure::new(Exit::Key, "no API key")
                .next("set FETCH_HIVE_API_KEY, or store a key with `fetch-hive auth login`"));
        }
        Ok((source.to_string(), masked(&source.read()?)))
    });
    match read {
        Ok((source, key)) => report.ok("key", format!("{key} from {source}")),
        Err(failure) => {
            report.failure("key", failure);
            return false;
        }
    }
    true
}

async fn base_url(report: &mut Report, context: &Context) -> Option<(String, u16)> {
    let checked = match context.base_url().await {
        Ok(Some(url)) => BaseUrl::new(&url).map_err(|error| {
            Failure::usage(crate::failure::text_of_invalid(&error))
                .next("correct `--base-url` or FETCH_HIVE_BASE_URL; it ends in /v1")
        }),
        Ok(None) => Ok(BaseUrl::default()),
        Err(failure) => Err(failure),
    };
    match checked {
        Ok(url) => {
            report.ok("base URL", url.as_str());
            let uri: http::Uri = url.as_str().parse().ok()?;
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
            Some((uri.host()?.trim_matches(['[', ']']).to_owned(), port))
        }
        Err(failure) => {
            report.failure("base URL", failure);
            None
        }
    }
}

/// Returns the proxy variable that applies to a host, and its value.
fn proxy(host: &str) -> Option<(&'static str, String)> {
    let read = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let excluded = read("NO_PROXY").or_else(|| read("no_proxy")).unwrap_or_default();
    let matches = |rule: &str| {
        let rule = rule.trim().trim_start_matches('.');
        rule == "*" || rule == host || (!rule.is_empty() && host.ends_with(&format!(".{rule}")))
    };
    if excluded.split(',').any(matches) || matches!(host, "localhost" | "127.0.0.1" | "::1") {
        return None;
    }
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find_map(|name| Some((name, read(name)?)))
}

async fn addresses(report: &mut Report, host: &str, port: u16) {
    let looked_up = timeout(CONNECT_TIMEOUT, lookup_host((host, port))).await;
    let addresses: Vec<_> = match looked_up {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let advice = format!("check the DNS server and the spelling of {host}; behind a proxy, set HTTPS_PROXY");
            return report.fail(Exit::NotStarted, "name lookup", format!("{host}: {error}"), advice);
        }
        Err(_) => {
            let text = format!("{host}: no answer within {}", duration(CONNECT_TIMEOUT));
            return report.fail(Exit::NotStarted, "name lookup", text, "check the DNS server");
        }
    };
    report.ok("name lookup", format!("{host} has {} address(es)", addresses.len()));
    let mut reached = 0;
    let mut failed = Vec::new();
    for address in &addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => reached += 1,
            Ok(Err(error)) => failed.push(format!("{address} ({error})")),
            Err(_) => failed.push(format!("{address} (no answer)")),
        }
    }
    let text = format!("{reached} of {} reachable on port {port}", addresses.len());
    let text = if failed.is_empty() { text } else { format!("{text}; not reachable: {}", failed.join(", ")) };
    match (reached, failed.len()) {
        (0, _) => report.fail(
            Exit::NotStarted,
            "addresses",
            text,
            format!("allow connections to {host}:{port} in the firewall, or set HTTPS_PROXY"),
        ),
        (_, 0) => report.ok("addresses", text),
        _ => report.note("addresses", text, "the client tries the next address, which takes time; check IPv6"),
    }
}

async fn service(report: &mut Report, context: &Context, has_key: bool) {
    let client = match context.client().await {
        Ok(client) => client,
        Err(failure) => return report.failure("client", failure),
    };
    let roots = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .find_map(|name| Some(format!("roots from {name}={}", std::env::var(name).ok()?)))
        .unwrap_or_else(|| "roots of the system".to_owned());
    // This operation needs no key, so it tells TLS from the key.
    match client.error_codes(None).await {
        Ok(response) => {
            report.ok("TLS and HTTP", format!("connected; {roots}"));
            clock(report, response.headers().get(DATE).and_then(|date| date.to_str().ok()));
        }
        Err(error) => {
            let failure = Failure::from(error);
            let advice = if failure.text.contains("certificate") {
                "add the root certificate of your proxy or company with SSL_CERT_FILE=FILE".to_owned()
            } else {
                failure.next.unwrap_or_default()
            };
            return report.fail(failure.exit, "TLS and HTTP", format!("{}; {roots}", failure.text), advice);
        }
    }
    if !has_key {
        return;
    }
    match client.models().await {
        Ok(models) => report.ok("free call", format!("the key is valid; {} models", models.len())),
        Err(error) => report.failure("free call", error.into()),
    }
}

fn clock(report: &mut Report, date: Option<&str>) {
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return report.note("clock", "the service sent no date", "compare the clock with another source");
    };
    let ours = SystemTime::now();
    let skew = ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours)).unwrap_or_default();
    if skew > MAX_SKEW {
        let advice = "correct the clock, such as with NTP; times of retries and of certificates depend on it";
        report.fail(Exit::Other, "clock", format!("differs by {} from the service", duration(skew)), advice);
    } else {
        report.ok("clock", "agrees with the service");
    }
}

fn print(context: &Context, report: &Report) -> Result<()> {
    let checks: Vec<Value> = report
        .checks
        .iter()
        .map(|check| json!({"check": check.name, "state": check.state, "text": check.text, "advice": check.advice}))
        .collect();
    if context.out.wants_json() {
        return context.out.json(json!({ "checks": checks }).to_string().as_bytes());
    }
    for check in &report.checks {
        context.out.text(&format!("{:<4}  {:<13} {}", check.state, check.name, check.text))?;
        if let Some(advice) = &check.advice {
            context.out.text(&format!("      {:<13} → {advice}", ""))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_needs_no_proxy() {
        assert_eq!(proxy("127.0.0.1"), None);
    }
}
