use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::run::{capture_output, workspace_root};

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
        let text = capture_output(Command::new(self.path(name)).args(arguments))?;
        let parse = |line: &str| {
            let (name, figures) = line.split_once('\t')?;
            Some((name.to_owned(), serde_json::from_str(figures).ok()?))
        };
        let lines = text.lines().map(|line| parse(line).ok_or_else(|| format!("{name} printed {line:?}")));
        lines.collect::<Result<_, _>>().map(Figures)
    }

    /// Starts the server that the clients call.
    pub(crate) fn server(&self) -> Result<Server, String> {
        let process = Command::new(self.path("server")).stdout(Stdio::piped()).spawn();
        let process = process.map_err(|error| format!("cannot start the server: {error}"))?;
        let mut server = Server { process, url: String::new() };
        let mut line = String::new();
        if let Some(stdout) = server.process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
        }
        line.trim().clone_into(&mut server.url);
        if server.url.is_empty() { Err("the server did not print its address".to_owned()) } else { Ok(server) }
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
    pub(crate) url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
