use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::run::{capture_output, read_text, workspace_root};

/// The built programs of the package `xtask/bench`.
pub(crate) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    pub(crate) fn new() -> Self {
        Self { folder: workspace_root().join("target/bench/release") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs a program and returns the figures that it printed.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Result<Figures, String> {
        self.run_with(name, arguments, &[])
    }

    /// Runs a program with environment variables, and returns the figures that it printed.
    pub(crate) fn run_with(
        &self,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Figures, String> {
        let mut program = Command::new(self.path(name));
        // The clients treat these settings differently, and few users have them.
        program.args(arguments).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        program.envs(variables.iter().copied());
        let text = capture_output(&mut program)?;
        let parse = |line: &str| {
            let (name, figures) = line.split_once('\t')?;
            Some((name.to_owned(), serde_json::from_str(figures).ok()?))
        };
        let lines = text.lines().map(|line| parse(line).ok_or_else(|| format!("{name} printed {line:?}")));
        lines.collect::<Result<_, _>>().map(Figures)
    }

    /// Counts the instructions of a program with callgrind.
    pub(crate) fn instructions(&self, name: &str, arguments: &[&str]) -> Result<f64, String> {
        let file = workspace_root().join("target/bench/callgrind.out");
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", &format!("--callgrind-out-file={}", file.display())]);
        capture_output(valgrind.arg(self.path(name)).args(arguments))?;
        let totals = read_text(&file)?;
        let totals = totals.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap_or_default();
        totals.trim().parse().map_err(|_| format!("callgrind printed invalid totals: {totals:?}"))
    }

    /// Starts the server that the clients call.
    pub(crate) fn server(&self) -> Result<Server, String> {
        let process = Command::new(self.path("server")).stdout(Stdio::piped()).spawn();
        let process = process.map_err(|error| format!("cannot start the server: {error}"))?;
        let none = String::new;
        let (http2_url, tls_url, limited_url, certificate) = (none(), none(), none(), none());
        let mut server = Server { process, url: none(), http2_url, tls_url, limited_url, certificate };
        let mut line = String::new();
        if let Some(stdout) = server.process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        let printed: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let Ok([url, http2_url, tls_url, limited_url, certificate]) = <[String; 5]>::try_from(printed) else {
            return Err(format!("the server printed {line:?} instead of its addresses"));
        };
        (server.url, server.http2_url, server.tls_url) = (url, http2_url, tls_url);
        (server.limited_url, server.certificate) = (limited_url, certificate);
        Ok(server)
    }
}

/// The lines that a program printed, each with a name and a JSON object of figures.
pub(crate) struct Figures(Vec<(String, Value)>);

impl Figures {
    /// Returns a figure of the line with a name.
    pub(crate) fn get(&self, line: &str, figure: &str) -> Result<f64, String> {
        let found = self.0.iter().find(|(name, _)| name == line);
        let value = found.and_then(|(_, figures)| figures[figure].as_f64());
        value.ok_or_else(|| format!("the program printed no {figure} of {line}"))
    }

    /// Returns a figure of the first line.
    pub(crate) fn first(&self, figure: &str) -> Result<f64, String> {
        let value = self.0.first().and_then(|(_, figures)| figures[figure].as_f64());
        value.ok_or_else(|| format!("the program printed no {figure}"))
    }
}

/// A running server, which is stopped when it is dropped.
pub(crate) struct Server {
    process: Child,
    /// The URL of the port with plain HTTP/1.1.
    pub(crate) url: String,
    /// The URL of the port with TLS and HTTP/2.
    pub(crate) http2_url: String,
    /// The URL of the port with TLS and HTTP/1.1.
    pub(crate) tls_url: String,
    /// The URL of the port with a limit of streams and a delay.
    pub(crate) limited_url: String,
    /// The path of the certificate of the ports with TLS.
    pub(crate) certificate: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
