//! The command `fetch-hive-emulator`.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use fetch_hive_emulator::{Emulator, EmulatorBuilder, StartError};
use lexopt::prelude::*;

const HELP: &str = concat!(include_str!("help.txt"), include_str!("format.txt"), include_str!("help_end.txt"));

struct Options {
    builder: EmulatorBuilder,
    ca_out: Option<String>,
    page: bool,
}

enum Parsed {
    Run(Box<Options>),
    Print(String),
}

fn parse() -> Result<Parsed, lexopt::Error> {
    let mut listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8787));
    let mut builder = Emulator::builder().indexing(Duration::from_millis(500)).record_limit(1_000);
    let (mut ca_out, mut quiet, mut page) = (None, false, cfg!(feature = "page"));
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = parse_address(&parser.value()?.string()?)?,
            Long("config") => builder = builder.config(parser.value()?),
            #[cfg(feature = "store")]
            Long("data") => builder = builder.data(parser.value()?),
            Long("plan") => builder = builder.plan(parser.value()?.parse()?),
            Long("concurrency") => builder = builder.concurrency(parser.value()?.parse()?),
            Long("daily-cap") => builder = builder.daily_cap(parser.value()?.parse()?),
            Long("fault") => builder = builder.fault(parser.value()?.parse()?),
            Long("fault-header") => builder = builder.fault_header(),
            Long("indexing") => builder = builder.indexing(Duration::from_millis(parser.value()?.parse()?)),
            Long("link-lifetime") => {
                builder = builder.asset_link_lifetime(Duration::from_millis(parser.value()?.parse()?));
            }
            Long("workspace") => builder = builder.workspace(parser.value()?.string()?),
            Long("api-key") => builder = builder.api_key(parser.value()?.string()?),
            Long("allow-private") => builder = builder.allow_private_callbacks(),
            Long("loopback-only") => builder = builder.loopback_callbacks_only(),
            Long("tls") => builder = builder.tls(true),
            Long("ca-out") => ca_out = Some(parser.value()?.string()?),
            Long("no-page") => page = false,
            Short('q') | Long("quiet") => quiet = true,
            Short('h') | Long("help") => return Ok(Parsed::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Parsed::Print(concat!("fetch-hive-emulator ", env!("CARGO_PKG_VERSION"), "\n").to_owned()));
            }
            _ => return Err(argument.unexpected()),
        }
    }
    if !quiet {
        builder = builder.logger(log);
    }
    #[cfg(feature = "page")]
    let builder = builder.page(page);
    Ok(Parsed::Run(Box::new(Options { builder: builder.listen(listen), ca_out, page })))
}

/// Parses an address such as `127.0.0.1:8787`, `localhost:8787` or `:8787` (a loopback port).
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let form = "use IP:PORT, HOST:PORT or :PORT";
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("--listen {text} has no port; {form}"))?;
    let port: u16 = port.parse().map_err(|_| format!("--listen {text} has an invalid port; {form}"))?;
    if host.is_empty() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    let resolved =
        (host, port).to_socket_addrs().map_err(|error| format!("cannot resolve --listen {text}: {error}; {form}"))?;
    let addresses: Vec<SocketAddr> = resolved.collect();
    let first = addresses.iter().find(|address| address.is_ipv4()).or_else(|| addresses.first());
    first.copied().ok_or_else(|| format!("--listen {text} resolves to no address; {form}"))
}

/// Writes a line to standard error. A closed standard error does not stop the emulator.
fn log(line: &str) {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (seconds, ms) = (since_1970.as_secs() % 86_400, since_1970.subsec_millis());
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = writeln!(std::io::stderr(), "{hour:02}:{minute:02}:{second:02}.{ms:03}Z {line}");
}

#[tokio::main]
async fn main() -> ExitCode {
    let failed = |code: u8, error: &dyn std::fmt::Display| {
        eprintln!("fetch-hive-emulator: {error}");
        ExitCode::from(code)
    };
    let options = match parse() {
        Ok(Parsed::Run(options)) => options,
        Ok(Parsed::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return failed(2, &format!("{error}; see --help")),
    };
    let emulator = match options.builder.start().await {
        Ok(emulator) => emulator,
        Err(error @ (StartError::Config(_) | StartError::Fault(_))) => return failed(2, &error),
        Err(error) => return failed(1, &error),
    };
    if let (Some(file), Some(pem)) = (&options.ca_out, emulator.ca_pem()) {
        if let Err(error) = std::fs::write(file, pem) {
            return failed(1, &format!("cannot write {file}: {error}"));
        }
    }
    let mut out = std::io::stdout();
    let _ = writeln!(out, "listening on {}", emulator.base_url());
    if options.page {
        let _ = writeln!(out, "page at {}/_emulator/", emulator.base_url().trim_end_matches("/v1"));
    }
    let _ = out.flush();
    wait_for_stop().await;
    ExitCode::SUCCESS
}

/// Waits for a signal to stop.
async fn wait_for_stop() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
