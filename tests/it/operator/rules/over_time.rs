//! Rules that change, rules that wait, and changes by hand.

use rolekeeper_sandbox::tenant::{Actor, Endpoint};
use serde_json::json;

use crate::world::events::{deleted, plays};
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, line_is, rule};
use crate::world::{CLIENT, World, user};

/// A world with this file and a short interval of the sweep.
async fn world(file: &RulesFile) -> World {
    let builder = World::builder().env("RULES_FILE", file.path().display());
    builder.env("SWEEP_INTERVAL_S", 1).start().await
}

const ALL: [&str; 5] = ["low", "line", "high", "top", "new"];

/// Users around thresholds of 100 and 150 plays; the first one is in force.
async fn around_the_thresholds(file: &RulesFile) -> World {
    let world = world(file).await;
    for (name, count) in ALL.into_iter().zip([100, 149, 150, 160, 99]) {
        world.played(name, count).await;
    }
    world.settled().await;
    world
}

/// F23: a rule changes from 100 to 150 while the worker runs; a role leaves the rules file; a bad file: `plan` shows it, the brake holds a
/// mass of revokes, a bad file is refused and the rules in force stay.
#[tokio::test]
async fn f23_a_threshold_that_moves_up_revokes_from_those_between() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, ""));
    let world = around_the_thresholds(&file).await;
    let four = ["low", "line", "high", "top"];
    world.holders_are("a hundred is enough", &ALL, &four).await;
    let before = world.patches();
    file.write(&rule(ROLE, 150, 150, ""));
    world
        .holders_are("those between lose it", &ALL, &["high", "top"])
        .await;
    world.quiet().await;
    assert_eq!(world.patches(), before + 2, "no other user is written");
    let unasked = "SELECT count(*) FROM role_changes WHERE change = 'revoked' AND event_id IS NULL";
    assert_eq!(world.number(unasked).await, Some(2), "no event did it");
}

/// The role leaves the file, and comes back with another threshold.
#[tokio::test]
async fn f23_a_role_without_a_rule_stays_until_the_rule_is_back() {
    let hundred = rule(ROLE, 100, 100, "");
    let file = RulesFile::new(&hundred);
    let world = around_the_thresholds(&file).await;
    file.write(&rule(ROLE, 150, 150, ""));
    world
        .holders_are("those between lose it", &ALL, &["high", "top"])
        .await;
    world.quiet().await;
    let before = world.patches();
    file.write(&rule("other", 1_000_000, 1, ""));
    world
        .rules_in_force("the role has left the file", |rules| !line_is(rules, 150))
        .await;
    // One role more, one less, one permanent, and one by hand: rolekeeper changes none of them.
    world.publish(&plays("more", "pl_new", 0..100)).await;
    world.retracted("high", 0..60).await;
    world.publish(&[deleted("gone", "pl_top")]).await;
    world.publish(&plays("more-low", "pl_low", 0..100)).await;
    world.quiet().await;
    world.holders_are("all as it was", &ALL, &["high", "top"]).await;
    assert_eq!(world.patches(), before, "no user is written");
    file.write(&hundred);
    let by_count = ["low", "line", "new"];
    world
        .holders_are("as the counts are by now", &ALL, &by_count)
        .await;
    world.settled().await;
    assert_eq!(world.patches(), before + 5);
}

/// The role is revoked when the grace is over, without an event; a user who returns in time keeps it.
#[tokio::test]
async fn grace_ends_on_time_without_an_event_and_a_return_ends_it_too() {
    let grace = time::Duration::seconds(4);
    let rules = rule(ROLE, 100, 100, "grace = \"4s\"") + &rule("fan", 100, 100, "revoke = \"never\"");
    let file = RulesFile::new(&rules);
    let world = world(&file).await;
    let all = ["ann", "bob", "cid"];
    for name in all {
        world.played(name, 100).await;
    }
    world.holders_are("all of them earn it", &all, &all).await;
    world.quiet().await;

    let start = world.postgres_now().await;
    world.retracted("ann", 0..50).await;
    world.retracted("bob", 0..1).await;
    world.fell("bob").await;
    world.publish(&plays("bob-again", "pl_bob", 0..1)).await;
    world
        .eventually("bob is back", async || world.below_since("bob").await.is_none())
        .await;
    // Cid falls after Bob did, so Bob's time would be over before Cid's.
    world.retracted("cid", 0..1).await;
    world.gone("ann").await;
    world.gone("cid").await;
    let changes = world.changes("ann");
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(
        changes[1].at - start >= grace,
        "{:?} from {start}: before the grace was over",
        changes[1]
    );
    world.quiet().await;
    assert_eq!(world.changes("bob").len(), 1, "kept without a break");
    assert!(
        all.iter().all(|name| world.has(name, "fan")),
        "once earned, it stays"
    );
}

/// A role that was just granted is kept for a while although it is no longer earned; one held for long is revoked at
/// once.
#[tokio::test]
async fn a_role_is_kept_for_the_least_time_after_its_grant() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "min_hold = \"8s\""));
    let world = world(&file).await;
    world.played("old", 100).await;
    world.played("young", 100).await;
    let both = ["old", "young"];
    world.holders_are("both earn it", &both, &both).await;
    world.retracted("young", 0..1).await;
    world.gone("young").await;
    let young = world.changes("young");
    let held = young[1].at - young[0].at;
    assert!(held >= time::Duration::seconds(8), "held for {held}");

    let fell = world.postgres_now().await;
    world.retracted("old", 0..1).await;
    world.gone("old").await;
    let went = world.changes("old")[1].at - fell;
    assert!(
        went < time::Duration::seconds(8),
        "the time is counted from the grant: {went}"
    );
}

/// A kill inside the grace neither ends it, nor starts it again.
#[tokio::test]
async fn grace_outlives_a_kill() {
    let grace = time::Duration::seconds(10);
    let file = RulesFile::new(&rule(ROLE, 100, 100, "grace = \"10s\""));
    let world = world(&file).await;
    world.played("ann", 100).await;
    world.holders_are("ann earns it", &["ann"], &["ann"]).await;
    world.quiet().await;
    world.retracted("ann", 0..1).await;
    let fell = world.fell("ann").await;
    world.worker().kill9().await;
    world.start_worker().await;
    world.gone("ann").await;
    let went = world.changes("ann")[1].at - fell;
    assert!(went >= grace, "gone after {went}");
    assert!(went < grace * 2, "started again: gone after {went}");
}

/// A changed rule also holds for users who are inside its old grace.
#[tokio::test]
async fn a_shorter_grace_counts_for_those_who_wait_already() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "grace = \"1h\""));
    let world = world(&file).await;
    world.played("ann", 100).await;
    world.holders_are("ann earns it", &["ann"], &["ann"]).await;
    world.retracted("ann", 0..1).await;
    world.fell("ann").await;
    file.write(&rule(ROLE, 100, 100, ""));
    world.gone("ann").await;
    world.settled().await;
}

/// The rows about changes by other clients.
const FOREIGN: &str = "SELECT change, outcome FROM role_changes WHERE change IN ('given', 'taken')";
const LEFT: &str = "rolekeeper_roles_externally_removed_total{outcome=\"left\"}";
const RESTORED: &str = "rolekeeper_roles_externally_removed_total{outcome=\"restored\"}";

/// A world in which Ann has earned the role and another client removes it.
async fn taken_away(manual: &str) -> (World, RulesFile) {
    let file = RulesFile::new(&rule(ROLE, 100, 100, manual));
    let world = world(&file).await;
    world.connect_log_stream().await;
    world.played("ann", 100).await;
    world.holders_are("ann earns it", &["ann"], &["ann"]).await;
    world.quiet().await;
    let without = json!({"app_metadata": {"roles": ["mentor"]}});
    let edited = world.tenant.dashboard_edit(&user("ann"), without);
    edited.expect("an edit");
    (world, file)
}

/// F18: a role removed or added by hand: a role of ours that another client removed is restored (default), kept off (`respect`) or only
/// reported (`alert`); a role given by hand below the threshold stays until it is adopted; a row of the audit.
#[tokio::test]
async fn f18_a_removed_role_is_left_until_it_is_earned_again() {
    let (world, _file) = taken_away("manual = \"alert\"").await;
    world
        .eventually("it is reported", async || {
            world.worker().count(LEFT).await == Some(1)
        })
        .await;
    world.quiet().await;
    // Neither one more play, nor a sweep, nor another worker restores it.
    world.publish(&plays("more", "pl_ann", 0..1)).await;
    world.worker().kill9().await;
    let worker = world.start_worker().await;
    let looked = world.endpoints_of(&user("ann")).len();
    let still = json!({"app_metadata": {"roles": ["mentor", "guest"]}});
    let edited = world.tenant.edit_unrecorded(&user("ann"), still);
    edited.expect("an edit");
    let asked = sqlx::query("UPDATE assignments SET verified_at = NULL WHERE user_id = $1");
    let asked = asked.bind(user("ann")).execute(&world.db).await;
    assert_eq!(asked.expect("Postgres responds").rows_affected(), 1);
    world
        .eventually("the sweep caused another read of the profile", async || {
            world.endpoints_of(&user("ann")).len() > looked
        })
        .await;
    world.quiet().await;
    assert_eq!(world.roles(&user("ann")), ["mentor", "guest"]);
    let patches = |world: &World| {
        let calls = world.endpoints_of(&user("ann"));
        calls.iter().filter(|call| **call == Endpoint::PatchUser).count()
    };
    assert_eq!(patches(&world), 1, "the grant and nothing else");
    assert_eq!(
        world.rows(FOREIGN).await,
        [json!({"change": "taken", "outcome": "left"})]
    );
    assert_eq!(worker.count(LEFT).await, Some(0), "reported once");

    world.retracted("ann", 0..2).await;
    world.quiet().await;
    assert_eq!(patches(&world), 1, "nothing is there to be taken");
    world.publish(&plays("anew", "pl_ann", 0..1)).await;
    world.holders_are("it is earned again", &["ann"], &["ann"]).await;
    world.settled().await;
    assert_eq!(patches(&world), 2);
}

#[tokio::test]
async fn f18_a_role_that_a_person_took_away_is_restored() {
    // The default.
    let (world, _file) = taken_away("").await;
    world.holders_are("it is back", &["ann"], &["ann"]).await;
    world.settled().await;
    assert_eq!(world.worker().count(RESTORED).await, Some(1));
    assert_eq!(
        world.rows(FOREIGN).await,
        [json!({"change": "taken", "outcome": "reverted"})]
    );
    let history = world.tenant.history(&user("ann"));
    let by: Vec<_> = history.iter().map(|version| version.by.clone()).collect();
    let ours = Actor::Client(CLIENT.to_owned());
    assert_eq!(by, [Actor::Unrecorded, ours.clone(), Actor::Dashboard, ours]);
}
