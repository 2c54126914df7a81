use fetch_hive_batch::{Batch, End, Mapping, Resolution, RowStatus, Stop};
use fetch_hive_emulator::{Deployment, Fault};

use super::{Setup, count};

#[tokio::test]
async fn rows_succeed_and_are_exported_in_order() {
    let setup = Setup::start(|emulator| emulator).await;
    let batch = setup.batch(20).await;
    let end = setup.worker(&batch).run(&Stop::new()).await.unwrap();
    assert_eq!(end, End::Finished);
    assert_eq!(count(&batch, RowStatus::Succeeded).await, 20);
    assert_eq!(setup.runs(), 20);

    let path = setup.folder.join("results.csv");
    let written = batch.export(&fetch_hive_batch::Export::csv(&path)).await.unwrap();
    assert_eq!((written.rows(), written.count(RowStatus::Succeeded)), (20, 20));
    let text = std::fs::read_to_string(path).unwrap();
    let ids: Vec<_> = text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(ids, (1..=20).map(|id| id.to_string()).collect::<Vec<_>>());
    let first = text.lines().nth(1).unwrap();
    assert!(first.contains("succeeded,req_"), "{first}");
    assert!(first.contains(",1,20"), "one attempt and its start: {first}");
}

#[tokio::test]
async fn failed_run_and_own_error_body_are_failed() {
    let setup = Setup::start(|emulator| {
        emulator.deployment(Deployment::workflow("summarise")).fault(
            Fault::status(502).body(r#"{"error":"provider failed","error_code":"internal_server_error"}"#).nth(2),
        )
    })
    .await;
    let batch = setup.batch(4).await;
    assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
    assert_eq!(count(&batch, RowStatus::Failed).await, 1);
    assert_eq!(count(&batch, RowStatus::Succeeded).await, 3);
    let failed = batch.rows(RowStatus::Failed, 0, 10).await.unwrap();
    assert!(failed[0].result.error.as_deref().unwrap().contains("provider failed"), "{:?}", failed[0].result.error);

    // An explicit retry sends the row once more.
    assert_eq!(batch.retry(RowStatus::Failed).await.unwrap(), 1);
    assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
    assert_eq!(count(&batch, RowStatus::Succeeded).await, 4);
}

#[tokio::test]
async fn page_of_a_gateway_makes_the_row_unknown() {
    let setup =
        Setup::start(|emulator| emulator.fault(Fault::status(502).body("<html>Bad Gateway</html>").nth(2))).await;
    let batch = setup.batch(4).await;
    assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
    let unknown = batch.rows(RowStatus::Unknown, 0, 10).await.unwrap();
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].attempts.len(), 1);
    assert!(batch.retry(RowStatus::Unknown).await.is_err());
    assert_eq!(setup.emulator.requests().len(), 4, "nothing resends the row");

    batch.resolve(unknown[0].row.number(), Resolution::RunAgain).await.unwrap();
    assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
    assert_eq!(count(&batch, RowStatus::Succeeded).await, 4);
    let attempts = setup.store.batches().attempts(batch.id(), Some(unknown[0].row.number())).await.unwrap();
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].resolution.as_deref(), Some("run again"));
}

#[tokio::test]
async fn resolved_row_counts_as_run_without_output() {
    let setup = Setup::start(|emulator| emulator.fault(Fault::close().after_run().nth(1))).await;
    let batch = setup.batch(2).await;
    setup.worker(&batch).run(&Stop::new()).await.unwrap();
    let unknown = batch.rows(RowStatus::Unknown, 0, 10).await.unwrap();
    let number = unknown[0].row.number();
    batch.resolve(number, Resolution::Ran).await.unwrap();
    assert!(batch.resolve(number, Resolution::RunAgain).await.is_err(), "it is not unknown any more");
    assert_eq!(count(&batch, RowStatus::Succeeded).await, 2);
    assert_eq!(setup.runs(), 2);
}

#[tokio::test]
async fn invalid_row_is_rejected() {
    let setup = Setup::start(|emulator| {
        let body = r#"{"error":"text is too long","error_code":"validation_error"}"#;
        emulator.fault(Fault::status(422).body(body).nth(1))
    })
    .await;
    let batch = setup.batch(3).await;
    assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
    let rejected = batch.rows(RowStatus::Rejected, 0, 10).await.unwrap();
    assert_eq!(rejected.len(), 1);
    assert!(rejected[0].result.error.as_deref().unwrap().contains("text is too long"));
}

#[tokio::test]
async fn unreadable_success_keeps_its_body() {
    let setup = Setup::start(|emulator| emulator.fault(Fault::status(200).body("<html>ok</html>").nth(1))).await;
    let batch = setup.batch(1).await;
    assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
    let rows = setup.store.batches().rows(batch.id(), Some(RowStatus::Succeeded), 0, 10).await.unwrap();
    let result = String::from_utf8(rows[0].result.clone().unwrap()).unwrap();
    assert!(result.contains("<html>ok</html>"), "{result}");
}

#[tokio::test]
async fn errors_of_prompts_and_agents_settle_their_rows() {
    let own = r#"{"error":"provider failed","error_code":"internal_server_error"}"#;
    for mapping in [Mapping::prompt("tagline").columns(["text"]), Mapping::agent("researcher", "text")] {
        let setup = Setup::start(|emulator| {
            emulator
                .deployment(Deployment::prompt("tagline"))
                .deployment(Deployment::agent("researcher"))
                .fault(Fault::status(502).body(own).nth(2))
                .fault(Fault::status(502).body("<html>Bad Gateway</html>").nth(4))
        })
        .await;
        let batch = setup.batch_of(8, &mapping).await;
        assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
        let progress = batch.progress().await.unwrap();
        let counts = [RowStatus::Succeeded, RowStatus::Failed, RowStatus::Unknown].map(|status| progress.count(status));
        assert_eq!((counts, setup.emulator.requests().len()), ([6, 1, 1], 8), "{mapping:?}");
    }
}

#[tokio::test]
async fn prompts_and_agents_run_without_callbacks() {
    let setup = Setup::start(|emulator| {
        emulator.deployment(Deployment::prompt("tagline")).deployment(Deployment::agent("researcher"))
    })
    .await;
    for mapping in [Mapping::prompt("tagline").columns(["text"]), Mapping::agent("researcher", "text")] {
        let name = format!("{:?}", mapping.target());
        let batch = Batch::create(&setup.store, &name, super::rows(3), &mapping).await.unwrap();
        assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
        assert_eq!(count(&batch, RowStatus::Succeeded).await, 3, "{name}");
        let rows = batch.rows(RowStatus::Succeeded, 0, 1).await.unwrap();
        assert!(rows[0].result.output.is_some(), "{name}");
    }
}
