//! An operator releases a brake while folds and attempts run: no deadlock occurs.

use std::time::Duration;

use sqlx::{Postgres, Transaction};

use crate::world::World;
use crate::world::events::{play, retraction};
use crate::world::oracle::ROLE;

/// Ann is held by the brake on revokes; Bob is in the queue.
const HELD: &str = "UPDATE brakes SET engaged_at = now() WHERE change = 'revoked';

    INSERT INTO work_queue (user_id, priority, held_by) VALUES ('auth0|ann', 0, 'brake_revokes'), ('auth0|bob', 0, NULL)";
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

async fn run(tx: &mut Transaction<'static, Postgres>, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(statement).execute(&mut **tx).await.map(|_| ())
}

/// Like a fold that enqueues Ann and then Bob, and like an attempt that has Bob and checks the brake.
#[tokio::test]
async fn a_release_waits_in_no_circle_with_a_fold_and_an_attempt() {
    let world = World::builder().workers(0).start().await;
    sqlx::raw_sql(HELD)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    let mut fold = world.db.begin().await.expect("a transaction");
    let mut look = world.db.begin().await.expect("a transaction");
    run(
        &mut fold,
        "UPDATE work_queue SET generation = generation + 1 WHERE user_id = 'auth0|ann'",
    )
    .await
    .expect("a lock");
    run(
        &mut look,
        "SELECT FROM work_queue WHERE user_id = 'auth0|bob' FOR UPDATE",
    )
    .await
    .expect("a lock");
    let release = world.command(&["brake", "release", "revokes"]);
    let others = async {
        world.count_is("the release waits for Ann", WAITING, 1).await;
        let asks = run(
            &mut look,
            "SELECT FROM brakes WHERE change = 'revoked' FOR UPDATE",
        );
        let asked = tokio::time::timeout(Duration::from_secs(5), asks).await;
        asked.expect("the brake is free").expect("a lock");
        look.commit().await.expect("the attempt ends");
        let bob = "UPDATE work_queue SET generation = generation + 1 WHERE user_id = 'auth0|bob'";
        run(&mut fold, bob).await.expect("no deadlock");
        fold.commit().await.expect("the fold ends");
    };
    let (released, ()) = tokio::join!(release, others);
    let said = String::from_utf8_lossy(&released.stdout).into_owned();
    assert!(said.contains("1 user released"), "{said}");
    // Bob waits without an attempt, and so does not pass.
    assert!(
        said.contains("1 waiting user was not held: these changes count again"),
        "{said}"
    );
    let left = "SELECT count(*) FROM work_queue WHERE held_by IS NOT NULL OR (pass_revokes AND user_id <> 'auth0|ann')";
    assert_eq!(world.number(left).await, Some(0));
}

/// Events for held users cause a new decision; the drop of the brake nevertheless includes them all.
#[tokio::test]
async fn a_drop_gives_up_users_who_wait_for_a_new_attempt_too() {
    let world = World::builder()
        .limit("brake_revokes", 3.0)
        .limit("brake_revokes_share", 0.0)
        .start()
        .await;
    let users: Vec<String> = (0..6).map(|n| format!("auth0|u{n}")).collect();
    for user in &users {
        world.seed_user(user, &[]);
        world.earn(user, &user[6..]).await;
    }
    world.settled().await;
    world.told(&["pause"]).await;
    let fall = |user: &String, play: u32| {
        let list = &user[6..];
        retraction(&format!("r{play}-{list}"), &format!("{list}-{play}"), list)
    };
    world
        .publish(&users.iter().map(|user| fall(user, 7)).collect::<Vec<_>>())
        .await;
    let due = "SELECT count(*) FROM work_queue WHERE priority = 0";
    world.count_is("all are due", due, 6).await;
    world.told(&["resume"]).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_revokes'";
    world.count_is("all are held", held, 6).await;
    world.told(&["pause"]).await;
    for user in &users[..3] {
        let list = &user[6..];
        world.publish(&[play(&format!("again-{list}"), list)]).await;
    }
    world.count_is("three wait for an attempt", held, 3).await;
    let again: Vec<_> = users[..3].iter().map(|user| fall(user, 8)).collect();
    world.publish(&again).await;
    let fallen = "SELECT count(*) FROM work_queue WHERE cause_event LIKE 'r8-%'";
    world
        .count_is("they are below the threshold again", fallen, 3)
        .await;
    let shown = world.told(&["brake"]).await;
    assert!(shown.contains("6 held, 0 more wait"), "{shown}");
    let dropped = world.told(&["brake", "drop", "revokes"]).await;
    assert!(dropped.contains("6 users dropped"), "{dropped}");
    world.told(&["resume"]).await;
    world
        .count_is("no user waits", "SELECT count(*) FROM work_queue", 0)
        .await;
    for user in &users {
        assert_eq!(world.roles(user), [ROLE], "{user}");
    }
}

/// A pin decides the other role, and no brake holds its change.
#[tokio::test]
async fn a_drop_leaves_a_pinned_role_alone() {
    let world = World::builder().workers(0).start().await;
    world.run_sql(HELD).await;
    world
        .run_sql(
            "INSERT INTO assignments (user_id, role, wanted, has_role, adopted)
             SELECT 'auth0|ann', role, false, true, true FROM UNNEST(ARRAY['playlist_editor', 'vip', 'past']) AS of(role);
             INSERT INTO pins (user_id, role, state, until, why, pinned_by)
             VALUES ('auth0|ann', 'vip', 'on', NULL, 'a story', 'world'), ('auth0|ann', 'past', 'on', now() - interval '1 s', 'a story', 'world')",
        )
        .await;
    let shown = world.told(&["brake"]).await;
    assert!(shown.contains("auth0|ann  -past -playlist_editor\n"), "{shown}");
    world.told(&["brake", "drop", "revokes"]).await;
    let adopted = "SELECT role FROM assignments WHERE adopted";
    assert_eq!(world.rows(adopted).await, [serde_json::json!({"role": "vip"})]);
}
