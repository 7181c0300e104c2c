//! An erasure beside many acts: those of earlier erasures by the worker are not searched, all others are.

use crate::world::World;
use crate::world::erasure::{ANN, BOB, KEY, named};

/// Acts as the worker writes them.
const ACTS: &str = "INSERT INTO operator_acts (acted_by, command, arguments, why, outcome)
    SELECT 'the worker that reconciles', 'erase deleted', jsonb_build_object('user', 'erased:' || repeat('0', 64)),
        'deleted at Auth0 30 days ago (ERASE_AFTER_DELETION_D)', 'erased' FROM generate_series(1, 20000)";
/// Rows of the table that were read, as far as the sessions have reported it.
const READ: &str = "SELECT (seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables WHERE relname = 'operator_acts'";
const WRITTEN: &str = "SELECT n_tup_ins::bigint FROM pg_stat_user_tables WHERE relname = 'operator_acts'";

#[tokio::test]
async fn an_erasure_reads_no_acts_of_erasures_by_the_worker() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.run_sql(ACTS).await;
    world.run_sql("VACUUM ANALYZE operator_acts").await;
    let reported = async |acts: i64| {
        world
            .eventually("the sessions have reported", async || {
                world.number(WRITTEN).await >= Some(acts)
            })
            .await;
        world.number(READ).await.unwrap()
    };
    let before = reported(20_000).await;
    world.told(&["erase", "--force", BOB]).await;
    let read = reported(20_001).await - before;
    assert!(read < 1_000, "{read} rows were read");
}

/// Acts of a day ago that name Ann, or another id that begins as hers.
const OF_ANN: &str = r#"INSERT INTO operator_acts (acted_at, acted_by, command, arguments, why, outcome)
    SELECT now() - interval '1 day', 'ops', 'requeue', arguments::jsonb, why, 'done' FROM (VALUES
        ('{"user": "auth0|6132829445244d0069782a78"}', 'asked'),
        ('{"user": "auth0|bob"}', 'the same human as auth0%7C6132829445244d0069782a78, see 6132829445244d0069782a78'),
        ('{"user": "auth0|bob"}', 'not auth0|6132829445244d0069782a7')) AS acts(arguments, why)"#;

#[tokio::test]
async fn an_id_in_old_and_new_acts_becomes_the_pseudonym() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.run_sql(OF_ANN).await;
    let why = format!("{ANN} asked for it");
    world.told(&["erase", "--force", ANN, "--why", &why]).await;
    assert_eq!(named(&world).await, [].into());
    let acts = world.told(&["acts"]).await;
    for part in [
        "the same human as erased:",
        "see erased:",
        "not auth0|6132829445244d0069782a7",
        "asked for it",
    ] {
        assert!(acts.contains(part), "{part}: {acts}");
    }
}
