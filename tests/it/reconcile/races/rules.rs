//! A race under rules that have changed since.

use crate::world::events::{Sent, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::races::{overwritten, stream_logs};
use crate::world::rules::{RulesFile, rule};
use crate::world::{ANN, World};

/// Until its second version the rules also name a role `beta`.
async fn world(roles: &[&str]) -> (World, RulesFile) {
    let rules = RulesFile::new(&(rule(ROLE, 5, 5, "") + &rule("beta", 2, 2, "")));
    let world = World::builder()
        .env("RULES_FILE", rules.path().display())
        .start()
        .await;
    stream_logs(&world).await;
    world.seed_user(ANN, roles);
    (world, rules)
}

/// Our write after `events` leaves `ours`, over another client's write of `theirs`; the race ends with `merged`.
async fn race(world: &World, events: &[Sent], [theirs, ours, merged]: [&[&str]; 3]) {
    overwritten(world, ANN, world.publish(events), [theirs, ours]).await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), merged);
}

/// The rules no longer name `beta`, and Ann earns the other role.
async fn without_beta(world: &World, rules: &RulesFile) {
    rules.write(&rule(ROLE, 5, 5, ""));
    let path = rules.path().display().to_string();
    let (applied, said) = world.rules(&["apply", &path]).await;
    assert!(applied, "{said}");
    world
        .rules_in_force("one rule is in force", |rules| rules.len() == 1)
        .await;
    let mut events = vec![saved("s-2", "pl_2", ANN)];
    events.extend(plays("b", "pl_2", 0..5));
    world.publish(&events).await;
    world
        .eventually("she has the other role", async || {
            world.roles(ANN).contains(&ROLE.to_owned())
        })
        .await;
    world.quiet().await;
}

fn earns_beta() -> Vec<Sent> {
    [vec![saved("s-1", "pl_1", ANN)], plays("a", "pl_1", 0..2)].concat()
}

#[tokio::test]
async fn a_revoked_role_that_left_the_rules_stays_revoked() {
    let (world, rules) = world(&["vip", "beta"]).await;
    world.publish(&earns_beta()).await;
    world.quiet().await;
    let lost = [retraction("r-1", "a-0", "pl_1")];
    let lists: [&[&str]; 3] = [&["vip", "beta", "extra"], &["vip"], &["extra", "vip"]];
    race(&world, &lost, lists).await;
    without_beta(&world, &rules).await;
    assert_eq!(world.roles(ANN), ["extra", "vip", ROLE]);
}

#[tokio::test]
async fn a_granted_role_that_left_the_rules_stays_granted() {
    let (world, rules) = world(&["vip"]).await;
    let lists: [&[&str]; 3] = [&["vip", "extra"], &["vip", "beta"], &["extra", "vip", "beta"]];
    race(&world, &earns_beta(), lists).await;
    without_beta(&world, &rules).await;
    assert_eq!(world.roles(ANN), ["extra", "vip", "beta", ROLE]);
}
