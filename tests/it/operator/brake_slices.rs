//! Acts of the operator on very many users go in slices: others work beside them, and an interrupted one is continued.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::{Postgres, Transaction};

use crate::world::events::{plays, saved};
use crate::world::{World, size};

/// 3,500 users held by the brake on revokes.
const HELD: &str = "UPDATE brakes SET engaged_at = now(), changes = 3500, holders = 3500 WHERE change = 'revoked';
    INSERT INTO work_queue (user_id, priority, held_by, last_held_by)
    SELECT 'auth0|u' || lpad(n::text, 7, '0'), 0, 'brake_revokes', 'brake_revokes' FROM generate_series(1, 3500) AS n";
/// 3,500 parked users.
const PARKED: &str = "INSERT INTO work_queue (user_id, priority, parked_at, attempts)
    SELECT 'auth0|u' || lpad(n::text, 7, '0'), 0, now() - interval '1 day' + n * interval '1 s', 5 FROM generate_series(1, 3500) AS n";
const RELEASED: &str = "SELECT count(*) FROM work_queue WHERE pass_revokes AND held_by IS NULL";
const ENGAGED: &str = "SELECT count(*) FROM brakes WHERE engaged_at IS NOT NULL";

/// A fold has the user of the third slice.
async fn fold_of_third_slice(world: &World) -> Transaction<'static, Postgres> {
    let mut fold = world.db.begin().await.expect("a transaction");
    let touch = "UPDATE work_queue SET generation = generation + 1 WHERE user_id = 'auth0|u0002500'";
    sqlx::query(touch).execute(&mut *fold).await.expect("a lock");
    fold
}

#[tokio::test]
async fn a_killed_release_leaves_all_others_held_and_is_continued() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(HELD).await;
    let fold = fold_of_third_slice(&world).await;
    let mut command = world.begin_command(&["brake", "release", "revokes"]);
    world.count_is("two slices are released", RELEASED, 2_000).await;
    command.send(Signal::SIGKILL);
    command.ended().await;
    assert_eq!(world.number(ENGAGED).await, Some(1));
    let shown = world.told(&["brake"]).await;
    assert!(shown.contains("2000 users released so far"), "{shown}");
    assert!(shown.contains("1500 held"), "{shown}");
    // An attempt holds a user behind the position: the repeated command includes that user.
    world
        .run_sql("UPDATE work_queue SET held_by = 'brake_revokes', pass_revokes = false WHERE user_id = 'auth0|u0000001'")
        .await;
    fold.commit().await.expect("the fold ends");
    let said = world.told(&["brake", "release", "revokes"]).await;
    assert!(said.contains("3501 users released"), "{said}");
    assert!(!said.contains("were not held"), "{said}");
    let left = "SELECT count(*) FROM work_queue WHERE held_by IS NOT NULL";
    assert_eq!(
        (world.number(left).await, world.number(RELEASED).await),
        (Some(0), Some(3_500))
    );
    let under_way = "SELECT count(*) FROM brake_releases";
    assert_eq!(
        (world.number(ENGAGED).await, world.number(under_way).await),
        (Some(0), Some(0))
    );
}

#[tokio::test]
async fn an_engagement_stops_a_release_under_way() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(HELD).await;
    let fold = fold_of_third_slice(&world).await;
    let mut command = world.begin_command(&["brake", "release", "revokes"]);
    world.count_is("two slices are released", RELEASED, 2_000).await;
    let said = world.told(&["brake", "engage", "revokes", "--as", "ops"]).await;
    assert!(
        said.contains("engaged already, and stays so: the release by")
            && said.contains("2000 users released"),
        "{said}"
    );
    fold.commit().await.expect("the fold ends");
    let (ok, said) = command.ended().await;
    assert!(!ok && said.contains("has taken over"), "{said}");
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_revokes'";
    assert_eq!(
        (world.number(ENGAGED).await, world.number(held).await),
        (Some(1), Some(1_500))
    );
    let acts = world.told(&["acts"]).await;
    assert!(
        acts.contains("ops  brake engage") && acts.contains("is stopped"),
        "{acts}"
    );
}

#[tokio::test]
async fn an_interrupted_drop_says_what_was_done() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(HELD).await;
    let fold = fold_of_third_slice(&world).await;
    let mut command = world.begin_command(&["brake", "drop", "revokes"]);
    let dropped = "SELECT count(*) FROM work_queue WHERE priority = 4";
    world.count_is("two slices are dropped", dropped, 2_000).await;
    command.send(Signal::SIGTERM);
    fold.commit().await.expect("the fold ends");
    let (ok, said) = command.ended().await;
    assert!(
        !ok && said.contains("interrupted after 3000 users were dropped. The brake is still engaged"),
        "{said}"
    );
    assert!(
        said.contains("To continue: rolekeeper brake drop revokes"),
        "{said}"
    );
    let acts = world.told(&["acts"]).await;
    assert!(acts.contains("brake drop") && acts.contains("begun"), "{acts}");
    // An attempt holds a user behind the position, who is dropped too.
    world
        .run_sql(
            "UPDATE work_queue SET held_by = 'brake_revokes', priority = 0 WHERE user_id = 'auth0|u0000001'",
        )
        .await;
    let said = world.told(&["brake", "drop", "revokes"]).await;
    assert!(said.contains("3501 users dropped"), "{said}");
    assert_eq!(world.number(dropped).await, Some(3_500));
}

#[tokio::test]
async fn users_a_release_left_behind_are_decided_again() {
    let world = World::builder()
        .env("SWEEP_INTERVAL_S", 1)
        .workers(0)
        .start()
        .await;
    world.seed_user("auth0|ann", &[]);
    world
        .run_sql(
            "INSERT INTO work_queue (user_id, priority, held_by) VALUES ('auth0|ann', 0, 'brake_revokes')",
        )
        .await;
    world.start_worker().await;
    world
        .count_is("no user waits", "SELECT count(*) FROM work_queue", 0)
        .await;
}

#[tokio::test]
async fn a_requeue_of_all_goes_in_slices_beside_a_fold() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(PARKED).await;
    let mut fold = fold_of_third_slice(&world).await;
    let mut command = world.begin_command(&["requeue", "--all"]);
    let requeued = "SELECT count(*) FROM work_queue WHERE parked_at IS NULL AND attempts = 0";
    world.count_is("two slices are requeued", requeued, 2_000).await;
    for user in ["auth0|u0002501", "auth0|u0003400"] {
        let touch =
            sqlx::query("UPDATE work_queue SET generation = generation + 1 WHERE user_id = $1").bind(user);
        touch.execute(&mut *fold).await.expect("no deadlock");
    }
    fold.commit().await.expect("the fold ends");
    let (ok, said) = command.ended().await;
    assert!(ok && said.contains("3500 requeued"), "{said}");
    assert_eq!(world.number(requeued).await, Some(3_500));
}

/// The time of each event beside a release, in `scripts/long.sh` of a million users.
#[tokio::test]
async fn a_fold_goes_on_beside_a_release_of_very_many() {
    let world = World::builder().env("ONLY", "fold").start().await;
    let users = i64::from(size(20_000, 1_000_000));
    let held = "INSERT INTO work_queue (user_id, priority, held_by, last_held_by)
        SELECT 'auth0|u' || lpad(n::text, 7, '0'), 0, 'brake_revokes', 'brake_revokes' FROM generate_series(1, $1::bigint) AS n";
    sqlx::query(held)
        .bind(users)
        .execute(&world.db)
        .await
        .expect("held users");
    world
        .run_sql("UPDATE brakes SET engaged_at = now(), changes = 1, holders = 1 WHERE change = 'revoked'; ANALYZE work_queue")
        .await;
    let began = Instant::now();
    let mut command = world.begin_command(&["brake", "release", "revokes"]);
    let (mut longest, mut folded) = (Duration::ZERO, 0);
    let ended = loop {
        if let Some(ended) = command.ended_by_now() {
            break ended;
        }
        let (user, list) = (
            format!("auth0|u{:07}", (folded * 7_919) % users + 1),
            format!("pl_{folded}"),
        );
        let event = [saved(&format!("s-{folded}"), &list, &user)];
        let asked = Instant::now();
        world
            .publish(&[event.to_vec(), plays(&list, &list, 0..100)].concat())
            .await;
        let counted = "SELECT count(*) FROM playlists WHERE plays = 100";
        world.count_is("it is counted", counted, folded + 1).await;
        longest = longest.max(asked.elapsed());
        folded += 1;
    };
    eprintln!(
        "{users} users in {:?}; {folded} events with 100 plays beside it, the longest took {longest:?}",
        began.elapsed()
    );
    assert!(ended.0 && ended.1.contains("users released"), "{}", ended.1);
    assert!(
        longest < Duration::from_secs(2),
        "an event waited for {longest:?}"
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM work_queue WHERE held_by IS NOT NULL")
            .await,
        Some(0)
    );
}
