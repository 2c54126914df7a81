//! Every command line of the guide's pages runs, and prints what the page shows.

use std::fs;
use std::path::Path;

use crate::support::{Sandbox, bin, fixtures};

#[test]
fn commands_of_the_page_about_the_command_line() {
    run_page("cli");
}

#[test]
fn commands_of_the_page_about_mcp() {
    run_page("mcp");
}

fn run_page(name: &str) {
    let sandbox = Sandbox::new();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../fetch-hive-client/docs/{name}.md"));
    let folder = sandbox.folder.path();
    let copy = folder.join(format!("{name}.md"));
    fs::copy(page, &copy).unwrap();
    let files = folder.join(format!("{name}.in"));
    fs::create_dir(&files).unwrap();
    for file in fs::read_dir(fixtures()).unwrap() {
        let file = file.unwrap().path();
        fs::copy(&file, files.join(file.file_name().unwrap())).unwrap();
    }
    // The tools are those that the page shows.
    let text = fs::read_to_string(&copy).unwrap();
    if let Some((_, tools)) = text.split_once("```toml\n[[tool]]") {
        let (tools, _) = tools.split_once("```").unwrap();
        fs::write(files.join("tools.toml"), format!("[[tool]]{tools}")).unwrap();
    }
    let cases = trycmd::TestCases::new();
    cases.register_bin("fetch-hive", Path::new(&bin())).case(&copy);
    for (name, value) in sandbox.variables() {
        cases.env(name, value);
    }
    cases.env("SECRET", "whsec_guide").env("FETCH_HIVE_CALLBACK_URL", "http://127.0.0.1:9/hooks");
    cases.run();
    drop(cases);
    // The output of a new command can be copied from here.
    if std::env::var_os("TRYCMD").is_some() {
        let updated = fs::read_to_string(&copy).unwrap();
        println!("{updated}");
    }
}
