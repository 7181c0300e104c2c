//! Users whom a brake holds, beside other work of theirs.

use rolekeeper_sandbox::tenant::CallMatch;
use rolekeeper_sandbox::tenant::Endpoint::PatchUser;
use rolekeeper_sandbox::tenant::Fault;

use super::sweep_bounds::run;
use crate::world::events::{plays, retraction, saved};
use crate::world::rules::{RulesFile, rule};
use crate::world::{ANN, World};

#[tokio::test]
async fn a_user_held_by_one_brake_still_loses_another_role() {
    let rules =
        "[[rule]]\nrole = \"playlist_editor\"\nof = \"all_playlists\"\ngrant_at = 100\nrevoke_below = 100\n"
            .to_owned()
            + &rule("starter", 50, 50, "grace = \"3s\"");
    let file = RulesFile::new(&rules);
    let world = World::builder()
        .env("RULES_FILE", file.path().display())
        .env("SWEEP_INTERVAL_S", 1);
    let world = world.start().await;
    world.seed_user(ANN, &["mentor"]);
    world
        .publish(&[
            saved("s1", "pl_1", ANN),
            saved("s2", "pl_2", ANN),
            saved("s3", "pl_3", ANN),
        ])
        .await;
    world.publish(&plays("a", "pl_1", 0..50)).await;
    world
        .eventually("the first role", async || {
            world.roles(ANN) == ["mentor", "starter"]
        })
        .await;
    run(
        &world.db,
        "UPDATE brakes SET engaged_at = now() WHERE change = 'granted'",
    )
    .await;
    world.publish(&plays("b", "pl_2", 0..49)).await;
    world.publish(&plays("c", "pl_3", 0..49)).await;
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_grants'";
    world
        .eventually("held", async || world.number(held).await == Some(1))
        .await;
    world.publish(&[retraction("r1", "a-1", "pl_1")]).await;
    world
        .eventually("the other role is revoked when its grace is over", async || {
            world.roles(ANN) == ["mentor"] && world.number(held).await == Some(1)
        })
        .await;
}

#[tokio::test]
async fn a_grant_that_was_left_over_waits_as_a_grant() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    run(&world.db, "INSERT INTO pause (reason) VALUES ('a test')").await;
    let row = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, decided_at)
               VALUES (gen_random_uuid(), 'auth0|' || $1, 'playlist_editor', $1, 100, '{}', 0, now() - interval '1 day')";
    for change in ["granted", "revoked"] {
        sqlx::query(row)
            .bind(change)
            .execute(&world.db)
            .await
            .expect("a row");
    }
    let priorities = "SELECT count(*) FROM work_queue WHERE (user_id, priority) IN (('auth0|granted', 1), ('auth0|revoked', 0))";
    world
        .eventually("each waits by its direction", async || {
            world.number(priorities).await == Some(2)
        })
        .await;
}

#[tokio::test]
async fn leave_to_pass_a_brake_ends_when_the_user_is_parked() {
    let world = World::builder().start().await;
    world.seed_user(ANN, &["mentor"]);
    let refused = CallMatch::to(PatchUser).user(ANN);
    world.tenant.hold_fault(refused, Fault::status(400));
    run(&world.db, "INSERT INTO pause (reason) VALUES ('a test')").await;
    world.earn(ANN, "pl_1").await;
    let waits = "SELECT count(*) FROM work_queue";
    world
        .eventually("she waits", async || world.number(waits).await == Some(1))
        .await;
    run(
        &world.db,
        "UPDATE work_queue SET pass_grants = true, pass_revokes = true",
    )
    .await;
    run(&world.db, "DELETE FROM pause").await;
    let parked = "SELECT count(*) FROM work_queue WHERE parked_at IS NOT NULL AND NOT pass_grants AND NOT pass_revokes";
    world
        .eventually("she is parked", async || world.number(parked).await == Some(1))
        .await;
}
