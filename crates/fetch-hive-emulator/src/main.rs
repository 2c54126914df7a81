//! The command `fetch-hive-emulator`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use fetch_hive_emulator::{Emulator, EmulatorBuilder, read_deployments};
use lexopt::prelude::*;

const HELP: &str = "\
The Fetch Hive service on one machine, for tests and offline development.

Usage: fetch-hive-emulator [OPTIONS]

The first line on standard output is `listening on URL`, with the base URL for a client.
Every deployment answers with a text made from its inputs, unless a file declares it.

Options:
      --listen ADDRESS     where to listen [default: 127.0.0.1:8787]; port 0 takes a free one
      --tls                serve https with a certificate made for loopback
      --ca-out FILE        write the authority of that certificate there, as PEM
      --api-key KEY        accept this API key alone [default: any but fhk_invalid and fhk_revoked]
      --config FILE        declare deployments in TOML, a table [[workflow]] for each, with
                           deployment, output, failure, delay_ms, human_in_the_loop, webhook_secret
      --concurrency RUNS   runs at a time; further direct ones get a 429, callback ones queue
      --daily-cap CALLS    calls a day (UTC); further ones get a 429
      --fault WORDS        make something go wrong, such as 'status=503 chance=0.1' or 'reset after-run nth=2';
                           can be given several times
      --fault-header       let a request ask for a fault by its header x-fetch-hive-fault, in the same words
      --allow-private      deliver callbacks to private addresses beyond loopback too
  -h, --help               print this
  -V, --version            print the version

Exit codes: 0 stopped by a signal, 1 could not start, 2 wrong options.
";

struct Options {
    builder: EmulatorBuilder,
    ca_out: Option<String>,
}

enum Parsed {
    Run(Box<Options>),
    Print(String),
}

fn parse() -> Result<Parsed, lexopt::Error> {
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 8787));
    let mut builder = Emulator::builder();
    let mut ca_out = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = parser.value()?.parse()?,
            Long("tls") => builder = builder.tls(true),
            Long("ca-out") => ca_out = Some(parser.value()?.string()?),
            Long("api-key") => builder = builder.api_key(parser.value()?.string()?),
            Long("config") => {
                let deployments = read_deployments(parser.value()?).map_err(|error| error.to_string())?;
                builder = builder.deployments(deployments);
            }
            Long("concurrency") => builder = builder.concurrency(parser.value()?.parse()?),
            Long("daily-cap") => builder = builder.daily_cap(parser.value()?.parse()?),
            Long("fault") => builder = builder.fault(parser.value()?.parse()?),
            Long("fault-header") => builder = builder.fault_header(),
            Long("allow-private") => builder = builder.allow_private_callbacks(),
            Short('h') | Long("help") => return Ok(Parsed::Print(HELP.to_owned())),
            Short('V') | Long("version") => {
                return Ok(Parsed::Print(concat!("fetch-hive-emulator ", env!("CARGO_PKG_VERSION"), "\n").to_owned()));
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Parsed::Run(Box::new(Options { builder: builder.listen(listen), ca_out })))
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
        Err(error) => return failed(2, &format!("{error}\nTry --help.")),
    };
    let emulator = match options.builder.start().await {
        Ok(emulator) => emulator,
        Err(error) => return failed(1, &error),
    };
    if let (Some(file), Some(pem)) = (&options.ca_out, emulator.ca_pem()) {
        if let Err(error) = std::fs::write(file, pem) {
            return failed(1, &format!("cannot write {file}: {error}"));
        }
    }
    let mut out = std::io::stdout();
    let _ = writeln!(out, "listening on {}", emulator.base_url());
    let _ = out.flush();
    stopped().await;
    ExitCode::SUCCESS
}

/// Waits for the signals that ask a program to stop.
async fn stopped() {
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
