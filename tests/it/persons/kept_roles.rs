//! Roles that their rule never revokes, or keeps between its thresholds: after the end of a link each id has what it earned by itself.

use crate::world::World;
use crate::world::events::{plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE, app};
use crate::world::rules::{RulesFile, rule};

const BOB: &str = "auth0|bob";

async fn with_rule(rule: &str) -> (World, RulesFile) {
    let file = RulesFile::new(rule);
    let builder = World::builder().env("RULES_FILE", file.path().display());
    let world = builder.start().await;
    world.connect_log_stream().await;
    (world, file)
}

/// A world whose rule never revokes the role.
async fn never(more: &str) -> (World, RulesFile) {
    with_rule(&rule(ROLE, 100, 100, &format!("revoke = \"never\"\n{more}"))).await
}

async fn linked_and_unlinked(world: &World, account: &str) {
    world.tenant.link(app(), account, GOOGLE).expect("a link");
    world.linked(1).await;
    world
        .eventually("the account has the role", async || {
            world.roles(account).contains(&ROLE.to_owned()) && world.is_quiet().await
        })
        .await;
    world.tenant.unlink(app(), account, GOOGLE).expect("an unlink");
    world.linked(0).await;
}

#[tokio::test]
async fn an_id_gives_a_kept_role_to_no_account_that_it_leaves() {
    let (world, _file) = never("").await;
    world.two_accounts_here().await;
    world.seed_user(BOB, &[]);
    world.tenant.login(BOB).expect("a login");
    world.quiet().await;
    for (account, roles) in [(ANN, &["mentor"][..]), (BOB, &[])] {
        linked_and_unlinked(&world, account).await;
        world.rests_with(account, roles).await;
        world.rests_with(GOOGLE, &[ROLE]).await;
    }
    assert_eq!(world.number("SELECT count(*) FROM own_decisions").await, Some(0));
}

#[tokio::test]
async fn a_kept_role_is_with_the_id_again_that_earned_it() {
    let (world, _file) = never("").await;
    world.two_accounts_here().await;
    world
        .publish(&[retraction("r-1", "pl_google-0", "pl_google")])
        .await;
    world.quiet().await;
    linked_and_unlinked(&world, ANN).await;
    world.rests_with(ANN, &["mentor"]).await;
    world.rests_with(GOOGLE, &[ROLE]).await;
}

#[tokio::test]
async fn an_account_keeps_what_it_earned_before_a_link() {
    let (world, _file) = never("").await;
    world.two_accounts_here().await;
    world.earn(ANN, "pl_ann").await;
    world.rests_with(ANN, &["mentor", ROLE]).await;
    world.publish(&[retraction("r-1", "pl_ann-0", "pl_ann")]).await;
    world.quiet().await;
    linked_and_unlinked(&world, ANN).await;
    world.rests_with(ANN, &["mentor", ROLE]).await;
    world.rests_with(GOOGLE, &[ROLE]).await;
}

/// In whatever order two ids leave that earned the role, it is gone with the last one.
#[tokio::test]
async fn an_account_keeps_what_another_linked_id_earned() {
    for [first, last] in [[GOOGLE, BOB], [BOB, GOOGLE]] {
        let (world, _file) = never("").await;
        world.two_accounts_here().await;
        world.seed_user(BOB, &[]);
        world.tenant.login(BOB).expect("a login");
        world.earn(BOB, "pl_bob").await;
        world.rests_with(BOB, &[ROLE]).await;
        world.tenant.link(app(), ANN, BOB).expect("a link");
        world.link();
        world.linked(2).await;
        world.rests_with(ANN, &["mentor", ROLE]).await;
        for (id, left, roles) in [(first, 1, &["mentor", ROLE][..]), (last, 0, &["mentor"])] {
            world.tenant.unlink(app(), ANN, id).expect("an unlink");
            world.linked(left).await;
            world.rests_with(ANN, roles).await;
            world.rests_with(id, &[ROLE]).await;
        }
    }
}

#[tokio::test]
async fn a_role_that_only_both_together_earned_stays() {
    let (world, _file) = never("of = \"all_playlists\"").await;
    world.seed_user(ANN, &[]);
    world.seed_user(GOOGLE, &[]);
    let mut events = vec![saved("s-1", "pl_a", ANN), saved("s-2", "pl_g", GOOGLE)];
    events.extend([plays("a", "pl_a", 0..60), plays("g", "pl_g", 0..60)].concat());
    world.publish(&events).await;
    world.tenant.login(ANN).expect("a login");
    linked_and_unlinked(&world, ANN).await;
    world.rests_with(ANN, &[ROLE]).await;
    world.rests_with(GOOGLE, &[]).await;
}

/// A world whose rule keeps the role between 50 and 100 plays; the second account has earned it.
async fn between(more: &str) -> (World, RulesFile) {
    let (world, file) = with_rule(&rule(ROLE, 100, 50, more)).await;
    world.two_accounts_here().await;
    (world, file)
}

/// Takes back the first plays of the second account.
async fn falls_by(world: &World, plays: u32) {
    let counted = "SELECT plays FROM playlists WHERE playlist_id = 'pl_google'";
    let taken_back =
        (0..plays).map(|n| retraction(&format!("r-{n}"), &format!("pl_google-{n}"), "pl_google"));
    world.publish(&taken_back.collect::<Vec<_>>()).await;
    world
        .count_is("its count fell", counted, i64::from(100 - plays))
        .await;
}

#[tokio::test]
async fn an_account_between_the_thresholds_keeps_no_role_of_an_id() {
    let (world, _file) = between("").await;
    let mut events = vec![saved("s-ann", "pl_ann", ANN)];
    events.extend(plays("ann", "pl_ann", 0..60));
    world.publish(&events).await;
    world.quiet().await;
    linked_and_unlinked(&world, ANN).await;
    world.rests_with(ANN, &["mentor"]).await;
    world.rests_with(GOOGLE, &[ROLE]).await;
}

#[tokio::test]
async fn an_id_between_the_thresholds_has_its_role_again() {
    let (world, _file) = between("").await;
    falls_by(&world, 40).await;
    linked_and_unlinked(&world, ANN).await;
    world.rests_with(ANN, &["mentor"]).await;
    world.rests_with(GOOGLE, &[ROLE]).await;
}

#[tokio::test]
async fn an_id_that_fell_below_meanwhile_has_no_role_again() {
    let (world, _file) = between("grace = \"1h\"").await;
    world.link();
    world.role_follows().await;
    falls_by(&world, 60).await;
    world.unlink();
    world.linked(0).await;
    world.rests_with(GOOGLE, &[]).await;
}
