//! F5: two to eight workers, the active one frozen past every timeout, then continued: its late commit and its late
//! record are refused, its late write is seen and mended; promises 1 and 3. Here it freezes while its write is in
//! flight; another worker takes over, then the write arrives.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Actor;
use rolekeeper_sandbox::traffic::management::Management;
use rolekeeper_sandbox::traffic::others;
use serde_json::json;

use crate::world::events::{Sent, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::proxy::Proxy;
use crate::world::rules::{RulesFile, rule};
use crate::world::{ANN, CLIENT, Worker, World};

/// After every timeout of a frozen holder's session, and its lease.
const TAKEN_OVER_WITHIN: Duration = Duration::from_mins(1);

/// A delay of the tenant's records that is longer than an attempt takes.
const DELAY: Duration = Duration::from_secs(12);

/// The number of times that we left Ann with the role, or without it.
pub(super) fn written(world: &World, with_role: bool) -> usize {
    let by_us = Actor::Client(CLIENT.to_owned());
    let history = world.tenant.history(ANN);
    let ours = history.iter().filter(|version| version.by == by_us);
    ours.filter(|version| others::holds(version.app_metadata.as_ref()) == with_role)
        .count()
}

/// A worker that reconciles, with an adjustable delay to the tenant.
struct Sleeper {
    worker: Worker,
    way: Proxy,
}

impl Sleeper {
    /// Its write is done, and it continues.
    async fn wakes(&self, world: &World) {
        let before = world.tenant.history(ANN).len();
        self.way.let_go();
        world
            .eventually("its late write arrives", async || {
                world.tenant.history(ANN).len() > before
            })
            .await;
        self.worker.sigcont();
    }
}

/// Two workers, of which one folds and the other reconciles. Ann has 99 plays.
async fn world(more: &[(&str, String)]) -> (World, Sleeper) {
    let builder = World::builder().workers(0);
    let more = more.iter();
    let builder = more.fold(builder, |builder, (name, value)| builder.env(name, value));
    let world = builder.env("AUTH0_TIMEOUT_S", 1).start().await;
    world.seed_user(ANN, &["mentor"]);
    world.start_worker_with(&[("ONLY", "fold")]).await;
    let (worker, way) = world.start_worker_by_proxy(&[("ONLY", "reconcile")]).await;
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    world.publish(&plays("a", "pl_1", 0..99)).await;
    world.settled().await;
    (world, Sleeper { worker, way })
}

/// Publishes the events that make `sleeper` write, and freezes it before the write arrives. Returns the worker that
/// will take over, which receives the tenant's log.
async fn freeze_before_the_write(world: &World, sleeper: &Sleeper, events: &[Sent]) -> Worker {
    let before = world.tenant.history(ANN).len();
    let held = sleeper.way.held();
    sleeper.way.hold(b"PATCH /");
    world.publish(events).await;
    world
        .eventually("a write is in flight", async || sleeper.way.held() > held)
        .await;
    sleeper.worker.sigstop();
    assert_eq!(world.tenant.history(ANN).len(), before, "it froze too late");

    let heir = world.start_worker().await;
    world.connect_log_stream().await;
    heir
}

/// Waits until the second worker has made an attempt for Ann.
async fn taken_over(world: &World) {
    world
        .eventually_within(
            TAKEN_OVER_WITHIN,
            "the second worker made an attempt",
            async || world.is_quiet().await,
        )
        .await;
}

#[tokio::test]
async fn f05_a_late_grant_goes_again_though_others_changed_the_list() {
    let (world, sleeper) = world(&[]).await;
    let heir = freeze_before_the_write(&world, &sleeper, &plays("a", "pl_1", 99..100)).await;
    taken_over(&world).await;
    assert_eq!(written(&world, true), 1, "the heir gave the role");
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    world
        .eventually("the second worker revokes the role", async || {
            written(&world, false) == 1
        })
        .await;
    let by_hand = json!({"app_metadata": {"roles": ["mentor", "staff"]}});
    world.tenant.dashboard_edit(ANN, by_hand).expect("an edit");
    taken_over(&world).await;

    sleeper.wakes(&world).await;
    // No response with the time of the write was read: the role of the other client is reported, not restored.
    let reported = "SELECT count(*) FROM races WHERE outcome = 'unconfirmed'";
    world
        .eventually(
            "its late write arrives, and our role is revoked again",
            async || written(&world, true) == 2 && world.roles(ANN) == ["mentor"] && world.is_quiet().await,
        )
        .await;
    assert_eq!(world.number(reported).await, Some(1));
    assert!(heir.is_active("reconcile").await);
    let audit = world.audit_of(ANN).await;
    let changes: Vec<&str> = audit.iter().map(|(change, _)| change.as_str()).collect();
    assert_eq!(changes, ["granted", "revoked", "granted", "revoked"]);
}

#[tokio::test]
async fn f05_a_late_grant_of_what_is_not_earned_any_more_goes_again() {
    let (world, sleeper) = world(&[]).await;
    freeze_before_the_write(&world, &sleeper, &plays("a", "pl_1", 99..100)).await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    taken_over(&world).await;
    assert_eq!(written(&world, true), 0, "the heir had nothing to write");

    sleeper.wakes(&world).await;
    world
        .eventually("its late write arrives", async || written(&world, true) == 1)
        .await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
}

#[tokio::test]
async fn f05_a_late_grant_that_nobody_lived_to_record_goes_again() {
    let (world, sleeper) = world(&[]).await;
    freeze_before_the_write(&world, &sleeper, &plays("a", "pl_1", 99..100)).await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    taken_over(&world).await;

    sleeper.wakes(&world).await;
    world
        .eventually("its late write arrives", async || written(&world, true) == 1)
        .await;
    sleeper.worker.kill9().await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
}

/// Removals by another client are left. A worker froze before its revoke; the role is earned again, so the second worker has
/// nothing to write.
async fn frozen_before_a_revoke() -> (World, Sleeper, RulesFile) {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "manual = \"alert\""));
    let (world, sleeper) = world(&[("RULES_FILE", file.path().display().to_string())]).await;
    world.publish(&plays("a", "pl_1", 99..100)).await;
    world.settled().await;
    freeze_before_the_write(&world, &sleeper, &[retraction("r1", "a-0", "pl_1")]).await;
    world.publish(&plays("a", "pl_1", 100..101)).await;
    taken_over(&world).await;
    assert_eq!(written(&world, false), 0, "the heir had nothing to write");
    (world, sleeper, file)
}

#[tokio::test]
async fn f05_a_late_revoke_is_not_taken_for_a_persons() {
    let (world, sleeper, _file) = frozen_before_a_revoke().await;

    sleeper.wakes(&world).await;
    world
        .eventually("its late write arrives", async || written(&world, false) == 1)
        .await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

/// The attempt that sees the late write knows of no record yet, and leaves the role removed, as by another client.
#[tokio::test]
async fn f05_a_late_revoke_seen_before_its_record_is_undone() {
    let (world, sleeper, _file) = frozen_before_a_revoke().await;

    world.connect_log_stream_delayed(DELAY..=DELAY).await;
    sleeper.wakes(&world).await;
    world
        .run_sql(
            "INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ('auth0|ann', 0, true)
             ON CONFLICT (user_id) DO UPDATE SET force_fetch = true, due_at = now()",
        )
        .await;
    let left = "SELECT count(*) FROM assignments WHERE suppressed";
    world.count_is("the removal is left", left, 1).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

/// A worker of the version before stored its writes without the mark that their result is not recorded.
#[tokio::test]
async fn the_record_of_a_write_from_before_an_upgrade_is_taken() {
    let world = World::builder().env("ONLY", "http,fold").start().await;
    world.seed_user(ANN, &[]);
    world.connect_log_stream().await;
    let noted = "INSERT INTO profile_writes (write_id, user_id, read_roles, read_updated_at, wrote_roles)
                 VALUES (gen_random_uuid(), 'auth0|ann', '[]', now(), '[\"playlist_editor\"]')";
    sqlx::query(noted)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    let before = Management::connect(&world.tenant, CLIENT, "secret").await;
    let patch = json!({"app_metadata": {"roles": [ROLE]}});
    let written = before.expect("a token").user(ANN, Some(&patch)).await;
    assert_eq!(written.expect("a response").status(), 200);
    world
        .eventually("its record is folded, and the user is queued", async || {
            let told = "SELECT count(*) FROM profile_writes p JOIN foreign_writes f USING (write_id)
                    WHERE p.followed_up_at IS NOT NULL AND f.ask_at IS NOT NULL";
            let enqueued = "SELECT count(*) FROM work_queue WHERE force_fetch";
            world.number(told).await == Some(1) && world.number(enqueued).await == Some(1)
        })
        .await;
}

/// No log stream reports it, and the attempt that followed up ended before it arrived.
#[tokio::test]
async fn l9_a_grant_that_comes_after_every_attempt_is_seen_in_a_day() {
    let (world, sleeper) = world(&[("SWEEP_INTERVAL_S", "1".to_owned())]).await;
    sleeper.way.hold(b"PATCH /");
    world.publish(&plays("a", "pl_1", 99..100)).await;
    world
        .eventually("a write is in flight", async || sleeper.way.held() > 0)
        .await;
    sleeper.worker.kill9().await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    world.start_worker().await;
    world
        .eventually_within(
            TAKEN_OVER_WITHIN,
            "the write counts as never applied",
            async || {
                let closed = "SELECT count(*) FROM profile_writes WHERE closed = 'not_seen'";
                world.number(closed).await == Some(1) && world.is_quiet().await
            },
        )
        .await;
    let late = Management::connect(&world.tenant, CLIENT, "secret")
        .await
        .expect("a token");
    let patch = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    let late = late.user(ANN, Some(&patch)).await.expect("a response");
    assert_eq!(late.status(), 200);
    let aged = "UPDATE profile_writes SET attempted_at = attempted_at - interval '25 hours'";
    sqlx::query(aged)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    // No record shows that the role is ours, so it counts as given by hand.
    let seen = "SELECT count(*) FROM assignments WHERE has_role AND NOT adopted";
    world
        .eventually("it is seen", async || world.number(seen).await == Some(1))
        .await;
    let again = "SELECT count(*) FROM profile_writes WHERE late_check_at IS NULL";
    assert_eq!(world.number(again).await, Some(0), "once for each write");
}
