//! The cost of the sweep, and the effect of one failing part: the other parts continue.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sqlx::PgExecutor;

use crate::world::oracle::ROLE;
use crate::world::{ANN, World};

/// Writes of ours without a record, as on a first day without a log stream.
const OLD_WRITES: usize = 60_000;
/// The longest time of a sweep over them on a busy machine.
const SWEPT_WITHIN: Duration = Duration::from_secs(15);

pub(super) async fn run(db: impl PgExecutor<'_>, statement: &'static str) {
    sqlx::query(statement)
        .execute(db)
        .await
        .expect("Postgres responds");
}

/// A race whose writes are no longer kept: the sweep's last part ends it.
async fn open_race(world: &World) {
    let race = "INSERT INTO races (race_id, user_id, write_id, record_id, base, ours, theirs, found, found_updated_at, found_at)
                VALUES (gen_random_uuid(), 'auth0|raced', gen_random_uuid(), 'r', '[]', '[]', '[]', '[]', now(), now() - interval '1 hour')";
    run(&world.db, race).await;
}

#[tokio::test]
async fn sixty_thousand_writes_without_a_record_are_swept_at_once() {
    let world = World::builder()
        .workers(0)
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await;
    let mut rows = String::new();
    for n in 0..OLD_WRITES {
        let _ = writeln!(
            rows,
            "{n:08x}-0000-7000-8000-000000000000\tauth0|u{n}\t[]\t[]\tt\tt"
        );
    }
    let mut connection = world.db.acquire().await.expect("Postgres responds");
    let copy =
        "COPY profile_writes (write_id, user_id, read_roles, wrote_roles, answered, recorded) FROM STDIN";
    let mut copy = connection.copy_in_raw(copy).await.expect("a table");
    copy.send(rows.as_bytes()).await.expect("rows");
    copy.finish().await.expect("rows");
    run(&world.db, "UPDATE profile_writes SET attempted_at = now() - interval '2 days', completed_at = now() - interval '2 days'").await;
    drop(connection);
    open_race(&world).await;
    world.seed_user(ANN, &["mentor"]);

    let began = Instant::now();
    let worker = world.start_worker().await;
    world
        .eventually_within(SWEPT_WITHIN, "the last part of the sweep has ended", async || {
            world
                .number("SELECT count(*) FROM races WHERE outcome = 'unresolved'")
                .await
                == Some(1)
        })
        .await;
    println!("swept {OLD_WRITES} writes after {:?}", began.elapsed());
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
    assert!(worker.is_active("reconcile").await);
}

#[tokio::test]
async fn a_failed_part_of_the_sweep_stops_no_other_part() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    run(
        &world.db,
        "ALTER TABLE races RENAME COLUMN found_at TO found_away",
    )
    .await;
    let worker = world.worker();
    let failures = r#"rolekeeper_sweep_failures_total{part="races"}"#;
    world
        .eventually("the part has failed in two sweeps", async || {
            worker.count(failures).await >= Some(2)
        })
        .await;
    // The parts before and after it work, and so do attempts.
    run(&world.db, "UPDATE assignments SET wanted = false").await;
    let corrected = "SELECT count(*) FROM assignments WHERE wanted";
    world
        .eventually("a sweep has compared facts", async || {
            world.number(corrected).await == Some(1)
        })
        .await;
    world.seed_user("auth0|bob", &[]);
    world.earn("auth0|bob", "pl_2").await;
    world.settled().await;
    assert_eq!(world.roles("auth0|bob"), [ROLE]);
    assert!(worker.is_active("reconcile").await);
    assert_eq!(
        worker
            .count(r#"rolekeeper_sweep_failures_total{part="left_over"}"#)
            .await,
        Some(0)
    );
}

/// Number of the counters that differ from what they count; one that is missing counts as 0.
const WRONG: &str = "SELECT count(*) FROM (
    SELECT counter, sum(value) AS value FROM (SELECT * FROM counters UNION ALL SELECT counter, change FROM counter_changes) AS c GROUP BY counter
) AS c RIGHT JOIN (
    SELECT 'holdings_adopted' AS counter, count(*) AS value FROM assignments WHERE has_role AND adopted
    UNION ALL SELECT 'holdings_unadopted', count(*) FROM assignments WHERE has_role AND NOT adopted
    UNION ALL SELECT 'users_with_role', count(DISTINCT user_id) FROM assignments WHERE has_role
    UNION ALL SELECT 'users_adopted', count(DISTINCT user_id) FROM assignments WHERE has_role AND adopted
    UNION ALL SELECT 'work_queue', count(*) FROM work_queue
    UNION ALL SELECT 'waiting_0', count(*) FROM work_queue WHERE priority = 0
    UNION ALL SELECT 'waiting_1', count(*) FROM work_queue WHERE priority = 1
    UNION ALL SELECT 'parked', count(*) FROM work_queue WHERE parked_at IS NOT NULL
    UNION ALL SELECT 'held', count(*) FROM work_queue WHERE parked_at IS NULL AND held_by IS NOT NULL
    UNION ALL SELECT 'names_refused', count(*) FROM display_names WHERE refused IS NOT NULL
    UNION ALL SELECT 'names_waiting', count(*) FROM display_names WHERE refused IS NULL
    UNION ALL SELECT counter, count(*) FROM (SELECT due_slot(due_at) AS counter FROM work_queue
        WHERE parked_at IS NULL AND held_by IS NULL AND due_at > now() + interval '10 minutes') AS later GROUP BY counter
) AS here USING (counter) WHERE coalesce(c.value, 0) <> here.value";

#[tokio::test]
async fn counters_follow_every_statement_and_are_summed_up() {
    let world = World::builder().workers(0).start().await;
    for statement in [
        "INSERT INTO assignments (user_id, role, wanted, has_role, adopted)
         SELECT 'u' || n, r, true, n % 2 = 0, n % 3 = 0 FROM generate_series(1, 12) AS n, UNNEST(ARRAY['a', 'b']) AS r",
        "UPDATE assignments SET has_role = NOT has_role WHERE role = 'a'",
        "UPDATE assignments SET adopted = true WHERE user_id IN ('u1', 'u2', 'u4')",
        "UPDATE assignments SET wanted = false",
        "INSERT INTO assignments AS a (user_id, role, wanted, has_role, adopted) SELECT 'u' || n, 'b', true, true, n = 20 FROM generate_series(10, 20) AS n
         ON CONFLICT (user_id, role) DO UPDATE SET has_role = NOT a.has_role",
        "DELETE FROM assignments WHERE user_id IN ('u3', 'u6', 'u20') OR (user_id = 'u5' AND role = 'a')",
        "INSERT INTO display_names (user_id, request_id, requested, requested_at)
         SELECT 'u' || n, gen_random_uuid(), 'Ann', now() FROM generate_series(1, 9) AS n",
        "UPDATE display_names SET refused = 'Ann', refused_at = now(), refusal = 'no' WHERE user_id > 'u4'",
        "UPDATE display_names SET requested = NULL, request_id = NULL, requested_at = NULL WHERE user_id > 'u6'",
        "DELETE FROM display_names WHERE user_id IN ('u1', 'u5', 'u9')",
        "INSERT INTO work_queue (user_id, priority) SELECT 'u' || n, 1 FROM generate_series(1, 5) AS n",
        "INSERT INTO work_queue (user_id, priority) SELECT 'u' || n, 1 FROM generate_series(4, 7) AS n ON CONFLICT DO NOTHING",
        "UPDATE work_queue SET priority = 0 WHERE user_id IN ('u3', 'u4')",
        "INSERT INTO work_queue AS n (user_id, priority) VALUES ('u3', 4), ('u4', 4), ('u5', 0), ('u8', 4)
         ON CONFLICT (user_id) DO UPDATE SET priority = CASE n.priority WHEN 0 THEN 1 ELSE 4 END",
        "UPDATE work_queue SET priority = 0 WHERE user_id IN ('u4', 'u5')",
        "DELETE FROM work_queue WHERE user_id IN ('u1', 'u2')",
        "UPDATE work_queue SET due_at = now() + interval '2 hours' WHERE user_id IN ('u3', 'u4', 'u5')",
        "UPDATE work_queue SET held_by = 'stream_loss' WHERE user_id IN ('u4', 'u6')",
        "UPDATE work_queue SET parked_at = now() WHERE user_id IN ('u5', 'u6')",
        "UPDATE work_queue SET parked_at = NULL, held_by = NULL WHERE user_id IN ('u5', 'u6')",
        "UPDATE work_queue SET due_at = now() + interval '3 hours'",
        "INSERT INTO work_queue (user_id, priority, parked_at, due_at) VALUES ('u9', 4, now(), now() + interval '1 day'), ('u10', 4, NULL, now() + interval '1 day')",
        "DELETE FROM work_queue WHERE user_id IN ('u4', 'u9', 'u10')",
        "UPDATE work_queue SET due_at = now()",
    ] {
        run(&world.db, statement).await;
        assert_eq!(world.number(WRONG).await, Some(0), "after {statement}");
    }
    run(&world.db, "DELETE FROM work_queue").await;
    world.start_worker().await;
    let left = "SELECT count(*) FROM counter_changes";
    world
        .eventually("the changes are summed up", async || {
            world.number(left).await == Some(0)
        })
        .await;
    assert_eq!(world.number(WRONG).await, Some(0));
}

#[tokio::test]
async fn dead_letters_go_after_thirty_days_and_not_before() {
    let world = World::builder().workers(0).start().await;
    let letters = "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at, kept_at)
                   SELECT 'AUTH0_LOGS', n, 's', 'not_json', '', '', 0, now(), now() - n * interval '1 hour' FROM generate_series(1, 7200) AS n";
    let totals = "INSERT INTO dead_letter_totals (stream, reason, hour, total)
                  SELECT 'AUTH0_LOGS', 'not_json', date_trunc('hour', now() - n * interval '1 hour'), 1 FROM generate_series(1, 1000) AS n";
    run(&world.db, letters).await;
    run(&world.db, totals).await;
    world.start_worker().await;
    // One hour of each day was not over yet at their creation.
    world
        .eventually("the ones of thirty days are left", async || {
            let letters = world.number("SELECT max(stream_seq) FROM dead_letters").await;
            letters == Some(719) && world.number("SELECT count(*) FROM dead_letter_totals").await <= Some(720)
        })
        .await;
    assert_eq!(world.number("SELECT count(*) FROM dead_letters").await, Some(719));
}
