//! The client through real proxies, tinyproxy and microsocks, with passwords: `cargo xtask proxies`.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use fetch_hive_client::{Client, Error, HyperTransport, RetryPolicy};
use fetch_hive_emulator::Emulator;

type Failure = Box<dyn std::error::Error + Send + Sync>;

type Variables<'a> = &'a [(&'a str, &'a str)];

const HELD: &str = "user:PROXYSECRET";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ended = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--call", url] => by_environment(url).await,
        _ => check().await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxies: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a program does that says nothing of proxies.
async fn by_environment(url: &str) -> Result<(), Failure> {
    let client = Client::builder().api_key("fhk_test").base_url(url).allow_plain_http().retry(RetryPolicy::never());
    client.build()?.invoke_workflow("d").await?;
    Ok(())
}

/// A process that ends with its value.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn ready(port: u16) -> Result<(), Failure> {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Err("the proxy does not start".into())
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

async fn tinyproxy(folder: &Path) -> Result<(Proxy, u16), Failure> {
    let port = free_port()?;
    let file = folder.join("tinyproxy.conf");
    let log = folder.join("tinyproxy.log");
    let (user, password) = HELD.split_once(':').unwrap_or_default();
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
    ready(port).await?;
    Ok((proxy, port))
}

async fn microsocks() -> Result<(Proxy, u16), Failure> {
    let port = free_port()?;
    let (user, password) = HELD.split_once(':').unwrap_or_default();
    let mut command = Command::new("microsocks");
    command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-u", user, "-P", password]);
    let proxy = Proxy(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    ready(port).await?;
    Ok((proxy, port))
}

async fn through(proxy: String, service: &Emulator) -> Result<(), Error> {
    let mut transport = HyperTransport::builder().proxy(proxy);
    if let Some(pem) = service.ca_pem() {
        transport = transport.add_root_certificates_pem(pem);
    }
    let client = Client::builder().api_key("fhk_test").base_url(service.base_url()).retry(RetryPolicy::never());
    client.transport(transport.build()?).build()?.invoke_workflow("d").await.map(drop)
}

async fn check() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("fetch-hive-proxies-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let ended = check_in(&folder).await;
    let _ = std::fs::remove_dir_all(&folder);
    ended
}

async fn check_in(folder: &Path) -> Result<(), Failure> {
    let (_http, http_port) = tinyproxy(folder).await?;
    let (_socks, socks_port) = microsocks().await?;
    let plain = Emulator::start().await?;
    let tls = Emulator::builder().tls(true).start().await?;
    let connects =
        || std::fs::read_to_string(folder.join("tinyproxy.log")).unwrap_or_default().matches("CONNECT ").count();

    through(format!("http://{HELD}@127.0.0.1:{http_port}"), &plain).await?;
    let via = plain.requests().last().is_some_and(|request| request.headers.contains_key("via"));
    let leaked = plain.requests().iter().any(|request| request.headers.contains_key("proxy-authorization"));
    said("http through tinyproxy with a password", via && !leaked)?;

    let before = connects();
    through(format!("http://{HELD}@127.0.0.1:{http_port}"), &tls).await?;
    said("https through tinyproxy (CONNECT) with a password", connects() > before && tls.requests().len() == 1)?;

    for (service, name) in [(&plain, "http"), (&tls, "https")] {
        let received = service.requests().len();
        let refused = through(format!("http://user:WRONG@127.0.0.1:{http_port}"), service).await;
        let printed = refused.as_ref().err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        let fine = refused.is_err_and(|error| !error.may_have_run()) && service.requests().len() == received;
        said(
            &format!("{name} through tinyproxy with a wrong password is refused"),
            fine && !printed.contains("WRONG"),
        )?;

        for scheme in ["socks5", "socks5h"] {
            let received = service.requests().len();
            through(format!("{scheme}://{HELD}@127.0.0.1:{socks_port}"), service).await?;
            said(
                &format!("{name} through microsocks ({scheme}) with a password"),
                service.requests().len() == received + 1,
            )?;
        }
        let refused = through(format!("socks5://user:WRONG@127.0.0.1:{socks_port}"), service).await;
        let printed = refused.as_ref().err().map(|error| format!("{error} {error:?}")).unwrap_or_default();
        let fine = refused.is_err_and(|error| !error.may_have_run()) && !printed.contains("WRONG");
        said(&format!("{name} through microsocks with a wrong password is refused, and not sent"), fine)?;
    }

    // An environment proxy is never used for loopback, so this needs another address of this machine.
    let Some(own) = own_address() else {
        println!("   LEFT OUT: proxies of the environment; this machine has no address beyond loopback");
        return Ok(());
    };
    let outside = Emulator::builder().listen((own, 0).into()).start().await?;
    let proxy = format!("http://{HELD}@127.0.0.1:{http_port}");
    let socks = format!("socks5://{HELD}@127.0.0.1:{socks_port}");
    let nowhere = "http://127.0.0.1:1".to_owned();
    let rows: [(&str, Variables<'_>, bool); 6] = [
        ("HTTP_PROXY is used", &[("HTTP_PROXY", &proxy)], true),
        ("http_proxy is used", &[("http_proxy", &proxy)], true),
        ("ALL_PROXY is used", &[("ALL_PROXY", &proxy)], true),
        ("ALL_PROXY with SOCKS5 is used", &[("ALL_PROXY", &socks)], false),
        ("NO_PROXY with the address keeps it away", &[("HTTP_PROXY", &nowhere), ("NO_PROXY", &own.to_string())], false),
        ("NO_PROXY with * keeps it away", &[("ALL_PROXY", &nowhere), ("NO_PROXY", "*")], false),
    ];
    for (name, environment, want_via) in rows {
        let received = outside.requests().len();
        let (url, environment) = (outside.base_url(), environment.iter().map(|(a, b)| (a.to_string(), b.to_string())));
        let status = call(url, environment.collect()).await?;
        let requests = outside.requests();
        let via = requests.last().is_some_and(|request| request.headers.contains_key("via"));
        said(name, status && requests.len() == received + 1 && via == want_via)?;
    }
    https_by_environment(folder, own, &proxy, &nowhere, &connects).await?;
    let received = outside.requests().len();
    let status = call(outside.base_url(), vec![("HTTP_PROXY".to_owned(), nowhere.clone())]).await?;
    said(
        "a proxy of the environment that is not there fails the call",
        !status && outside.requests().len() == received,
    )?;
    let status = call(plain.base_url(), vec![("HTTP_PROXY".to_owned(), nowhere)]).await?;
    said("a proxy of the environment is not used for loopback", status)
}

/// The same for https: who is trusted is told to the process by `SSL_CERT_FILE`, which the platform's roots are read from.
async fn https_by_environment(
    folder: &Path,
    own: IpAddr,
    proxy: &str,
    nowhere: &str,
    connects: &impl Fn() -> usize,
) -> Result<(), Failure> {
    let outside = Emulator::builder().listen((own, 0).into()).tls(true).start().await?;
    let roots = folder.join("roots.pem");
    std::fs::write(&roots, outside.ca_pem().unwrap_or_default())?;
    let own = own.to_string();
    let rows: [(&str, Variables<'_>, bool, bool); 8] = [
        ("https: HTTPS_PROXY is used", &[("HTTPS_PROXY", proxy)], true, true),
        ("https: https_proxy is used", &[("https_proxy", proxy)], true, true),
        ("https: ALL_PROXY is used", &[("ALL_PROXY", proxy)], true, true),
        ("https: HTTP_PROXY is for http", &[("HTTP_PROXY", nowhere)], true, false),
        ("https: NO_PROXY with the address", &[("HTTPS_PROXY", nowhere), ("NO_PROXY", &own)], true, false),
        ("https: no_proxy with the address", &[("https_proxy", nowhere), ("no_proxy", &own)], true, false),
        ("https: NO_PROXY with *", &[("HTTPS_PROXY", nowhere), ("NO_PROXY", "*")], true, false),
        ("https: HTTPS_PROXY that is not there fails the call", &[("HTTPS_PROXY", nowhere)], false, false),
    ];
    for (name, environment, works, tunnels) in rows {
        let (received, before) = (outside.requests().len(), connects());
        let mut all: Vec<_> = environment.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
        all.push(("SSL_CERT_FILE".to_owned(), roots.display().to_string()));
        let status = call(outside.base_url(), all).await?;
        let now = outside.requests().len();
        said(name, status == works && now == received + usize::from(works) && (connects() > before) == tunnels)?;
    }
    Ok(())
}

/// Calls by a process of its own, for the environment belongs to the whole process.
async fn call(url: String, environment: Vec<(String, String)>) -> Result<bool, Failure> {
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

/// The address by which this machine would reach others; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn said(what: &str, fine: bool) -> Result<(), Failure> {
    println!("   {} {what}", if fine { "ok   " } else { "WRONG" });
    if fine { Ok(()) } else { Err(format!("wrong: {what}").into()) }
}
