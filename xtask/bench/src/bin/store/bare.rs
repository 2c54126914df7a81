use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::{CLIENTS, CONCURRENT_DELIVERIES, Waiter, body, delay_until_line};

/// How many rows one transaction contains at most, as in the store.
const MAX_GROUP: usize = 64;

/// A row and the sender that reports its commit.
type Job = (String, oneshot::Sender<()>);

/// Inserts bodies with one thread that commits in groups.
pub(crate) fn deliveries(runtime: &Runtime, path: &str, count: usize) -> Duration {
    let (jobs, queue) = mpsc::channel::<Job>();
    let connection = rusqlite::Connection::open(path).unwrap_or_else(|error| panic!("{error}"));
    let writer = std::thread::spawn(move || {
        write(&connection, &queue).unwrap_or_else(|error| panic!("{error}"));
    });
    let elapsed = runtime.block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        let mut workers = JoinSet::new();
        for _ in 0..CONCURRENT_DELIVERIES {
            let (jobs, next) = (jobs.clone(), Arc::clone(&next));
            workers.spawn(async move {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    let (sender, receiver) = oneshot::channel();
                    assert!(jobs.send((body(0), sender)).is_ok());
                    receiver.await.unwrap_or_else(|error| panic!("{error}"));
                }
            });
        }
        workers.join_all().await;
        start.elapsed()
    });
    drop(jobs);
    writer.join().unwrap_or_else(|_| panic!("the writer failed"));
    elapsed
}

fn write(connection: &rusqlite::Connection, queue: &mpsc::Receiver<Job>) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         CREATE TABLE delivery (number INTEGER PRIMARY KEY, body TEXT)",
    )?;
    while let Ok(job) = queue.recv() {
        let jobs: Vec<_> = std::iter::once(job).chain(queue.try_iter().take(MAX_GROUP - 1)).collect();
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for (body, _) in &jobs {
            connection.prepare_cached("INSERT INTO delivery (body) VALUES (?1)")?.execute([body])?;
        }
        connection.execute_batch("COMMIT")?;
        for (_, sender) in jobs {
            let _ = sender.send(());
        }
    }
    Ok(())
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|error| panic!("{error}"));
    tokio::spawn(connection);
    client
}

/// Updates one row and commits. The row is the same for all clients, as the row of a limit is.
pub(crate) async fn slots(url: &str, count: usize) -> Duration {
    let setup = "CREATE TABLE bare (name TEXT PRIMARY KEY, taken BIGINT NOT NULL); INSERT INTO bare VALUES ('plan', 0)";
    run(&connect(url).await, setup).await;
    let mut clients = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        clients.push(connect(url).await);
    }
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for client in clients {
        workers.spawn(async move {
            let update = client.prepare("UPDATE bare SET taken = taken + 1 WHERE name = 'plan'").await;
            let update = update.unwrap_or_else(|error| panic!("{error}"));
            for _ in 0..count / CLIENTS {
                run(&client, "BEGIN").await;
                client.execute(&update, &[]).await.unwrap_or_else(|error| panic!("{error}"));
                run(&client, "COMMIT").await;
            }
        });
    }
    workers.join_all().await;
    start.elapsed()
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Inserts a row and notifies, and measures when the other process has noticed each.
pub(crate) async fn wake_ups(url: &str, count: usize) -> Vec<Duration> {
    let client = connect(url).await;
    run(&client, "CREATE TABLE bare_delivery (number BIGINT PRIMARY KEY, body TEXT NOT NULL)").await;
    let mut waiter = Waiter::start("bare", url);
    let insert = client.prepare("INSERT INTO bare_delivery VALUES ($1, $2)").await;
    let insert = insert.unwrap_or_else(|error| panic!("{error}"));
    let mut delays = Vec::with_capacity(count);
    for n in 0..count {
        let number = i64::try_from(n).unwrap_or(i64::MAX);
        let before = Instant::now();
        client.execute(&insert, &[&number, &body(n)]).await.unwrap_or_else(|error| panic!("{error}"));
        run(&client, "NOTIFY bare").await;
        delays.push(delay_until_line(&mut waiter, before));
    }
    delays
}

/// Prints a line for each notification.
pub(crate) async fn wait(url: &str) {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|error| panic!("{error}"));
    let listening = tokio::spawn(async move {
        run(&client, "LISTEN bare").await;
        println!("ready");
        client
    });
    while let Some(message) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
        if let Ok(AsyncMessage::Notification(_)) = message {
            println!("noticed");
        }
    }
    drop(listening.await);
}
