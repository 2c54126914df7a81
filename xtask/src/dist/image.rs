use std::process::Command;

use super::{binaries, check_program, copy, empty_folder};
use crate::run::{run_command, workspace_root};

const TAG: &str = concat!("fetch-hive:", env!("CARGO_PKG_VERSION"));

/// Puts the binary and its Dockerfile into a folder. Builds and runs the image if Docker runs.
pub(super) fn image() -> Result<(), String> {
    let binary = binaries::build_linux()?;
    let folder = empty_folder("image")?;
    copy(&binary, &folder.join("fetch-hive"))?;
    copy(&workspace_root().join("crates/fetch-hive-cli/Dockerfile"), &folder.join("Dockerfile"))?;
    if !Command::new("docker").arg("info").output().is_ok_and(|output| output.status.success()) {
        println!("   {}: NOT BUILT, because Docker does not run here", folder.display());
        return Ok(());
    }
    let mut build = Command::new("docker");
    build.args(["build", "--quiet", "--tag", TAG]).arg(&folder);
    run_command("image", &format!("docker build --tag {TAG} {}", folder.display()), &mut build)?;
    check_program("the image", || {
        let mut command = Command::new("docker");
        command.args(["run", "--rm", TAG]);
        command
    })
}
