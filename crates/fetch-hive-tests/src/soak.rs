//! Many calls and streams at once against a service that fails a fifth of them, for minutes: nothing may be lost, run twice, or left behind.
//!
//! `soak SECONDS` prints figures and fails when something is wrong. The service is a process of its own (`soak --serve`), so that the figures
//! are those of the client.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fetch_hive_client::{Client, Error, HyperTransport};
use fetch_hive_emulator::{Emulator, EmulatorBuilder, Fault};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const AT_ONCE: usize = 64;
/// A call that has not ended after this is lost.
const LOST: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    let ended = match argument.as_str() {
        "--serve" => runtime.block_on(serve()),
        seconds => runtime.block_on(soak(seconds.parse().unwrap_or(300))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A fifth of the requests meets one of these; the others take a while.
fn faults(tls: bool) -> Vec<Fault> {
    let mut faults = vec![
        Fault::close(),
        Fault::status(503),
        Fault::status(429).header("retry-after-ms", "20"),
        Fault::status(500).body("{\"error\":\"E\"}"),
        Fault::status(200).body("x".repeat(1_000)).cut_after(500),
    ];
    if tls {
        // What ends a whole connection would fail the other calls on it too.
        faults.extend([Fault::reset_stream(2).after_run(), Fault::reset_stream(7), Fault::reset_stream(2)]);
    } else {
        faults.extend([Fault::reset().after_run(), Fault::garbage(), Fault::cut_head()]);
    }
    // One after the other, each takes 2.75 % of what is left: 1 - 0.9725 ^ 8 = 0.2.
    let mut faults: Vec<_> = faults.into_iter().map(|fault| fault.chance(0.0275)).collect();
    faults.push(Fault::delay(Duration::from_millis(60)));
    faults
}

/// Serves until its input ends, then says how often a run was started twice, and how many were.
async fn serve() -> Result<(), Failure> {
    let start = |tls| faults(tls).into_iter().fold(Emulator::builder().tls(tls), EmulatorBuilder::fault).start();
    let (plain, tls) = (start(false).await?, start(true).await?);
    let pem = tls.ca_pem().unwrap_or_default().replace('\n', "|");
    println!("{} {} {pem}", plain.base_url(), tls.base_url());
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    let mut runs = BTreeMap::<String, usize>::new();
    for run in plain.runs().into_iter().chain(tls.runs()) {
        *runs.entry(run.deployment).or_default() += 1;
    }
    let requests = plain.requests().len() + tls.requests().len();
    println!("{} {} {requests}", runs.values().filter(|times| **times > 1).count(), runs.len());
    Ok(())
}

#[derive(Default)]
struct Told(Mutex<BTreeMap<String, u64>>);

impl Told {
    fn add(&self, what: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *told.entry(what.to_owned()).or_default() += 1;
    }
}

async fn soak(seconds: u64) -> Result<(), Failure> {
    let mut service =
        Command::new(std::env::current_exe()?).arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let ended = measure(&mut service, seconds).await;
    let _ = service.kill();
    let _ = service.wait();
    ended
}

async fn measure(service: &mut Child, seconds: u64) -> Result<(), Failure> {
    let mut said = BufReader::new(service.stdout.take().ok_or("the service says nothing")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    let [plain, tls, pem] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        return Err("the service did not start".into());
    };
    let clients = [
        Client::builder().api_key("fhk_soak").base_url(plain).timeout(Duration::from_secs(10)).build()?,
        Client::builder()
            .api_key("fhk_soak")
            .base_url(tls)
            .timeout(Duration::from_secs(10))
            .transport(HyperTransport::builder().add_root_certificates_pem(pem.trim().replace('|', "\n")).build()?)
            .build()?,
    ];
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let pid = service.id();
    let before = (tasks(), sockets("self")?, sockets(&pid.to_string())?);
    let (told, numbers) = (Arc::new(Told::default()), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let callers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (clients, told, numbers) = (clients.clone(), Arc::clone(&told), Arc::clone(&numbers));
            tokio::spawn(async move {
                while Instant::now() < end {
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    match tokio::time::timeout(LOST, call(&clients[(number % 2) as usize], number)).await {
                        Ok(Ok(what)) => told.add(what),
                        Ok(Err(error)) => told.add(&format!("error {}", error.error_type())),
                        Err(_) => told.add("LOST"),
                    }
                }
            })
        })
        .collect();
    let mut memory = Vec::new();
    for share in [0.1, 0.5, 0.99] {
        tokio::time::sleep_until((start + Duration::from_secs(seconds).mul_f64(share)).into()).await;
        memory.push(resident()?);
    }
    for caller in callers {
        caller.await?;
    }
    drop(clients);
    let mut after = (0, 0, 0);
    for _ in 0..200 {
        after = (tasks(), sockets("self")?, sockets(&pid.to_string())?);
        if after == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = resident()?;
    drop(service.stdin.take());
    line.clear();
    said.read_line(&mut line)?;
    let counts: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [twice, runs, received] = counts[..] else { return Err("the service did not count".into()) };

    let told = told.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let issued = numbers.load(Ordering::Relaxed);
    let failed: u64 = told.iter().filter(|(what, _)| what.starts_with("error")).map(|(_, times)| times).sum();
    println!(
        "{seconds} s, {AT_ONCE} at once: {issued} calls, {received} requests, {runs} runs started, {twice} of them twice"
    );
    for (what, times) in &told {
        println!("  {times:>8}  {what}");
    }
    println!("  {:>7} %  of the calls ended with an error", failed * 100 / issued.max(1));
    println!(
        "live tasks, own sockets, sockets of the service: {before:?} before, {after:?} after the last client was dropped"
    );
    println!(
        "resident memory: {} KiB at 10 %, {} KiB in the middle, {} KiB at the end, {left} KiB after",
        memory[0], memory[1], memory[2]
    );

    let ended: u64 = told.values().sum();
    let checks = [
        (issued == ended && !told.contains_key("LOST"), "a call was lost"),
        (twice == 0, "a run was started twice"),
        (issued > 100 && failed * 50 > issued, "the service did not fail often enough to prove anything"),
        (after == before, "tasks or sockets are left behind"),
        (memory[2] < memory[1] + memory[1] / 10 + 8_192, "memory grows"),
    ];
    match checks.iter().find(|(fine, _)| !fine) {
        Some((_, what)) => Err((*what).into()),
        None => Ok(()),
    }
}

/// One call: mostly a run, else a stream, which now and then is dropped midway.
async fn call(client: &Client, number: u64) -> Result<&'static str, Error> {
    if number % 10 < 7 {
        client.invoke_workflow(format!("d{number}")).input("n", number).await?;
        return Ok("runs");
    }
    let mut events = client.invoke_prompt(format!("p{number}")).input("text", "one two three four").stream().await?;
    if number % 40 == 9 {
        if let Some(event) = events.next().await {
            event?;
        }
        return Ok("streams dropped midway");
    }
    events.into_response().await.complete()?;
    Ok("streams")
}

/// The open sockets of a process.
fn sockets(process: &str) -> Result<usize, Failure> {
    let mut sockets = 0;
    for file in std::fs::read_dir(format!("/proc/{process}/fd"))? {
        let is_socket = |target: std::path::PathBuf| target.to_string_lossy().starts_with("socket:");
        sockets += usize::from(std::fs::read_link(file?.path()).is_ok_and(is_socket));
    }
    Ok(sockets)
}

/// The resident memory of this process, in KiB.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
