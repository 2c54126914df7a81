use std::time::{SystemTime, UNIX_EPOCH};

use crate::run::{read_text, workspace_root};

/// A row of a table: one measurement of ours and of a peer, or several of one kind.
pub(crate) struct Row {
    title: String,
    ours: f64,
    ratio: f64,
    /// The ratio, the verdict about the target, our value and the peer's value.
    cells: [String; 4],
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
        let ratio = ours / peer;
        let ratio_text = if ratio >= 100.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") };
        Self { title: title.into(), ours, ratio, cells: [ratio_text, String::new(), text(ours), text(peer)] }
    }

    /// Merges measurements of one kind into one row, with slashes between different values.
    pub(crate) fn merge(title: impl Into<String>, rows: &[Self]) -> Self {
        let join = |n: usize| {
            let cells: Vec<_> = rows.iter().map(|row| &*row.cells[n]).collect();
            if cells.windows(2).all(|pair| pair[0] == pair[1]) {
                return cells.first().copied().unwrap_or_default().to_owned();
            }
            cells.iter().map(|cell| if cell.is_empty() { "–" } else { cell }).collect::<Vec<_>>().join(" / ")
        };
        Self { title: title.into(), ours: f64::NAN, ratio: f64::NAN, cells: [0, 1, 2, 3].map(join) }
    }

    /// Returns our value, in the unit of the row.
    pub(crate) fn ours(&self) -> f64 {
        self.ours
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.cells[1] = match target {
            Target::AtMost(limit) => verdict(self.ratio <= limit, &format!("≤ {limit}")),
            Target::AtLeast(limit) => verdict(self.ratio >= limit, &format!("≥ {limit}")),
            Target::OursAtMost { ours, limit } => verdict(ours <= limit, &format!("ours ≤ {limit}")),
        };
        self
    }

    /// Formats the row of the Markdown table.
    pub(crate) fn to_markdown(&self) -> String {
        let [ratio, target, ours, peer] = &self.cells;
        format!("| {ratio} | {} | {target} | {ours} | {peer} |", self.title)
    }
}

fn verdict(met: bool, target: &str) -> String {
    format!("{target}: {}", if met { "yes" } else { "**no**" })
}

/// Replaces the table of a section in `BENCHMARKS.md`.
pub(crate) fn update_section(section: &str, rows: &[Row]) -> Result<(), String> {
    let file = workspace_root().join("BENCHMARKS.md");
    let mut table = format!("| ratio | {} | target | ours | peer |\n|---|---|---|---|---|\n", conditions());
    for row in rows {
        table = table + &row.to_markdown() + "\n";
    }
    let text = replace_table(&read_text(&file)?, section, &table)?;
    std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Replaces the first table below the paragraph of a section.
fn replace_table(text: &str, section: &str, table: &str) -> Result<String, String> {
    let paragraph = paragraph_start(section);
    let missing = || format!("BENCHMARKS.md has no paragraph that begins with {paragraph} and no table below it");
    let paragraph = text.find(&paragraph).ok_or_else(missing)?;
    let start = paragraph + text[paragraph..].find("\n|").ok_or_else(missing)? + 1;
    let end = text[start..].find("\n\n").map_or(text.len(), |length| start + length + 1);
    Ok(format!("{}{table}{}", &text[..start], &text[end..]))
}

/// Returns the beginning of the paragraph above the table of a section.
fn paragraph_start(section: &str) -> String {
    format!("**`{section}`: ")
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
    fn only_the_table_of_one_section_is_replaced() {
        let text = "**`a`: x?** y\n\n| 1 |\n\n**`b`: x?**\ny\n\n| 2 |\n| 3 |\n\n**`c`: x?** y\n\n| 4 |\n";
        let replaced = replace_table(text, "b", "| 5 |\n").unwrap();
        assert_eq!(replaced, text.replace("| 2 |\n| 3 |\n", "| 5 |\n"));
        assert_eq!(replace_table(text, "c", "| 5 |\n").unwrap(), text.replace("| 4 |\n", "| 5 |\n"));
        assert!(replace_table(text, "d", "| 5 |\n").is_err());
    }

    #[test]
    fn each_section_has_a_table() {
        let text = read_text(&workspace_root().join("BENCHMARKS.md")).unwrap();
        for (section, _) in crate::bench::SECTIONS {
            replace_table(&text, section, "").unwrap();
        }
        assert_eq!(text.matches("\n**`").count(), crate::bench::SECTIONS.len());
    }

    #[test]
    fn each_missed_target_has_a_reason() {
        let text = read_text(&workspace_root().join("BENCHMARKS.md")).unwrap();
        let (tables, reasons) = text.split_once("## Missed targets").unwrap();
        let reasons: Vec<_> = reasons.split("**").skip(1).step_by(2).collect();
        let missed: Vec<_> =
            tables.lines().filter(|line| line.starts_with("| ") && line.contains(": **no**")).collect();
        for row in &missed {
            assert!(reasons.iter().any(|reason| row.contains(reason)), "no reason for {row}");
        }
        for reason in reasons {
            assert!(missed.iter().any(|row| row.contains(reason)), "{reason} is not missed any more");
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
        let row = |target| Row::new("x", 12.0, 10.0, " µs", 1).target(target).to_markdown();
        assert_eq!(row(Target::AtMost(1.1)), "| 1.20 | x | ≤ 1.1: **no** | 12.0 µs | 10.0 µs |");
        assert!(row(Target::AtLeast(1.1)).contains("yes"));
        assert!(row(Target::OursAtMost { ours: 12.0, limit: 11.0 }).contains("ours ≤ 11: **no**"));
    }

    #[test]
    fn merged_rows_keep_each_different_value() {
        let row = |peer: f64| Row::new("", 12.0, peer, " µs", 1);
        let target = |peer: f64| row(peer).target(Target::AtMost(1.1));
        let merged = |rows: &[Row]| Row::merge("x", rows).to_markdown();
        assert_eq!(
            merged(&[target(10.0), target(8.0)]),
            "| 1.20 / 1.50 | x | ≤ 1.1: **no** | 12.0 µs | 10.0 µs / 8.0 µs |"
        );
        assert_eq!(
            merged(&[target(12.0), row(10.0)]),
            "| 1.00 / 1.20 | x | ≤ 1.1: yes / – | 12.0 µs | 12.0 µs / 10.0 µs |"
        );
    }
}
