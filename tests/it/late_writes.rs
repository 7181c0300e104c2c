//! F5: a worker freezes when it has decided and not written yet. Another one takes over; then its write comes after all.

use std::time::Duration;

use rolekeeper::sandbox::tenant::{Actor, CallMatch, Endpoint, Fault};
use rolekeeper::sandbox::traffic::management::Management;
use rolekeeper::sandbox::traffic::others;
use serde_json::json;

use crate::events::{Sent, plays, retraction, saved};
use crate::oracle::ROLE;
use crate::rules_many::{RulesFile, rule};
use crate::world::{CLIENT, Worker, World};

const ANN: &str = "auth0|ann";
/// Past every timeout of a frozen holder's session, and its lease.
const TAKEN_OVER_WITHIN: Duration = Duration::from_mins(1);
/// Each answer of Postgres takes so long while a worker is to be caught. A look makes a dozen trips before its write, and must
/// not outlive its lease of 18 s.
const SLOW: Duration = Duration::from_millis(600);

/// How often we left Ann with the role, or without it.
fn written(world: &World, with_role: bool) -> usize {
    let by_us = Actor::Client(CLIENT.to_owned());
    let history = world.tenant.history(ANN);
    let ours = history.iter().filter(|version| version.by == by_us);
    ours.filter(|version| others::holds(version.app_metadata.as_ref()) == with_role)
        .count()
}

/// Two workers, of which one folds and the other reconciles. Ann has 99 plays.
async fn world(more: &[(&str, String)]) -> (World, Worker) {
    let builder = World::builder().workers(0).postgres_proxy();
    let more = more.iter();
    let builder = more.fold(builder, |builder, (name, value)| builder.env(name, value));
    let world = builder.env("AUTH0_TIMEOUT_S", 1).start().await;
    world.seed_user(ANN, &["mentor"]);
    world.start_worker_with(&[("ONLY", "fold")]).await;
    let sleeper = world.start_worker_with(&[("ONLY", "reconcile")]).await;
    world.publish(&[saved("s1", "pl_1", ANN)]).await;
    world.publish(&plays("a", "pl_1", 0..99)).await;
    world.settled().await;
    (world, sleeper)
}

/// Publishes what makes `sleeper` decide a write, and freezes it before that is sent. Answers the one that is to take over, which
/// hears the tenant's log.
async fn freeze_before_the_write(world: &World, sleeper: &Worker, events: &[Sent]) -> Worker {
    let before = world.tenant.history(ANN).len();
    // It does not know yet that its decision is committed.
    world.postgres_proxy().delay(SLOW);
    world.publish(events).await;
    world
        .eventually("a change is decided", async || {
            world
                .number("SELECT count(*) FROM role_changes WHERE outcome IS NULL")
                .await
                == Some(1)
        })
        .await;
    sleeper.sigstop();
    world.postgres_proxy().restore();
    assert_eq!(world.tenant.history(ANN).len(), before, "it froze too late");

    let heir = world.start_worker().await;
    world.connect_log_stream().await;
    heir
}

/// Waits until the heir has looked at Ann.
async fn taken_over(world: &World) {
    world
        .eventually_within(TAKEN_OVER_WITHIN, "the heir has looked", async || {
            world.is_quiet().await
        })
        .await;
}

#[tokio::test]
async fn a_late_grant_is_mended_also_where_others_changed_the_list() {
    let (world, sleeper) = world(&[]).await;
    let heir = freeze_before_the_write(&world, &sleeper, &plays("a", "pl_1", 99..100)).await;
    taken_over(&world).await;
    assert_eq!(written(&world, true), 1, "the heir gave the role");
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    world
        .eventually("the heir takes the role", async || written(&world, false) == 1)
        .await;
    let by_hand = json!({"app_metadata": {"roles": ["mentor", "staff"]}});
    world.tenant.dashboard_edit(ANN, by_hand).expect("an edit");
    taken_over(&world).await;

    sleeper.sigcont();
    let roles = || {
        let mut roles = world.roles(ANN);
        roles.sort();
        roles
    };
    world
        .eventually("its late write comes, and is mended", async || {
            written(&world, true) == 2 && roles() == ["mentor", "staff"] && world.is_quiet().await
        })
        .await;
    assert!(heir.is_active("reconcile").await);
    let audit = world.audit_of(ANN).await;
    let changes: Vec<&str> = audit.iter().map(|(change, _)| change.as_str()).collect();
    assert_eq!(changes, ["granted", "revoked", "granted", "revoked"]);
}

#[tokio::test]
async fn a_late_grant_of_what_is_not_earned_any_more_goes_again() {
    let (world, sleeper) = world(&[]).await;
    freeze_before_the_write(&world, &sleeper, &plays("a", "pl_1", 99..100)).await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    taken_over(&world).await;
    assert_eq!(written(&world, true), 0, "the heir had nothing to write");

    sleeper.sigcont();
    world
        .eventually("its late write comes", async || written(&world, true) == 1)
        .await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
}

#[tokio::test]
async fn a_late_grant_that_nobody_lived_to_record_goes_again() {
    let (world, sleeper) = world(&[]).await;
    freeze_before_the_write(&world, &sleeper, &plays("a", "pl_1", 99..100)).await;
    world.publish(&[retraction("r1", "a-0", "pl_1")]).await;
    taken_over(&world).await;

    let unanswered = Fault::DelayedAnswer(Duration::from_secs(5));
    world
        .tenant
        .fault_once(CallMatch::to(Endpoint::PatchUser), unanswered);
    sleeper.sigcont();
    world
        .eventually("its late write comes", async || written(&world, true) == 1)
        .await;
    sleeper.kill9().await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
}

#[tokio::test]
async fn a_late_revoke_is_not_taken_for_a_persons() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "manual = \"alert\""));
    let (world, sleeper) = world(&[("RULES_FILE", file.path().display().to_string())]).await;
    world.publish(&plays("a", "pl_1", 99..100)).await;
    world.settled().await;
    freeze_before_the_write(&world, &sleeper, &[retraction("r1", "a-0", "pl_1")]).await;
    world.publish(&plays("a", "pl_1", 100..101)).await;
    taken_over(&world).await;
    assert_eq!(written(&world, false), 0, "the heir had nothing to write");

    sleeper.sigcont();
    world
        .eventually("its late write comes", async || written(&world, false) == 1)
        .await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

/// A worker of the version before noted its writes without saying that nobody has recorded them.
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
        .expect("Postgres answers");
    let before = Management::connect(&world.tenant, CLIENT, "secret").await;
    let patch = json!({"app_metadata": {"roles": [ROLE]}});
    let written = before.expect("a token").user(ANN, Some(&patch)).await;
    assert_eq!(written.expect("an answer").status(), 200);
    world
        .eventually(
            "its record is folded, and the user is to be looked at",
            async || {
                let told =
                    "SELECT count(*) FROM profile_writes WHERE followed_up_at IS NOT NULL AND NOT recorded";
                let nominated = "SELECT count(*) FROM nominations WHERE observe";
                world.number(told).await == Some(1) && world.number(nominated).await == Some(1)
            },
        )
        .await;
}
