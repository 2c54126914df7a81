//! A soak test: many concurrent calls and streams against a service that fails a fifth of them.
//!
//! `soak SECONDS` prints figures, and fails if a call is lost, a run starts twice, tasks or sockets
//! are left, or memory grows. The service is a separate process (`soak --serve`), so that the
//! figures describe only the client.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fetch_hive_client::{Client, Error, HyperTransport};
use fetch_hive_emulator::{Emulator, EmulatorBuilder, Fault};
use fetch_hive_tests::process::{BoxError, memory_kib, run_program, sockets};

/// The number of each result.
type Results = Arc<Mutex<BTreeMap<String, u64>>>;

const CONCURRENT_CALLS: usize = 64;
/// The time after which a call counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    run_program("soak", 300, serve, soak)
}

/// Returns faults that affect a fifth of the requests, and a delay for the others.
fn faults(tls: bool) -> Vec<Fault> {
    let mut faults = vec![
        Fault::close(),
        Fault::status(503),
        Fault::status(429).header("retry-after-ms", "20"),
        Fault::status(500).body("{\"error\":\"E\"}"),
        Fault::status(200).body("x".repeat(1_000)).cut_after(500),
    ];
    if tls {
        // A fault that ends an HTTP/2 connection would also fail the other calls on it.
        faults.extend([Fault::reset_stream(2).after_run(), Fault::reset_stream(7), Fault::reset_stream(2)]);
    } else {
        faults.extend([Fault::reset().after_run(), Fault::garbage(), Fault::cut_head()]);
    }
    // Each of the 8 faults affects 2.75 % of the requests that the earlier ones left: 1 - 0.9725 ^
    // 8 = 0.2.
    let mut faults: Vec<_> = faults.into_iter().map(|fault| fault.chance(0.0275)).collect();
    faults.push(Fault::delay(Duration::from_millis(60)));
    faults
}

/// Serves until the standard input ends. Then prints the number of deployments whose run started
/// more than once, the number of deployments, and the number of requests.
async fn serve() -> Result<(), BoxError> {
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
    println!("{} {} {requests}", runs.values().filter(|count| **count > 1).count(), runs.len());
    Ok(())
}

fn lock(results: &Results) -> MutexGuard<'_, BTreeMap<String, u64>> {
    results.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn soak(seconds: u64) -> Result<(), BoxError> {
    let mut service =
        Command::new(std::env::current_exe()?).arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let result = measure(&mut service, seconds).await;
    let _ = service.kill();
    let _ = service.wait();
    result
}

async fn measure(service: &mut Child, seconds: u64) -> Result<(), BoxError> {
    let mut output = BufReader::new(service.stdout.take().ok_or("the service has no standard output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let clients = clients(&line)?;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let pid = service.id();
    let before = (tasks(), sockets("self")?, sockets(&pid.to_string())?);
    let (results, issued) = (Results::default(), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let callers: Vec<_> = (0..CONCURRENT_CALLS)
        .map(|_| tokio::spawn(call_until(end, clients.clone(), Arc::clone(&results), Arc::clone(&issued))))
        .collect();
    let mut memory = Vec::new();
    for share in [0.1, 0.5, 0.99] {
        tokio::time::sleep_until((start + Duration::from_secs(seconds).mul_f64(share)).into()).await;
        memory.push(memory_kib("VmRSS")?);
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
    let memory_after = memory_kib("VmRSS")?;
    drop(service.stdin.take());
    line.clear();
    output.read_line(&mut line)?;
    let counts: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [twice, runs, received] = counts[..] else { return Err("the service printed no counts".into()) };

    let results = lock(&results).clone();
    let issued = issued.load(Ordering::Relaxed);
    let failed: u64 = results.iter().filter(|(result, _)| result.starts_with("error")).map(|(_, count)| count).sum();
    println!(
        "{seconds} s, {CONCURRENT_CALLS} concurrent: {issued} calls, {received} requests, {runs} runs, {twice} started twice"
    );
    for (result, count) in &results {
        println!("  {count:>8}  {result}");
    }
    println!("  {:>7} %  of the calls returned an error", failed * 100 / issued.max(1));
    println!("live tasks, sockets of the client, sockets of the service: {before:?} before, {after:?} after");
    println!(
        "resident memory: {} KiB at 10 %, {} KiB at 50 %, {} KiB at the end, {memory_after} KiB after",
        memory[0], memory[1], memory[2]
    );

    let ended: u64 = results.values().sum();
    let checks = [
        (issued == ended && !results.contains_key("LOST"), "a call was lost"),
        (twice == 0, "a run was started twice"),
        (issued > 100 && failed * 50 > issued, "too few calls failed for a meaningful test"),
        (after == before, "tasks or sockets were left"),
        (memory[2] < memory[1] + memory[1] / 10 + 8_192, "memory grew"),
    ];
    match checks.iter().find(|(passed, _)| !passed) {
        Some((_, problem)) => Err((*problem).into()),
        None => Ok(()),
    }
}

/// Builds a client for plain HTTP and one for HTTPS, from the first line that the service printed.
fn clients(line: &str) -> Result<[Client; 2], BoxError> {
    let [plain, tls, pem] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        return Err("the service did not start".into());
    };
    let builder =
        |base_url: &str| Client::builder().api_key("fhk_soak").base_url(base_url).timeout(Duration::from_secs(10));
    let pem = pem.trim().replace('|', "\n");
    let transport = HyperTransport::builder().add_root_certificates_pem(pem).build()?;
    Ok([builder(plain).build()?, builder(tls).transport(transport).build()?])
}

/// Makes one call after the other until the end, alternating between the clients.
async fn call_until(end: Instant, clients: [Client; 2], results: Results, issued: Arc<AtomicU64>) {
    while Instant::now() < end {
        let number = issued.fetch_add(1, Ordering::Relaxed);
        let result = match tokio::time::timeout(LOST_AFTER, call(&clients[(number % 2) as usize], number)).await {
            Ok(Ok(result)) => result.to_owned(),
            Ok(Err(error)) => format!("error {}", error.error_type()),
            Err(_) => "LOST".to_owned(),
        };
        *lock(&results).entry(result).or_default() += 1;
    }
}

/// Sends one request. 70 % are direct runs and 30 % are streams, some of which are dropped early.
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
