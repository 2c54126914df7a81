use std::time::{SystemTime, UNIX_EPOCH};

use crate::run::{read_text, workspace_root};

/// A measurement of ours and of a peer.
pub(crate) struct Row {
    title: String,
    ratio: f64,
    target: Option<Target>,
    ours: String,
    peer: String,
    ours_value: f64,
}

/// The goal of a measurement.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// The ratio of ours to the peer's is at most this.
    AtMost(f64),
    /// The ratio of ours to the peer's is at least this.
    AtLeast(f64),
    /// Our value is at most the limit, whatever the peer's value is.
    OursAtMost { ours: f64, limit: f64 },
}

impl Row {
    /// Creates a row with two values in the same unit.
    pub(crate) fn new(title: impl Into<String>, ours: f64, peer: f64, unit: &str, decimals: usize) -> Self {
        let text = |value: f64| format!("{value:.decimals$}{unit}");
        Self {
            title: title.into(),
            ratio: ours / peer,
            target: None,
            ours: text(ours),
            peer: text(peer),
            ours_value: ours,
        }
    }

    /// Returns our value, in the unit of the row.
    pub(crate) fn ours(&self) -> f64 {
        self.ours_value
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// Formats the row of the Markdown table.
    pub(crate) fn to_markdown(&self, section: &str) -> String {
        let Self { title, ratio, target, ours, peer, .. } = self;
        let ratio = if *ratio >= 100.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") };
        let target = match *target {
            None => String::new(),
            Some(Target::AtMost(limit)) => verdict(self.ratio <= limit, &format!("≤ {limit}")),
            Some(Target::AtLeast(limit)) => verdict(self.ratio >= limit, &format!("≥ {limit}")),
            Some(Target::OursAtMost { ours, limit }) => verdict(ours <= limit, &format!("ours ≤ {limit}")),
        };
        format!("| {section} | {title} | {ratio} | {target} | {ours} | {peer} |")
    }
}

fn verdict(met: bool, target: &str) -> String {
    format!("{target}: {}", if met { "yes" } else { "**no**" })
}

/// Replaces the rows of a section in `BENCHMARKS.md`, and the line with the date and the machine
/// below the table.
pub(crate) fn update_section(section: &str, rows: &[Row]) -> Result<(), String> {
    let file = workspace_root().join("BENCHMARKS.md");
    let text = read_text(&file)?;
    let rows: Vec<_> = rows.iter().map(|row| row.to_markdown(section)).collect();
    let text = replace_lines(&text, &format!("| {section} | "), &rows);
    let text = replace_lines(&text, &format!("- {section}: "), &[format!("- {section}: {}", conditions())]);
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Replaces all lines that have a prefix. The new lines are inserted at the position of the first
/// one.
fn replace_lines(text: &str, prefix: &str, lines: &[String]) -> String {
    let mut lines = lines.iter();
    let mut out = String::new();
    for line in text.lines() {
        if line.starts_with(prefix) {
            for line in lines.by_ref() {
                out = out + line + "\n";
            }
        } else {
            out = out + line + "\n";
        }
    }
    out
}

/// Returns the date, the machine, the compiler and the load.
fn conditions() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let compiler = std::process::Command::new("rustc").arg("--version").output();
    format!(
        "{}, {cores} × {}, {}, load at the end {}",
        date(days),
        model.map_or("unknown processor", |(_, name)| name.trim()),
        compiler.map(|output| version(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default(),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// Returns the name and the version of the compiler, without the commit.
fn version(text: &str) -> String {
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Formats a number of days since 1970-01-01 as a date.
fn date(days: u64) -> String {
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rows_of_one_section_are_replaced() {
        let text = "# t\n| call | old |\n| call | older |\n| verify | x |\nend\n";
        let new = ["| call | new |".to_owned(), "| call | newer |".to_owned(), "| call | newest |".to_owned()];
        assert_eq!(
            replace_lines(text, "| call | ", &new),
            "# t\n| call | new |\n| call | newer |\n| call | newest |\n| verify | x |\nend\n"
        );
    }

    #[test]
    fn each_missed_target_has_a_reason() {
        let text = read_text(&workspace_root().join("BENCHMARKS.md")).unwrap();
        let (_, reasons) = text.split_once("## Missed targets").unwrap();
        let reasons: Vec<_> = reasons.split("**").skip(1).step_by(2).collect();
        for row in text.lines().filter(|line| line.starts_with("| ") && line.contains("**no**")) {
            let cells: Vec<_> = row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            let title = format!("{}: {}", cells[0], cells[1]);
            assert!(reasons.iter().any(|reason| title.starts_with(reason)), "no reason for {title}");
        }
        for reason in reasons.into_iter().filter(|reason| reason.contains(": ")) {
            let is_missed = |row: &str| row.contains("**no**") && row.replacen(" | ", ": ", 1).contains(reason);
            assert!(text.lines().any(is_missed), "{reason} is not missed any more");
        }
    }

    #[test]
    fn days_are_formatted_as_dates() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
        ] {
            assert_eq!(date(days), text);
        }
    }

    #[test]
    fn missed_target_is_marked() {
        let row = |target| Row::new("x", 12.0, 10.0, " µs", 1).target(target).to_markdown("call");
        assert_eq!(row(Target::AtMost(1.1)), "| call | x | 1.20 | ≤ 1.1: **no** | 12.0 µs | 10.0 µs |");
        assert!(row(Target::AtLeast(1.1)).contains("yes"));
        assert!(row(Target::OursAtMost { ours: 12.0, limit: 11.0 }).contains("ours ≤ 11: **no**"));
    }
}
