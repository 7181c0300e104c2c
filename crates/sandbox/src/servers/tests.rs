//! Starts the real servers; needs their binaries.

use std::path::Path;

use sqlx::{Connection as _, PgConnection};

use super::{Nats, NatsOptions, Postgres, PostgresStop};

fn runs(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn nats_keeps_port_and_store_across_restarts_and_leaves_nothing() {
    let mut nats = Nats::start_with(NatsOptions {
        max_payload: Some(4096),
        ..NatsOptions::default()
    })
    .await
    .unwrap();
    let url = nats.url();
    let client = async_nats::connect(&url).await.unwrap();
    assert_eq!(client.server_info().max_payload, 4096);
    assert_eq!(client.server_info().version, nats.version());
    let jetstream = async_nats::jetstream::new(client);
    let config = async_nats::jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..Default::default()
    };
    jetstream.create_stream(config).await.unwrap();
    jetstream
        .publish("kept", "one".into())
        .await
        .unwrap()
        .await
        .unwrap();

    nats.kill().await.unwrap();
    assert!(nats.pid().is_none());
    nats.start_again().await.unwrap();
    nats.stop().await.unwrap();
    nats.start_again().await.unwrap();

    assert_eq!(nats.url(), url);
    let jetstream = async_nats::jetstream::new(async_nats::connect(&url).await.unwrap());
    let stream = jetstream.get_stream("KEPT").await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 1);

    let (pid, store) = (nats.pid().unwrap(), nats.store_dir().to_path_buf());
    assert!(runs(pid) && store.exists());
    drop(nats);
    assert!(!runs(pid) && !store.parent().unwrap().exists());
}

#[tokio::test]
async fn postgres_keeps_commits_across_kills_and_leaves_nothing() {
    let mut postgres = Postgres::start().await.unwrap();
    let url = postgres.create_database("kept").await.unwrap();
    assert!(postgres.create_database("Not\"Plain").await.is_err());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("max_connections", "300"),
    ] {
        let value: String = sqlx::query_scalar("SELECT current_setting($1)")
            .bind(setting)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(value, expected, "{setting}");
    }
    sqlx::raw_sql("CREATE TABLE kept AS SELECT 1 AS one")
        .execute(&mut connection)
        .await
        .unwrap();

    postgres.kill().await.unwrap();
    postgres.start_again().await.unwrap();
    postgres.stop(PostgresStop::Immediate).await.unwrap();
    postgres.start_again().await.unwrap();
    postgres.stop(PostgresStop::Fast).await.unwrap();
    assert!(postgres.pid().is_none());
    postgres.start_again().await.unwrap();

    assert_eq!(postgres.url("kept"), url);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(rows, 1);

    let pid = postgres.pid().unwrap();
    let folder = postgres.data_dir().parent().unwrap().to_path_buf();
    drop(postgres);
    assert!(!runs(pid) && !folder.exists());
}
