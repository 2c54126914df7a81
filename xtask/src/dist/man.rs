use std::fs;
use std::process::Command;

use super::{binaries, dist_path, empty_folder};
use crate::run::capture_output;

/// The shells with a completion script, and the name of its file.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "fetch-hive.bash"),
    ("elvish", "fetch-hive.elv"),
    ("fish", "fetch-hive.fish"),
    ("powershell", "fetch-hive.ps1"),
    ("zsh", "_fetch-hive"),
];

/// Writes the manual pages and the completion scripts.
pub(super) fn man() -> Result<(), String> {
    let binary = binaries::build_linux()?;
    let pages = empty_folder("man")?;
    capture_output(Command::new(&binary).args(["help", "--man"]).arg(&pages))?;
    let mut count = 0;
    for page in fs::read_dir(&pages).map_err(|error| error.to_string())? {
        let page = page.map_err(|error| error.to_string())?.path();
        let warnings = Command::new("man").args(["--warnings", "-l"]).arg(&page).output();
        match warnings {
            Ok(output) if output.status.success() && output.stderr.is_empty() => count += 1,
            Ok(output) => return Err(format!("{}: {}", page.display(), String::from_utf8_lossy(&output.stderr))),
            Err(_) => count += 1,
        }
    }
    for (shell, file) in SHELLS {
        let script = capture_output(Command::new(&binary).args(["completion", shell]))?;
        let path = dist_path(&format!("completions/{file}"))?;
        fs::write(&path, script).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    println!("   {}: {count} pages, and {} completion scripts", pages.display(), SHELLS.len());
    Ok(())
}
