//! F55: a batch whose commit takes longer than the limit; one row that Postgres refuses in a batch of 10,000: the batch is halved; the
//! one becomes a dead letter. One message that Postgres refuses, or that ends processes, stops no later one.

use std::time::Duration;

use crate::world::events::{Sent, play, plays, saved};
use crate::world::{World, poll, size, text};

/// Makes Postgres fail when a play of the playlist `bad` is counted.
async fn at_a_bad_play(world: &World, what: &str) {
    let sql = format!(
        "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF NEW.playlist_id = 'bad' THEN {what}; END IF; RETURN NEW; END $$;
         CREATE TRIGGER bad BEFORE INSERT OR UPDATE ON playlists FOR EACH ROW EXECUTE FUNCTION bad()"
    );
    let sql = sqlx::AssertSqlSafe(sql);
    sqlx::raw_sql(sql).execute(&world.db).await.unwrap();
}

/// Plays with a bad one in between.
fn with_a_bad_one(name: &str, before: u32, after: u32, reason: &'static str) -> Vec<Sent> {
    let mut all = plays(&format!("{name}-before"), "pl_1", 0..before);
    all.push(play(&format!("{name}-bad"), "bad").poisoned(reason));
    all.extend(plays(&format!("{name}-after"), "pl_1", 0..after));
    all
}

async fn without_a_worker(batch: usize) -> World {
    let world = World::builder().workers(0).env("FOLD_BATCH", batch).start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world
}

#[tokio::test]
async fn f55_one_row_that_postgres_refuses_is_found_by_halves() {
    let world = without_a_worker(10_000).await;
    at_a_bad_play(&world, "RAISE EXCEPTION 'bad row' USING ERRCODE = '23514'").await;
    for part in 0..3 {
        let all = with_a_bad_one(&format!("p{part}"), 3_210, 1_790, "refused_by_database");
        world.publish(&all).await;
    }
    let worker = world.start_worker().await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    assert!(worker.is_ready().await);
    let kept = world.rows("SELECT detail, size_bytes FROM dead_letters").await;
    assert_eq!(kept[0]["detail"], "bad row (SQLSTATE 23514)");
    let size = i64::try_from(play("p0-bad", "bad").payload.len()).unwrap();
    assert_eq!(kept[0]["size_bytes"], size);
}

/// A fault of the database refuses everything: every message has its dead letter, for any number of starts.
#[tokio::test]
async fn no_refused_message_goes_without_its_letter() {
    let world = World::builder().workers(0).env("FOLD_BATCH", 4).start().await;
    at_a_bad_play(&world, "RAISE EXCEPTION 'schema'").await;
    let full = "INSERT INTO dead_letter_totals (stream, reason, hour, total)
        SELECT 'APP_EVENTS', 'refused_by_database', date_trunc('hour', now()) + n * interval '1 hour', 998
        FROM generate_series(0, 1) AS n";
    sqlx::raw_sql(full).execute(&world.db).await.unwrap();
    let bad = |n| play(&format!("bad-{n}"), "bad").poisoned("refused_by_database");
    world.publish(&(0..8).map(bad).collect::<Vec<_>>()).await;
    let letters = "SELECT count(*) FROM dead_letters";
    let cursor = "SELECT last_seq FROM stream_cursors WHERE stream = 'APP_EVENTS'";
    for _ in 0..2 {
        let worker = world.spawn_worker_with(&[]);
        world
            .eventually("no more are set aside", async || {
                let stage = worker.get("/readyz/fold_app_events").await;
                stage.is_some_and(|(_, why)| why.contains("1,000 messages within this hour"))
            })
            .await;
        worker.kill9().await;
        let (kept, at) = (world.number(letters).await, world.number(cursor).await);
        // Two per hour.
        assert!(kept == at && at <= Some(4), "{kept:?} letters of {at:?} messages");
    }
    let kept = world.number(letters).await;
    sqlx::raw_sql("DROP TRIGGER bad ON playlists")
        .execute(&world.db)
        .await
        .unwrap();
    world.start_worker().await;
    world.count_is("the others are folded", cursor, 8).await;
    assert_eq!(world.number(letters).await, kept);
}

/// A message that waits for a lock of another client waits as long as the lock lasts.
#[tokio::test]
async fn a_lock_of_another_client_makes_no_dead_letter() {
    let world = without_a_worker(10).await;
    let worker = world.start_worker().await;
    world.settled().await;
    let mut other = world.db.begin().await.unwrap();
    let lock = sqlx::raw_sql("LOCK TABLE playlists IN SHARE MODE");
    lock.execute(&mut *other).await.unwrap();
    world.publish(&plays("a", "pl_1", 0..5)).await;
    world
        .eventually("the log reports the wait", async || {
            worker.log().contains("lock timeout")
        })
        .await;
    let letters = "SELECT count(*) FROM dead_letters";
    let held_for = Duration::from_secs(size(0, 150).into());
    let came = poll(held_for, async || {
        (world.number(letters).await != Some(0)).then_some(())
    });
    assert_eq!(came.await, None, "a good play became a dead letter");
    other.commit().await.unwrap();
    world.settled().await;
}

#[tokio::test]
async fn f55_a_batch_that_takes_too_long_is_halved() {
    let world = without_a_worker(200).await;
    // The error of a statement timeout.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN IF (SELECT count(*) FROM fresh) > 60 THEN RAISE EXCEPTION 'late' USING ERRCODE = '57014'; END IF; RETURN NULL; END $$;
         CREATE TRIGGER slow_i AFTER INSERT ON playlists REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    sqlx::raw_sql(slow).execute(&world.db).await.unwrap();
    let each = |n: u32| play(&format!("n{n}"), &format!("list-{n}"));
    world.publish(&(0..200).map(each).collect::<Vec<_>>()).await;
    world.start_worker().await;
    world.settled().await;
}

#[tokio::test]
async fn f55_a_message_at_three_crashes_is_a_dead_letter() {
    let world = without_a_worker(20).await;
    at_a_bad_play(&world, "PERFORM pg_sleep(50)").await;
    world
        .publish(&with_a_bad_one("p", 7, 200, "crashed_worker"))
        .await;
    let hangs =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let mut kills = 0;
    loop {
        let worker = world.spawn_worker_with(&[]);
        let past = "SELECT count(*) FROM dead_letters";
        world
            .eventually("it folds the bad one, or a later one", async || {
                world.number(hangs).await > Some(0) || world.number(past).await > Some(0)
            })
            .await;
        if world.number(past).await > Some(0) {
            break;
        }
        worker.kill9().await;
        kills += 1;
        assert!(kills < 6, "{kills} processes ended");
        // Its session holds the lock until it notices the end.
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND application_name = 'rolekeeper'";
        sqlx::raw_sql(ended).execute(&world.db).await.unwrap();
        world
            .eventually("the session has ended", async || {
                world.number(hangs).await == Some(0)
            })
            .await;
    }
    world.settled().await;
    assert!(kills >= 4, "once in a batch at least, three times alone");
}

/// A fold that cannot help itself: it is not ready, its lag grows, and one command skips the message.
#[tokio::test]
async fn fold_27_a_blocked_fold_is_seen_and_can_be_skipped() {
    let world = World::builder().workers(0).start().await;
    // By Postgres' error, not a fault of the message.
    at_a_bad_play(&world, "RAISE EXCEPTION 'full' USING ERRCODE = '53100'").await;
    world.publish(&with_a_bad_one("p", 4, 2, "skipped")).await;
    let worker = world.spawn_worker_with(&[("FOLD_BATCH", "1")]);
    let stalled = "rolekeeper_fold_stalled_seconds{stream=\"APP_EVENTS\"}";
    world
        .eventually("it is seen", async || worker.metric(stalled).await > 0.0)
        .await;
    let lag = "rolekeeper_fold_lag_messages{stream=\"APP_EVENTS\"}";
    assert_eq!(worker.count(lag).await, Some(3));
    let (status, why) = worker.get("/readyz/fold_app_events").await.unwrap();
    assert!(status == 503 && why.contains("Postgres"), "{status} {why}");
    assert!(worker.log().contains("full"), "the log names the reason");

    let skip = async |seq: &str| {
        world
            .command(&["skip", "APP_EVENTS", seq, "--why", "bad disk"])
            .await
    };
    let wrong = skip("6").await;
    assert!(
        !wrong.status.success() && text(&wrong).contains("which is 5, not 6"),
        "{}",
        text(&wrong)
    );
    let right = skip("5").await;
    assert!(right.status.success(), "{}", text(&right));
    world.settled_within(Duration::from_secs(40)).await;
    let again = skip("8").await;
    assert!(
        !again.status.success() && text(&again).contains("has no message 8"),
        "{}",
        text(&again)
    );
    let kept = world.rows("SELECT detail FROM dead_letters").await;
    assert_eq!(kept[0]["detail"], "skipped by an operator: bad disk");
}
