//! A leadership ends while a user is being claimed.

use std::time::Duration;

use crate::world::World;

/// Commits of a claim wait for a lock of the test.
const HOLD_CLAIMS: &str = "CREATE FUNCTION hold_claim() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(18); RETURN NULL; END $$;

    CREATE CONSTRAINT TRIGGER hold_claim AFTER UPDATE OF lease ON work_queue DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (OLD.lease IS NULL AND NEW.lease IS NOT NULL) EXECUTE FUNCTION hold_claim()";
const CLAIMING: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The lease is 970 s; the user does not wait for its end.
#[tokio::test]
async fn l18_a_claim_at_the_end_of_a_leadership_gets_its_attempt() {
    let world = World::builder().env("AUTH0_TIMEOUT_S", 120).start().await;
    world.settled().await;
    sqlx::raw_sql(HOLD_CLAIMS)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    let mut gate = world.db.begin().await.expect("a transaction");
    let close = sqlx::query("SELECT pg_advisory_xact_lock(18)");
    close.execute(&mut *gate).await.expect("a lock");
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    world.count_is("she is being claimed", CLAIMING, 1).await;
    world
        .told(&["limits", "set", "reserve", "0.1", "--why", "ends the leadership"])
        .await;
    let taken = "SELECT count(*) FROM workers WHERE seen_at > (SELECT max(set_at) FROM limits)";
    world
        .eventually("the worker has seen it", async || {
            world.number(taken).await == Some(1)
        })
        .await;
    gate.rollback().await.expect("an open gate");
    world
        .eventually_within(Duration::from_secs(20), "she has the role", async || {
            world.roles("auth0|ann") == ["playlist_editor"]
        })
        .await;
}
