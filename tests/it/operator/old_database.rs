//! A database from before the first release is refused, and stays as it is.

use std::time::Duration;

use crate::world::{World, text};

/// The refusal of `migrate` and `serve`.
const REFUSAL: &str = "was made before the first release (migration 20261124000001)";
const WAY_OUT: &str = "create an empty database, set DATABASE_URL to it, and run `rolekeeper migrate`";

/// A world whose database has the migrator's table of the first migrations, and one of their tables.
async fn from_before() -> World {
    let world = World::builder().workers(0).start().await;
    let old = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE retractions (retracted_id text PRIMARY KEY);
        CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, installed_on timestamptz
            NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL, execution_time bigint NOT NULL);
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (20261124000001, 'first light', true, '', 0), (20261128000029, 'held anew and refused', true, '', 0)";
    sqlx::raw_sql(old)
        .execute(&world.db)
        .await
        .expect("an old schema");
    world
}

#[tokio::test]
async fn migrate_refuses_a_database_from_before_the_release() {
    let world = from_before().await;
    let output = world.command(&["migrate"]).await;
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(REFUSAL) && said.contains(WAY_OUT), "{said}");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(world.number(tables).await, Some(2), "nothing was changed");
}

#[tokio::test]
async fn serve_refuses_a_database_from_before_the_release() {
    let world = from_before().await;
    let worker = world.spawn_worker_with(&[]);
    let ended = worker.wait(Duration::from_secs(20)).await;
    let log = worker.log();
    assert!(!ended.success() && log.contains(REFUSAL), "{log}");
    assert!(log.contains("create an empty database"), "{log}");
}
