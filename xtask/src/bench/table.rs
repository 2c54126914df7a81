use std::time::{SystemTime, UNIX_EPOCH};

use crate::run::root;

/// One measurement of two.
pub(crate) struct Row {
    what: String,
    ratio: f64,
    target: Option<Target>,
    ours: String,
    peer: String,
}

/// What is aimed at.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// At most this ratio.
    Most(f64),
    /// At least this ratio.
    Least(f64),
    /// At most so much of our own, whatever the peer has.
    Own(f64, f64),
}

impl Row {
    /// A measurement of ours and the same of a peer, in one unit, with so many decimals.
    pub(crate) fn new(what: impl Into<String>, ours: f64, peer: f64, unit: &str, decimals: usize) -> Self {
        let text = |value: f64| format!("{value:.decimals$}{unit}");
        Self { what: what.into(), ratio: ours / peer, target: None, ours: text(ours), peer: text(peer) }
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// The row of the table.
    pub(crate) fn line(&self, section: &str) -> String {
        let Self { what, ratio, target, ours, peer } = self;
        let ratio = if *ratio >= 100.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") };
        let target = match *target {
            None => String::new(),
            Some(Target::Most(most)) => met(self.ratio <= most, &format!("≤ {most}")),
            Some(Target::Least(least)) => met(self.ratio >= least, &format!("≥ {least}")),
            Some(Target::Own(own, most)) => met(own <= most, &format!("ours ≤ {most}")),
        };
        format!("| {section} | {what} | {ratio} | {target} | {ours} | {peer} |")
    }
}

fn met(holds: bool, target: &str) -> String {
    format!("{target}: {}", if holds { "yes" } else { "**no**" })
}

/// Puts the rows of a section into `BENCHMARKS.md` in the place of those of its last run, and the day and machine below the table.
pub(crate) fn write(section: &str, rows: &[Row]) -> Result<(), String> {
    let file = root().join("BENCHMARKS.md");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let rows: Vec<_> = rows.iter().map(|row| row.line(section)).collect();
    let text = replaced(&text, &format!("| {section} | "), &rows);
    let text = replaced(&text, &format!("- {section}: "), &[format!("- {section}: {}", circumstances())]);
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// A text whose lines with a prefix have become other lines; they stand where the first of them stood.
fn replaced(text: &str, prefix: &str, lines: &[String]) -> String {
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

/// The day, the machine and the compiler.
fn circumstances() -> String {
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
        compiler.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default(),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// The date of a day since 1970, by the calendar's rule of 400 years.
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
    fn the_rows_of_one_section_are_replaced_and_the_others_stay() {
        let text = "# t\n| call | old |\n| call | older |\n| verify | x |\nend\n";
        let new = ["| call | new |".to_owned(), "| call | newer |".to_owned(), "| call | newest |".to_owned()];
        assert_eq!(
            replaced(text, "| call | ", &new),
            "# t\n| call | new |\n| call | newer |\n| call | newest |\n| verify | x |\nend\n"
        );
    }

    #[test]
    fn days_are_dates() {
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
    fn a_target_that_is_missed_is_seen() {
        let row = |target| Row::new("x", 12.0, 10.0, " µs", 1).target(target).line("call");
        assert_eq!(row(Target::Most(1.1)), "| call | x | 1.20 | ≤ 1.1: **no** | 12.0 µs | 10.0 µs |");
        assert!(row(Target::Least(1.1)).contains("yes"));
        assert!(row(Target::Own(12.0, 11.0)).contains("ours ≤ 11: **no**"));
    }
}
