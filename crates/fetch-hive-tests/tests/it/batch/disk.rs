//! A disk that is full while results arrive.

use std::process::Command;
use std::time::Duration;

use fetch_hive_batch::{Batch, End, Mapping, RowStatus, Stop};
use fetch_hive_client::Client;
use fetch_hive_emulator::{Deployment, Emulator};
use fetch_hive_store::Store;

use super::{SECOND, count, rows};

const FOLDER: &str = "FETCH_HIVE_BATCH_FULL_DISK";

/// The name of this test for the child process.
const CHILD: &str = "batch::disk::full_disk_child";

const ROWS: usize = 12;

/// Runs in a process that sees a file system of 8 MiB in the folder `small`.
#[tokio::test(flavor = "multi_thread")]
async fn full_disk_child() {
    let Some(folder) = std::env::var_os(FOLDER).map(std::path::PathBuf::from) else { return };
    let small = folder.join("small");
    let store = Store::open(small.join("runs.db")).await.unwrap();
    let output = "x".repeat(40 << 10);
    let emulator =
        Emulator::builder().deployment(Deployment::workflow("summarise").output(output)).start().await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    let mapping = Mapping::workflow("summarise").columns(["text"]);
    let batch = Batch::create(&store, "reviews", rows(ROWS), &mapping).await.unwrap();
    let filler = small.join("filler");
    std::fs::write(&filler, vec![0; 7_200 << 10]).unwrap();

    let (sender, mut unsaved) = tokio::sync::watch::channel(0);
    let worker = batch.worker(&client, &store.run_limiter("plan", 3)).spill_folder(&folder);
    let worker = worker.on_progress(Duration::from_millis(20), move |progress| {
        let _ = sender.send(progress.unsaved);
    });
    let running = tokio::spawn(async move { worker.run(&Stop::new()).await });
    tokio::time::timeout(20 * SECOND, unsaved.wait_for(|unsaved| *unsaved > 0)).await.unwrap().unwrap();
    let spilled = std::fs::read_dir(&folder).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert!(spilled.into_iter().any(|name| name.starts_with("fetch-hive-spill")));

    std::fs::remove_file(&filler).unwrap();
    let end = tokio::time::timeout(60 * SECOND, running).await.unwrap().unwrap().unwrap();
    assert_eq!(end, End::Finished);
    assert_eq!((emulator.runs().len(), count(&batch, RowStatus::Succeeded).await), (ROWS, ROWS as u64));
    println!("\nthe full disk lost nothing");
}

#[tokio::test]
async fn full_disk_loses_no_result() {
    let folder = std::env::temp_dir().join(format!("fetch-hive-full-disk-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("small")).unwrap();
    let script = "mount -t tmpfs -o size=8m none \"$0\" || exit 77; exec \"$1\" --exact \"$2\" --nocapture";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(folder.join("small"))
        .arg(std::env::current_exe().unwrap())
        .arg(CHILD)
        .env(FOLDER, &folder)
        .output();
    let _ = std::fs::remove_dir_all(&folder);
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("the full disk lost nothing"), "{text}");
        }
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
        }
        _ => fetch_hive_tests::report_skipped("permission to mount a file system"),
    }
}
