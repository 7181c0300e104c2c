//! A mass of changes waits for the operator, and the operator can stop everything.

use rolekeeper_sandbox::servers::folder::Folder;

use crate::world::World;
use crate::world::events::{Sent, play, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};

/// Users held by a brake.
const HELD: &str = "SELECT count(*) FROM work_queue WHERE held_by LIKE 'brake%'";
/// Users who wait for an attempt.
const DUE: &str = "SELECT count(*) FROM work_queue WHERE held_by IS NULL AND parked_at IS NULL";

fn user(n: u32) -> String {
    format!("auth0|u{n}")
}

/// Users with a playlist and 100 plays each, as events.
fn earned(users: u32) -> Vec<Sent> {
    let of = |n: u32| {
        let playlist = format!("pl_{n}");
        let mut events = vec![saved(&format!("s-{n}"), &playlist, &user(n))];
        events.extend(plays(&format!("p{n}"), &playlist, 0..100));
        events
    };
    (0..users).flat_map(of).collect()
}

/// One retraction for each of these users.
fn fallen(users: impl IntoIterator<Item = u32>) -> Vec<Sent> {
    let retract = |n: u32| retraction(&format!("r-{n}"), &format!("p{n}-7"), &format!("pl_{n}"));
    users.into_iter().map(retract).collect()
}

/// A world with these settings, and users without the role.
async fn world(users: u32, env: &[(&str, &str)]) -> World {
    let mut builder = World::builder().workers(0);
    for (name, value) in env {
        builder = match *name {
            "BRAKE_REVOKES" => builder.limit("brake_revokes", value.parse().expect("a number")),
            "BRAKE_REVOKES_SHARE" => builder.limit("brake_revokes_share", value.parse().expect("a number")),
            "BRAKE_GRANTS" => builder.limit("brake_grants", value.parse().expect("a number")),
            "BRAKE_GRANTS_SHARE" => builder.limit("brake_grants_share", value.parse().expect("a number")),
            _ => builder.env(name, value),
        };
    }
    let world = builder.env("SWEEP_INTERVAL_S", 1).start().await;
    for n in 0..users {
        world.seed_user(&user(n), &["mentor"]);
    }
    world.start_worker().await;
    world
}

/// Publishes while writes are paused, so that `due` users are queued before any attempt; then resumes.
async fn publish_at_once(world: &World, events: &[Sent], due: i64) {
    world.told(&["pause"]).await;
    world.publish(events).await;
    world.count_is("all of them wait", DUE, due).await;
    world.told(&["resume"]).await;
}

fn holders(world: &World, users: u32) -> usize {
    let holds = |n: &u32| world.roles(&user(*n)).iter().any(|role| role == ROLE);
    (0..users).filter(holds).count()
}

#[tokio::test]
async fn a_mass_of_revokes_is_held_and_released() {
    let world = world(12, &[("BRAKE_REVOKES", "3"), ("BRAKE_REVOKES_SHARE", "0.5")]).await;
    world.publish(&earned(12)).await;
    world.settled().await;
    let before = world.patches();
    assert_eq!(holders(&world, 12), 12);

    publish_at_once(&world, &fallen(0..12), 12).await;
    world.count_is("all are held", HELD, 12).await;
    let shown = world.told(&["brake", "--show", "2"]).await;
    assert!(
        shown.contains("12 users would have changed, of 12 holders; 12 held"),
        "{shown}"
    );
    assert!(
        shown.contains("auth0|u0  -playlist_editor") && shown.contains("and 10 more"),
        "{shown}"
    );
    assert!(shown.contains("grants: not engaged"), "{shown}");

    // A crash changes nothing, and the sweep does not change held users.
    world.worker().kill9().await;
    let worker = world.start_worker().await;
    let engaged = worker
        .metric("rolekeeper_brake_engaged{change=\"revoked\"}")
        .await;
    assert!((engaged - 1.0).abs() < 0.1, "the metric says {engaged}");
    // Later users wait with them; a user who earns the role again does not.
    world.publish(&[play("again", "pl_0")]).await;
    world.count_is("one is up to date again", HELD, 11).await;
    world.count_is("no other user waits", DUE, 0).await;
    assert_eq!((world.patches(), holders(&world, 12)), (before, 12));

    let released = world.told(&["brake", "release", "revokes"]).await;
    assert!(released.contains("11 users released"), "{released}");
    world.settled().await;
    assert_eq!((world.patches(), holders(&world, 12)), (before + 11, 1));
    let passed =
        "SELECT count(*) FROM role_changes WHERE released AND outcome = 'written' AND change = 'revoked'";
    assert_eq!(world.number(passed).await, Some(11));
    // These do not count towards the next one.
    world.publish(&[retraction("r-again", "p0-8", "pl_0")]).await;
    world.settled().await;
    assert_eq!(holders(&world, 12), 0);
    let again = world.command(&["brake", "release", "revokes"]).await;
    assert!(!again.status.success(), "nothing is held");
}

#[tokio::test]
async fn a_changed_rule_revokes_no_role_after_a_drop() {
    let world = world(12, &[("BRAKE_REVOKES", "3"), ("BRAKE_REVOKES_SHARE", "0.5")]).await;
    world.publish(&earned(12)).await;
    world.settled().await;
    let before = world.patches();

    let folder = Folder::new("rules").expect("a temporary folder");
    let file = folder.path().join("rules.toml");
    let rules = "[[rule]]\nrole = \"playlist_editor\"\ngrant_at = 150\nrevoke_below = 150\n\
                 [[rule]]\nrole = \"starter\"\ngrant_at = 50\nrevoke_below = 50\n";
    std::fs::write(&file, rules).expect("a writable folder");
    let env = [("RULES_FILE", file.to_str().expect("a path of ours"))];
    world.worker().kill9().await;
    world.start_worker_with(&env).await;
    world.count_is("all are held", HELD, 12).await;
    // The other half of the change passes.
    assert_eq!(world.roles(&user(3)), ["mentor", ROLE, "starter"]);
    assert_eq!((world.patches(), holders(&world, 12)), (before + 12, 12));

    let dropped = world.told(&["brake", "drop", "revokes"]).await;
    assert!(dropped.contains("12 users dropped"), "{dropped}");
    world.count_is("no user is held", HELD, 0).await;
    world.count_is("no user waits", DUE, 0).await;
    assert_eq!((world.patches(), holders(&world, 12)), (before + 12, 12));

    // A sweep that finds the one user whose role it may revoke does not change the others.
    let adopt =
        "UPDATE assignments SET adopted = true WHERE user_id = 'auth0|u4' AND role = 'playlist_editor'";
    sqlx::query(adopt).execute(&world.db).await.expect("an update");
    world
        .eventually("the sweep revokes it from one", async || {
            holders(&world, 12) == 11
        })
        .await;
    world.count_is("no user waits", DUE, 0).await;
    assert_eq!(world.patches(), before + 13);
}

/// A playlist of the user with one play.
fn played_once(n: u32) -> [Sent; 2] {
    let playlist = format!("pl_{n}");
    [
        saved(&format!("s-{n}"), &playlist, &user(n)),
        play(&format!("p-{n}"), &playlist),
    ]
}

/// Starts a worker that is killed as soon as the brake holds the first users.
async fn killed_while_it_holds(world: &World) {
    let worker = world.spawn_worker_with(&[]);
    world
        .eventually("some are held", async || world.number(HELD).await > Some(0))
        .await;
    worker.kill9().await;
}

/// F23: a rule changes from 100 to 150 while the worker runs; a role leaves the rules file; a bad file: `plan` shows it, the brake holds a
/// mass of revokes, a bad file is refused and the rules in force stay.
#[tokio::test]
async fn f23_a_changed_rule_that_would_revoke_500_revokes_none() {
    let file = RulesFile::new(&rule(ROLE, 1, 1, ""));
    let line = |line: i64| file.write(&rule(ROLE, line, line, ""));
    // A short timeout, so that the lease of a killed attempt is short.
    let rules = file.path().display().to_string();
    let world = world(500, &[("RULES_FILE", &rules), ("AUTH0_TIMEOUT_S", "1")]).await;
    let events: Vec<Sent> = (0..500).flat_map(played_once).collect();
    world.publish(&events).await;
    world
        .eventually_within(std::time::Duration::from_mins(1), "all are granted", async || {
            holders(&world, 500) == 500
        })
        .await;
    world.count_is("no user waits", DUE, 0).await;
    let calls = || world.tenant.with_calls(<[_]>::len);
    let (patches, called) = (world.patches(), calls());

    world.worker().kill9().await;
    line(2);
    killed_while_it_holds(&world).await;
    let worker = world.start_worker().await;
    // Its in-flight users return to the queue when their leases end.
    world
        .eventually_within(std::time::Duration::from_mins(1), "all are held", async || {
            world.number(HELD).await == Some(500)
        })
        .await;
    assert_eq!((world.patches(), holders(&world, 500)), (patches, 500));
    // Users who came after the brake had engaged cost no call.
    assert!(calls() - called <= 40, "{} calls", calls() - called);
    let said = worker.messages();
    assert!(
        said.iter()
            .any(|line| line.contains("the brake on revokes is engaged")),
        "{said:?}"
    );

    // After a corrected rule, released users are decided again, and nothing is written.
    worker.kill9().await;
    line(1);
    world.start_worker().await;
    world.told(&["brake", "release", "revokes"]).await;
    world.count_is("no user is held", HELD, 0).await;
    world.count_is("no user waits", DUE, 0).await;
    assert_eq!((world.patches(), holders(&world, 500)), (patches, 500));
}

/// A small tenant: the share alone would be two of thirty, the number ten.
#[tokio::test]
async fn a_rule_typed_wrong_takes_no_role_of_a_small_tenant() {
    let world = world(30, &[("BRAKE_REVOKES", "10")]).await;
    world.publish(&earned(30)).await;
    world.settled().await;
    let before = world.patches();
    let wrong = RulesFile::new(&rule(ROLE, 1_000, 1_000, ""));
    let path = wrong.path().display().to_string();
    world.told(&["rules", "apply", &path]).await;
    world.count_is("all are held", HELD, 30).await;
    assert_eq!((world.patches(), holders(&world, 30)), (before, 30));
    // Ten per window need no operator.
    wrong.write(&rule(ROLE, 100, 100, ""));
    world.told(&["rules", "apply", &path]).await;
    world.told(&["brake", "release", "revokes"]).await;
    world.count_is("none is held", HELD, 0).await;
    world.settled().await;
    publish_at_once(&world, &fallen(0..10), 10).await;
    world.settled().await;
    assert_eq!((world.number(HELD).await, holders(&world, 30)), (Some(0), 20));
}

#[tokio::test]
async fn a_mass_of_grants_is_held_until_dropped_or_released() {
    let world = world(9, &[("BRAKE_GRANTS", "3"), ("BRAKE_GRANTS_SHARE", "0.5")]).await;
    publish_at_once(&world, &earned(9), 9).await;
    world.count_is("all are held", HELD, 9).await;
    assert_eq!(world.patches(), 0);
    let shown = world.told(&["brake"]).await;
    assert!(shown.contains("auth0|u8  +playlist_editor"), "{shown}");
    world.told(&["brake", "drop", "grants"]).await;
    world.count_is("no user is held", HELD, 0).await;
    world.count_is("no user waits", DUE, 0).await;
    assert_eq!(world.patches(), 0);

    // A sweep that finds the one user without a suppressed grant does not change the others.
    let forgiven = "UPDATE assignments SET suppressed = false WHERE user_id = 'auth0|u4'";
    sqlx::query(forgiven).execute(&world.db).await.expect("an update");
    world
        .eventually("the sweep grants it to one", async || holders(&world, 9) == 1)
        .await;
    // More plays do not earn it again; a fall below the threshold and a return do.
    world.publish(&[play("more", "pl_5")]).await;
    world.publish(&fallen([6])).await;
    world
        .count_is(
            "one is below the threshold",
            "SELECT count(*) FROM assignments WHERE NOT wanted",
            1,
        )
        .await;
    world.publish(&[play("anew", "pl_6")]).await;
    world
        .eventually("it is granted to the user who earned it again", async || {
            holders(&world, 9) == 2
        })
        .await;
    world.count_is("no user waits", DUE, 0).await;
    assert_eq!(world.patches(), 2);
}

#[tokio::test]
async fn released_grants_are_written() {
    let world = world(9, &[("BRAKE_GRANTS", "3"), ("BRAKE_GRANTS_SHARE", "0.5")]).await;
    publish_at_once(&world, &earned(9), 9).await;
    world.count_is("all are held", HELD, 9).await;
    assert_eq!(world.patches(), 0);
    world.told(&["brake", "release", "grants"]).await;
    world.settled().await;
    assert_eq!((world.patches(), holders(&world, 9)), (9, 9));
}

#[tokio::test]
async fn below_the_share_nothing_is_held() {
    let world = world(8, &[("BRAKE_REVOKES", "2"), ("BRAKE_REVOKES_SHARE", "0.5")]).await;
    world.publish(&earned(8)).await;
    world.settled().await;
    publish_at_once(&world, &fallen(0..4), 4).await;
    world.settled().await;
    assert_eq!((world.number(HELD).await, holders(&world, 8)), (Some(0), 4));
    // The fifth inside the window is more than half of the holders at its start.
    world.publish(&fallen(4..5)).await;
    world.count_is("the fifth is held", HELD, 1).await;
    assert_eq!(holders(&world, 8), 4);
}

#[tokio::test]
async fn below_the_number_nothing_is_held() {
    let world = world(6, &[("BRAKE_REVOKES", "4"), ("BRAKE_REVOKES_SHARE", "0")]).await;
    world.publish(&earned(6)).await;
    world.settled().await;
    publish_at_once(&world, &fallen(0..4), 4).await;
    world.settled().await;
    assert_eq!((world.number(HELD).await, holders(&world, 6)), (Some(0), 2));
    world.publish(&fallen(4..6)).await;
    world.count_is("the others are held", HELD, 2).await;
    assert_eq!(holders(&world, 6), 2);
}

#[tokio::test]
async fn attempts_at_once_do_not_slip_past_together() {
    let world = world(12, &[("BRAKE_REVOKES", "3"), ("BRAKE_REVOKES_SHARE", "0.25")]).await;
    world.publish(&earned(12)).await;
    world.settled().await;
    world.told(&["pause"]).await;
    world.publish(&fallen(0..12)).await;
    world.count_is("all of them wait", DUE, 12).await;
    // These changes have no known reason yet, so only the decided ones count.
    let hide = "UPDATE work_queue SET priority = 2";
    sqlx::query(hide).execute(&world.db).await.expect("an update");
    // No decision is recorded until the brake has permitted its full number.
    let mut gate = world.db.begin().await.expect("a transaction");
    let close = sqlx::query("LOCK TABLE role_changes IN SHARE MODE");
    close.execute(&mut *gate).await.expect("a lock");
    world.told(&["resume"]).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let permitted = "SELECT count(*) FROM work_queue WHERE lease IS NOT NULL";
    world
        .eventually("three are about to decide", async || {
            world.number(waiting).await >= Some(1) && world.number(permitted).await == Some(3)
        })
        .await;
    gate.rollback().await.expect("an open gate");
    world.count_is("the rest is held", HELD, 9).await;
    world.count_is("no user waits", DUE, 0).await;
    assert_eq!(holders(&world, 12), 9);
}

#[tokio::test]
async fn a_pause_stops_writes_across_restarts() {
    let world = world(3, &[]).await;
    world.told(&["pause", "--reason", "moving the tenant"]).await;
    world.publish(&earned(3)).await;
    world
        .count_is("all are counted", "SELECT sum(plays)::bigint FROM playlists", 300)
        .await;
    world.worker().kill9().await;
    let worker = world.start_worker().await;
    world
        .eventually("the worker reports it", async || {
            let answer = worker.get("/readyz/reconcile").await;
            answer == Some((200, "reconcile: paused by the operator\n".to_owned()))
        })
        .await;
    let paused = worker.metric("rolekeeper_paused").await;
    assert!((paused - 1.0).abs() < 0.1, "the metric says {paused}");
    let said = worker.messages();
    let said = said.iter().filter(|line| line.contains("moving the tenant"));
    assert_eq!(said.count(), 1);
    assert_eq!(world.number(DUE).await, Some(3));
    assert_eq!((world.api_calls(), holders(&world, 3)), (0, 0));
    world.told(&["resume"]).await;
    world.settled().await;
    assert_eq!(holders(&world, 3), 3);
    assert!(worker.is_active("reconcile").await);
}
