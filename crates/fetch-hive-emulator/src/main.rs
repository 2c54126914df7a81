//! The command `fetch-hive-emulator`.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use fetch_hive_emulator::{Emulator, EmulatorBuilder};
use lexopt::prelude::*;

const HELP: &str = "\
The Fetch Hive service on one machine, for tests and offline development in any language.

Usage: fetch-hive-emulator [OPTIONS]

The first line on standard output is `listening on URL`, with the base URL for a client. Any API key is
accepted, but fhk_invalid and fhk_revoked; any workspace exists. Every deployment and agent answers with
a text made from its inputs, unless a file declares it. A page that shows requests, replies, streams and
callbacks is at /_emulator/ of the same address; a line about each is on standard error.
A callback is signed in x-fetch-hive-signature: the HMAC-SHA256 of its body in hex, keyed with the webhook
secret, which the reply to the invocation has.

Options:
      --listen ADDRESS     where to listen [default: 127.0.0.1:8787]; port 0 takes a free one
      --config FILE        declare deployments, in TOML or (.yaml) YAML; read again when it changes
      --data FILE          keep records in FILE, and have them again after a restart or a crash
      --plan PLAN          the limits of a plan: lite (1 run at a time), starter (3) or pro (5), and calls a day
      --concurrency RUNS   runs at a time; further direct ones get a 429, callback ones queue
      --daily-cap CALLS    calls a day (UTC); further ones get a 429 until midnight
      --indexing MS        how long an item of a knowledge base is pending [default: 500]
      --link-lifetime MS   how long the link to an asset is good [default: 3600000]
      --workspace ID       a workspace that there is; others get a 404 then. Can be given several times
      --api-key KEY        accept this API key alone
      --allow-private      deliver callbacks to private addresses beyond loopback too
      --loopback-only      deliver callbacks to loopback alone; nothing leaves this machine then
      --tls                serve https with a certificate made for loopback
      --ca-out FILE        write the authority of that certificate there, as PEM
      --fault WORDS        make something go wrong, such as 'status=503 chance=0.1' or 'reset after-run nth=2';
                           can be given several times
      --fault-header       let a request ask for a fault by its header x-fetch-hive-fault, in the same words;
                           one of callbacks is for the run that the request starts
      --no-page            serve no page
  -q, --quiet              no line about each request
  -h, --help               print this
  -V, --version            print the version

A file of deployments (all but the names may be left out; `[[prompt]]` and `[[hive_agent]]` are alike):

  [[workflow]]
  deployment = \"weekly-report\"
  output_template = \"Report on {{ inputs.topic }}\"     # or: output = { any = \"JSON\" }; output_format = \"json\"
  delay_ms = 200
  inputs.topic = { type = \"string\", required = true }
  steps = [{ name = \"review\", human_in_the_loop = true }, { name = \"send\", delay_ms = 50, failure = \"no mail\" }]
  webhook_secret = \"whsec_local\"

  [[fault]]
  words = \"status=503 operation=invokeWorkflow nth=2\"

  [[agent]]
  agent = \"support\"
  response = \"Done.\"
  tools = [{ tool = \"search\", input = { q = \"x\" }, observation = { hits = 1 } }, { tool = \"refund\", approval = \"ask\" }]
  stream = [{ text = \"Do\" }, { wait_ms = 100 }, { text = \"ne.\" }, { event = { type = \"usage\" } }, { done = true }]

While it runs: POST /_emulator/faults {\"fault\": \"WORDS\"} adds a fault, DELETE /_emulator/faults ends all, and
PUT /_emulator/records/KIND/WORKSPACE/ID puts a record (agent, knowledge_base, approval), so that an id is known.

Words of a fault begin with what goes wrong:
  a request      status=CODE, delay=MS, hang, close, reset, garbage, cut-head, go-away, go-away-processed,
                 reset-stream=REASON; with after-run (the run starts, its reply is lost), and for a status
                 body=TEXT (_ is a blank, %XX any byte), body-blanks=N, header=NAME:VALUE,
                 cut-after=, reset-after=, stall-after=BYTES of that body; raw=BYTES in place of an answer
  a connection   reset-connection, silent-connection, wrong-certificate-name, expired-certificate, unknown-issuer
  a callback     callback-late=MS, callback-repeat=TIMES, callback-reorder, callback-corrupt, callback-missign,
                 callback-unsigned, callback-lost, callback-early (before the invocation is answered);
                 with event=TYPE (such as workflow.completed), first-tries=N (right after N tries)
and go on with which of them: operation=ID (such as invokeAgent), nth=N, every=N, offset=N (not the first N),
times=N (no more than N), chance=0.1. Of the faults for a request the first that strikes does; of those for a
callback, all do: 'callback-repeat=2 every=10', 'callback-missign first-tries=1 operation=invokeWorkflow'.
A fault counts what it could strike from when it is added, without what another fault for requests struck before it.

Exit codes: 0 stopped by a signal, 1 could not start, 2 wrong options or file.
";

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
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 8787));
    let mut builder = Emulator::builder().indexing(Duration::from_millis(500)).recorded(1_000);
    let (mut ca_out, mut quiet, mut page) = (None, false, cfg!(feature = "page"));
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => listen = parser.value()?.parse()?,
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

/// Writes a line to standard error; who does not read it does not stop the emulator.
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
        Err(error) => return failed(2, &format!("{error}\nTry --help.")),
    };
    let emulator = match options.builder.start().await {
        Ok(emulator) => emulator,
        Err(error @ fetch_hive_emulator::StartError::Config(_)) => return failed(2, &error),
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
