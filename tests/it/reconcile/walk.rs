//! The sweep finds users that a change of rules affects, partition by partition.

use crate::world::World;
use crate::world::erasure::KEY;
use crate::world::events::{plays, saved};
use crate::world::rules::{RulesFile, rule};

/// Users with two playlists at 6 and 7 plays each: more than four partitions of them.
const MANY: i64 = 12_000;
const ENQUEUED: &str = "SELECT count(*) FROM work_queue";
const OPEN: &str = "SELECT count(*) FROM walk WHERE changed";
/// Owners whose total is not the sum of their playlists, counted independently.
const WRONG_TOTALS: &str = "SELECT count(*) FROM (
        SELECT owner_id AS user_id, sum(greatest(plays, 0))::bigint AS plays FROM playlists
        WHERE owner_id IS NOT NULL AND NOT deleted GROUP BY owner_id) AS s
    FULL JOIN (SELECT * FROM owner_totals WHERE generation = (SELECT totals_generation FROM rules_in_force)) AS t
        USING (user_id) WHERE coalesce(s.plays, 0) <> coalesce(t.plays, 0)";

/// Users without an earlier attempt, and a pause so that they stay in the queue.
async fn many_owners() -> World {
    // Rounds that do not follow a change come too late for the test.
    let world = World::builder()
        .workers(0)
        .env("SWEEP_INTERVAL_S", 3_600)
        .start()
        .await;
    world
        .run_sql(
            "INSERT INTO pause DEFAULT VALUES;
             INSERT INTO playlists (playlist_id, plays, owner_id)
             SELECT 'w_' || n, 6 + n % 2, 'auth0|w' || lpad((n / 2)::text, 6, '0') FROM generate_series(0, 23999) AS n",
        )
        .await;
    world
}

async fn apply(world: &World, rules: &RulesFile) {
    world
        .told(&["rules", "apply", &rules.path().display().to_string()])
        .await;
}

/// A new rule starts the totals while plays arrive, and they are exact without a stop of the fold.
#[tokio::test]
async fn a_new_rule_over_all_playlists_finds_every_user() {
    let world = many_owners().await;
    let worker = world.start_worker().await;
    world.count_is("the first round ends", OPEN, 0).await;
    assert_eq!(world.number(ENQUEUED).await, Some(0));
    let rules = RulesFile::new(&rule("curator", 13, 13, "of = \"all_playlists\""));
    apply(&world, &rules).await;
    for round in 0..40u32 {
        let list = format!("w_{}", round * 500);
        let new = format!("new_{round}");
        let moved = saved(&format!("s-{round}"), &new, &format!("auth0|w{:06}", round * 7));
        let some = [
            plays(&format!("p-{round}"), &list, 0..3),
            vec![moved],
            plays(&new, &new, 0..2),
        ];
        world.publish(&some.concat()).await;
    }
    world.count_is("the round ends", OPEN, 0).await;
    world.count_is("all users are found", ENQUEUED, MANY).await;
    world
        .eventually("all is folded", async || {
            world
                .number("SELECT count(*) FROM playlists WHERE playlist_id LIKE 'new%' AND plays = 2")
                .await
                == Some(40)
        })
        .await;
    assert_eq!(world.number(WRONG_TOTALS).await, Some(0));
    assert_eq!(
        world.number("SELECT count(*) FROM owner_totals").await,
        Some(MANY)
    );
    let partitions = world.number("SELECT last_partitions FROM walk").await;
    assert!(partitions > Some(3), "{partitions:?} partitions");
    assert!(worker.is_active("fold_app_events").await);
}

#[tokio::test]
async fn a_round_goes_on_where_it_was_and_says_how_far_it_is() {
    let world = many_owners().await;
    let first = world.start_worker().await;
    world.count_is("the first round ends", OPEN, 0).await;
    first.kill9().await;
    apply(&world, &RulesFile::new(&rule("curator", 7, 7, ""))).await;
    world
        .run_sql("UPDATE walk SET position = 'auth0|w010000', partitions = 4")
        .await;
    let shown = world.told(&["rules", "show"]).await;
    assert!(
        shown.contains("4 partitions done, up to \"auth0|w010000\""),
        "{shown}"
    );
    let worker = world.start_worker().await;
    world.count_is("the round ends", OPEN, 0).await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM work_queue WHERE user_id <= 'auth0|w010000'")
            .await,
        Some(0)
    );
    assert_eq!(world.number(ENQUEUED).await, Some(MANY - 10_001));
    assert_eq!(worker.count("rolekeeper_rules_walk_open").await, Some(0));
}

#[tokio::test]
async fn a_round_that_fails_ends_no_term_and_holds_up_no_role() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    let worker = world.worker();
    world.run_sql("ALTER TABLE walk RENAME TO walk_away").await;
    let failed = |line: &String| line.contains("failed; retrying");
    world
        .eventually("it is logged", async || worker.messages().iter().any(failed))
        .await;
    world.played("ann", 100).await;
    world.holders_are("roles are written", &["ann"], &["ann"]).await;
    assert!(worker.is_active("reconcile").await);
    world.run_sql("ALTER TABLE walk_away RENAME TO walk").await;
    world.settled().await;
    assert_eq!(
        worker.messages().iter().filter(|line| failed(line)).count(),
        1,
        "said once"
    );
}

/// The position of a round contains no erased user's id; the round continues after the user before.
#[tokio::test]
async fn the_position_of_a_round_names_no_erased_person() {
    let world = World::builder().workers(0).env("ERASURE_KEY", KEY).start().await;
    world
        .run_sql(
            "INSERT INTO playlists (playlist_id, plays, owner_id) VALUES ('a', 1, 'auth0|ann'), ('b', 1, 'auth0|bob'), ('c', 1, 'auth0|cid');
             INSERT INTO walk (rules, changed, writes, position) VALUES ('x', false, true, 'auth0|bob')",
        )
        .await;
    world.told(&["erase", "auth0|bob"]).await;
    let position = world.rows("SELECT position FROM walk").await;
    assert_eq!(position[0]["position"], "auth0|ann");
}

/// A user who is in the queue during the comparison is not missed, whatever happens to the queue meanwhile.
#[tokio::test]
async fn a12_a_user_in_the_queue_is_not_taken_for_missed() {
    let world = World::builder()
        .workers(0)
        .env("SWEEP_INTERVAL_S", 1)
        .start()
        .await;
    world
        .run_sql(
            "INSERT INTO pause DEFAULT VALUES;
             CREATE TABLE tried (user_id text);
             CREATE FUNCTION note_try() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO tried VALUES (NEW.user_id); RETURN NEW; END $$",
        )
        .await;
    world.start_worker().await;
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    world.count_is("she waits", ENQUEUED, 1).await;
    world
        .run_sql(
            "CREATE TRIGGER note_try BEFORE INSERT ON work_queue FOR EACH ROW EXECUTE FUNCTION note_try()",
        )
        .await;
    for _ in 0..2 {
        world.walked().await;
    }
    assert_eq!(world.number("SELECT count(*) FROM tried").await, Some(0));
}
