//! F28: SIGTERM in the middle of work, twice; a migration under a running worker: drained in time, no work lost; the running worker
//! continues, an older one that starts is refused with a sentence.

use std::time::Duration;

use nix::sys::signal::Signal;
use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use crate::world::World;
use crate::world::events::{Sent, play, plays, saved};

/// Well inside the grace period of 25 s.
const IN_TIME: Duration = Duration::from_secs(15);

/// SIGTERM repeatedly in the middle of a fold: exit 0 each time, and the next one continues at the same place.
#[tokio::test]
async fn f28_sigterm_in_the_middle_of_the_fold_loses_nothing() {
    let world = World::builder().env("FOLD_BATCH", 50).start().await;
    let many: Vec<Sent> = (0..15_000)
        .map(|n| play(&format!("n{n}"), &format!("pl_{}", n % 500)))
        .collect();
    let stopping = async {
        for _ in 0..3 {
            let folded = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
            let before = world.number(folded).await;
            world
                .eventually("the fold continues", async || world.number(folded).await > before)
                .await;
            let status = world.worker().sigterm(IN_TIME).await;
            assert_eq!(status.code(), Some(0));
            world.start_worker().await;
        }
    };
    tokio::join!(world.publish(&many), stopping);
    world.settled().await;
}

/// In-flight work is finished: the write that waits for the tenant's response is recorded before the end.
#[tokio::test]
async fn f28_sigterm_waits_for_a_write_in_flight() {
    let world = World::start().await;
    // The first comparison of all users is over.
    world.settled().await;
    world.seed_user("auth0|ann", &[]);
    let slow = Fault::DelayedAnswer(Duration::from_secs(3));
    world.tenant.fault_once(CallMatch::to(Endpoint::PatchUser), slow);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let applied = async || world.roles("auth0|ann") == ["playlist_editor"];
    world
        .eventually("the write has reached the tenant", applied)
        .await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM role_changes WHERE outcome IS NULL")
            .await,
        Some(1)
    );
    let status = world.worker().sigterm(IN_TIME).await;
    assert_eq!(status.code(), Some(0));
    // No worker runs any more, and nothing is left to do.
    world.settled().await;
    assert_eq!(world.patches(), 1);
}

/// A second signal ends it at once, and its exit code reports in-flight work.
#[tokio::test]
async fn f28_a_second_sigterm_does_not_wait() {
    let world = World::builder()
        .postgres_proxy()
        .env("ONLY", "fold")
        .start()
        .await;
    world.postgres_proxy().delay(Duration::from_secs(4));
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                AND state = 'idle in transaction'";
    world
        .eventually("a transaction is open", async || {
            world.number(open).await == Some(1)
        })
        .await;
    let worker = world.worker();
    worker.send(Signal::SIGTERM);
    let heard = async || worker.messages().iter().any(|line| line.starts_with("SIGTERM"));
    world.eventually("the worker handles the first", heard).await;
    assert_eq!(worker.ended(), None);
    let status = worker.sigterm(Duration::from_secs(2)).await;
    assert_eq!(status.code(), Some(1));
    world.postgres_proxy().restore();
    world.start_worker_with(&[("ONLY", "fold,reconcile")]).await;
    world.settled().await;
}

/// A worker that cannot finish ends when the grace period is over.
#[tokio::test]
async fn f28_a_stop_takes_no_longer_than_the_grace_period() {
    let world = World::builder().env("GRACE_PERIOD_S", 1).start().await;
    world.seed_user("auth0|ann", &[]);
    let slow = Fault::DelayedAnswer(Duration::from_secs(8));
    world.tenant.fault_once(CallMatch::to(Endpoint::PatchUser), slow);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world
        .eventually("the write has reached the tenant", async || {
            !world.roles("auth0|ann").is_empty()
        })
        .await;
    let status = world.worker().sigterm(Duration::from_secs(4)).await;
    assert_eq!(status.code(), Some(1));
}

/// A later release adds a table, a column and an index.
const LATER: &str = "CREATE TABLE later (later_id bigint PRIMARY KEY);
    ALTER TABLE playlists ADD COLUMN later bigint NOT NULL DEFAULT 7;
    CREATE INDEX playlists_later ON playlists (later);
    INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (20991231000001, 'later', true, '', 0)";

#[tokio::test]
async fn f28_a_migration_under_a_running_worker_stops_no_work() {
    let world = World::builder().env("FOLD_BATCH", 50).start().await;
    world.played("ann", 99).await;
    world.settled().await;
    let many: Vec<Sent> = (0..5_000)
        .map(|n| play(&format!("n{n}"), &format!("pl_{}", n % 500)))
        .collect();
    let migrating = async {
        let folded = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
        let going = async || world.number(folded).await > Some(500);
        world.eventually("the fold is under way", going).await;
        world.run_sql(LATER).await;
    };
    tokio::join!(world.publish(&many), migrating);
    let older = world.spawn_worker_with(&[]);
    let ended = older.wait(IN_TIME).await;
    assert!(!ended.success(), "{ended}");
    let says = "has migration 20991231000001, which this binary does not know; use a newer binary";
    assert!(older.log().contains(says), "{}", older.log_tail(20));
    world.publish(&plays("ann", "pl_ann", 99..100)).await;
    world
        .holders_are("the other one continues", &["ann"], &["ann"])
        .await;
    world.settled().await;
}
