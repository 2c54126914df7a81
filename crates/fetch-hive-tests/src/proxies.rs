//! Tests the client with real proxies, tinyproxy and microsocks, with passwords: `cargo xtask
//! proxies`.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use fetch_hive_client::{Client, Error, HyperTransport, RetryPolicy};
use fetch_hive_emulator::Emulator;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Variables<'a> = &'a [(&'a str, &'a str)];

const CREDENTIALS: &str = "user:PROXYSECRET";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--call", url] => call_with_default_transport(url).await,
        _ => run_checks().await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxies: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes a call without a proxy setting, so that the environment determines the proxy.
async fn call_with_default_transport(url: &str) -> Result<(), BoxError> {
    let client = Client::builder().api_key("fhk_test").base_url(url).allow_plain_http().retry(RetryPolicy::never());
    client.build()?.invoke_workflow("d").await?;
    Ok(())
}

/// A proxy process that is killed on drop.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn wait_for_port(port: u16) -> Result<(), BoxError> {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Err("the proxy did not start".into())
}

fn free_port() -> Result<u16, BoxError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

async fn tinyproxy(folder: &Path) -> Result<(Proxy, u16), BoxError> {
    let port = free_port()?;
    let file = folder.join("tinyproxy.conf");
    let log = folder.join("tinyproxy.log");
    let (user, password) = CREDENTIALS.split_once(':').unwrap_or_default();
    std::fs::write(
        &file,
        format!(
            "Port {port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Info\nLogFile \"{}\"\nBasicAuth {user} {password}\nMaxClients 50\n",
            log.display()
        ),
    )?;
    let child =
        Command::new("tinyproxy").arg("-d").arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let proxy = Proxy(child);
    wait_for_port(port).await?;
    Ok((proxy, port))
}

async fn microsocks() -> Result<(Proxy, u16), BoxError> {
    let port = free_port()?;
    let (user, password) = CREDENTIALS.split_once(':').unwrap_or_default();
    let mut command = Command::new("microsocks");
    command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", user, "-P", password]);
    let proxy = Proxy(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    wait_for_port(port).await?;
    Ok((proxy, port))
}

async fn call_through(proxy: String, service: &Emulator) -> Result<(), Error> {
    let mut transport = HyperTransport::builder().proxy(proxy);
    if let Some(pem) = service.ca_pem() {
        transport = transport.add_root_certificates_pem(pem);
    }
    let client = Client::builder().api_key("fhk_test").base_url(service.base_url()).retry(RetryPolicy::never());
    client.transport(transport.build()?).build()?.invoke_workflow("d").await.map(drop)
}

async fn run_checks() -> Result<(), BoxError> {
    let folder = std::env::temp_dir().join(format!("fetch-hive-proxies-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = checks(&folder).await;
    let _ = std::fs::remove_dir_all(&folder);
    result
}

async fn checks(folder: &Path) -> Result<(), BoxError> {
    let (_http, http_port) = tinyproxy(folder).await?;
    let (_socks, socks_port) = microsocks().await?;
    let plain = Emulator::start().await?;
    let tls = Emulator::builder().tls(true).start().await?;
    let tunnels =
        || std::fs::read_to_string(folder.join("tinyproxy.log")).unwrap_or_default().matches("CONNECT ").count();

    call_through(format!("http://{CREDENTIALS}@127.0.0.1:{http_port}"), &plain).await?;
    let via = plain.requests().last().is_some_and(|request| request.headers.contains_key("via"));
    let leaked = plain.requests().iter().any(|request| request.headers.contains_key("proxy-authorization"));
    expect("http through tinyproxy with a password", via && !leaked)?;

    let before = tunnels();
    call_through(format!("http://{CREDENTIALS}@127.0.0.1:{http_port}"), &tls).await?;
    expect("https through tinyproxy (CONNECT) with a password", tunnels() > before && tls.requests().len() == 1)?;

    for (service, name) in [(&plain, "http"), (&tls, "https")] {
        let received = service.requests().len();
        let refused = call_through(format!("http://user:WRONG@127.0.0.1:{http_port}"), service).await;
        let error_text = refused.as_ref().err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        let rejected = refused.is_err_and(|error| !error.may_have_run()) && service.requests().len() == received;
        expect(
            &format!("{name} through tinyproxy with a wrong password is refused"),
            rejected && !error_text.contains("WRONG"),
        )?;

        for scheme in ["socks5", "socks5h"] {
            let received = service.requests().len();
            call_through(format!("{scheme}://{CREDENTIALS}@127.0.0.1:{socks_port}"), service).await?;
            expect(
                &format!("{name} through microsocks ({scheme}) with a password"),
                service.requests().len() == received + 1,
            )?;
        }
        let refused = call_through(format!("socks5://user:WRONG@127.0.0.1:{socks_port}"), service).await;
        let error_text = refused.as_ref().err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        let rejected = refused.is_err_and(|error| !error.may_have_run()) && !error_text.contains("WRONG");
        expect(&format!("{name} through microsocks with a wrong password is refused and not sent"), rejected)?;
    }

    // A proxy from the environment is never used for loopback, so these checks need another
    // address.
    let Some(address) = external_address() else {
        println!("   SKIPPED: proxies from the environment, because this machine has only loopback addresses");
        return Ok(());
    };
    let outside = Emulator::builder().listen((address, 0).into()).start().await?;
    let proxy = format!("http://{CREDENTIALS}@127.0.0.1:{http_port}");
    let socks = format!("socks5://{CREDENTIALS}@127.0.0.1:{socks_port}");
    let closed_port = "http://127.0.0.1:1".to_owned();
    let rows: [(&str, Variables<'_>, bool); 6] = [
        ("HTTP_PROXY is used", &[("HTTP_PROXY", &proxy)], true),
        ("http_proxy is used", &[("http_proxy", &proxy)], true),
        ("ALL_PROXY is used", &[("ALL_PROXY", &proxy)], true),
        ("ALL_PROXY with SOCKS5 is used", &[("ALL_PROXY", &socks)], false),
        (
            "NO_PROXY with the address disables the proxy",
            &[("HTTP_PROXY", &closed_port), ("NO_PROXY", &address.to_string())],
            false,
        ),
        ("NO_PROXY with * disables the proxy", &[("ALL_PROXY", &closed_port), ("NO_PROXY", "*")], false),
    ];
    for (name, environment, want_via) in rows {
        let received = outside.requests().len();
        let (url, environment) = (outside.base_url(), environment.iter().map(|(a, b)| (a.to_string(), b.to_string())));
        let succeeded = call(url, environment.collect()).await?;
        let requests = outside.requests();
        let via = requests.last().is_some_and(|request| request.headers.contains_key("via"));
        expect(name, succeeded && requests.len() == received + 1 && via == want_via)?;
    }
    https_checks(folder, address, &proxy, &closed_port, &tunnels).await?;
    let received = outside.requests().len();
    let succeeded = call(outside.base_url(), vec![("HTTP_PROXY".to_owned(), closed_port.clone())]).await?;
    expect(
        "an unreachable proxy from the environment fails the call",
        !succeeded && outside.requests().len() == received,
    )?;
    let succeeded = call(plain.base_url(), vec![("HTTP_PROXY".to_owned(), closed_port)]).await?;
    expect("a proxy from the environment is not used for loopback", succeeded)
}

/// Checks proxies from the environment for HTTPS. `SSL_CERT_FILE` makes the process trust the
/// emulator.
async fn https_checks(
    folder: &Path,
    address: IpAddr,
    proxy: &str,
    closed_port: &str,
    tunnels: &impl Fn() -> usize,
) -> Result<(), BoxError> {
    let outside = Emulator::builder().listen((address, 0).into()).tls(true).start().await?;
    let roots = folder.join("roots.pem");
    std::fs::write(&roots, outside.ca_pem().unwrap_or_default())?;
    let address = address.to_string();
    let rows: [(&str, Variables<'_>, bool, bool); 8] = [
        ("https: HTTPS_PROXY is used", &[("HTTPS_PROXY", proxy)], true, true),
        ("https: https_proxy is used", &[("https_proxy", proxy)], true, true),
        ("https: ALL_PROXY is used", &[("ALL_PROXY", proxy)], true, true),
        ("https: HTTP_PROXY is ignored", &[("HTTP_PROXY", closed_port)], true, false),
        ("https: NO_PROXY with the address", &[("HTTPS_PROXY", closed_port), ("NO_PROXY", &address)], true, false),
        ("https: no_proxy with the address", &[("https_proxy", closed_port), ("no_proxy", &address)], true, false),
        ("https: NO_PROXY with *", &[("HTTPS_PROXY", closed_port), ("NO_PROXY", "*")], true, false),
        ("https: an unreachable HTTPS_PROXY fails the call", &[("HTTPS_PROXY", closed_port)], false, false),
    ];
    for (name, environment, works, uses_tunnel) in rows {
        let (received, before) = (outside.requests().len(), tunnels());
        let mut all: Vec<_> = environment.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        all.push(("SSL_CERT_FILE".to_owned(), roots.display().to_string()));
        let succeeded = call(outside.base_url(), all).await?;
        let now = outside.requests().len();
        expect(
            name,
            succeeded == works && now == received + usize::from(works) && (tunnels() > before) == uses_tunnel,
        )?;
    }
    Ok(())
}

/// Makes a call in a new process with the environment. Returns whether it succeeded.
async fn call(url: String, environment: Vec<(String, String)>) -> Result<bool, BoxError> {
    let program = std::env::current_exe()?;
    let work = move || {
        let mut command = Command::new(program);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.arg("--call").arg(url).envs(environment).stderr(Stdio::null()).status()
    };
    Ok(tokio::task::spawn_blocking(work).await??.success())
}

/// Returns the address from which this machine reaches other hosts. Nothing is sent.
fn external_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn expect(description: &str, passed: bool) -> Result<(), BoxError> {
    println!("   {} {description}", if passed { "ok   " } else { "WRONG" });
    if passed { Ok(()) } else { Err(format!("not true: {description}").into()) }
}
