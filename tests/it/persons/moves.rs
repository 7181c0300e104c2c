//! Persons who have another id, without a link at Auth0: `rolekeeper move`.

use rolekeeper_sandbox::tenant::Tenant;
use serde_json::json;

use crate::world::events::{play, plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, app, told};
use crate::world::{LOG_TOKEN, World};

const OLD: &str = "auth0|old";
const NEW: &str = "samlp|acme|new";

/// The account is made again under another id.
fn make_again(tenant: &Tenant, roles: &[&str]) {
    assert!(tenant.delete_user(OLD));
    tenant
        .create_user(NEW, json!({"app_metadata": {"roles": roles}}))
        .expect("a new user");
}

/// A holder of the role.
async fn holder() -> World {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    world.seed_user(OLD, &["mentor"]);
    world.earn(OLD, "pl_old").await;
    world
        .eventually("the role is there", async || world.roles(OLD) == ["mentor", ROLE])
        .await;
    world.quiet().await;
    world
}

async fn moves(world: &World) {
    world.told(&["move", OLD, NEW, "--why", "made again"]).await;
}

async fn new_has(world: &World, roles: &[&str]) {
    world
        .eventually("the new id has the roles", async || world.roles(NEW) == roles)
        .await;
    world.quiet().await;
}

#[tokio::test]
async fn a_moved_person_keeps_what_was_earned() {
    let world = holder().await;
    make_again(&world.tenant, &["mentor"]);
    world.quiet().await;
    assert_eq!(world.roles(NEW), ["mentor"]);
    moves(&world).await;
    new_has(&world, &["mentor", ROLE]).await;
    world.linked(1).await;
    world.all_told().await;
    let changes = world.told_by_user().await;
    assert_eq!(
        changes[OLD],
        [told("granted", None), told("revoked", Some("user_deleted"))]
    );
    assert_eq!(changes[NEW], [told("granted", None)]);
    let acts = world.told(&["acts"]).await;
    assert!(
        acts.contains("made again") && acts.contains(OLD) && acts.contains(NEW),
        "{acts}"
    );
    let back = retraction("r-1", "pl_old-0", "pl_old");
    world.publish(&[back]).await;
    new_has(&world, &["mentor"]).await;
}

#[tokio::test]
async fn a_role_that_was_copied_to_the_new_account_is_ours() {
    let world = holder().await;
    // The deletion is not known yet, and the new account is read before the move.
    world.tenant.silence(true);
    make_again(&world.tenant, &["mentor", ROLE]);
    world.tenant.silence(false);
    world.tenant.login(NEW).expect("a login");
    let by_hand =
        "SELECT count(*) FROM assignments WHERE user_id = 'samlp|acme|new' AND has_role AND NOT adopted";
    world.count_is("it counts as given by hand", by_hand, 1).await;
    moves(&world).await;
    world.linked(1).await;
    world.quiet().await;
    world.all_told().await;
    let changes = world.told_by_user().await;
    assert_eq!(
        changes[OLD],
        [told("granted", None), told("revoked", Some("moved"))]
    );
    assert_eq!(changes[NEW], [told("granted", Some("moved"))]);
    let back = retraction("r-1", "pl_old-0", "pl_old");
    world.publish(&[back]).await;
    new_has(&world, &["mentor"]).await;
}

#[tokio::test]
async fn later_events_that_name_the_old_id_count_for_the_new_one() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user(NEW, &[]);
    world
        .publish(&[saved("s-1", "pl_1", OLD), play("p-1", "pl_1")])
        .await;
    world.quiet().await;
    moves(&world).await;
    world.linked(1).await;
    world.publish(&[saved("s-2", "pl_2", OLD)]).await;
    world.publish(&plays("p2", "pl_2", 0..100)).await;
    new_has(&world, &[ROLE]).await;
    assert_eq!(
        world.number("SELECT count(*) FROM assignments").await,
        Some(1),
        "nothing is decided for the old id"
    );
}

#[tokio::test]
async fn pins_count_and_a_requested_name_follows_the_person() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user(OLD, &[]);
    world.told(&["pin", OLD, ROLE, "on", "--why", "a jury"]).await;
    world
        .eventually("the pin is done", async || world.roles(OLD) == [ROLE])
        .await;
    make_again(&world.tenant, &[]);
    world.quiet().await;
    let request_name = "INSERT INTO display_names (user_id, request_id, requested, requested_at)
        VALUES ('auth0|old', gen_random_uuid(), 'Ann', now())";
    world.run_sql(request_name).await;
    moves(&world).await;
    new_has(&world, &[ROLE]).await;
    assert_eq!(
        world.tenant.user(NEW).unwrap()["user_metadata"]["displayName"],
        "Ann"
    );
    let pins = world.told(&["pins", "--user", NEW]).await;
    assert!(pins.starts_with(OLD), "{pins}");
}

#[tokio::test]
async fn a_move_is_repeated_safely_and_undone() {
    let world = holder().await;
    make_again(&world.tenant, &["mentor"]);
    world.told(&["pause", "--why", "a story"]).await;
    moves(&world).await;
    world.worker().kill9().await;
    world.start_worker().await;
    let again = world.told(&["move", OLD, NEW, "--why", "again"]).await;
    assert!(
        again.contains("was moved to") && again.contains("paused"),
        "{again}"
    );
    world.told(&["resume", "--why", "a story"]).await;
    new_has(&world, &["mentor", ROLE]).await;
    world.told(&["move", OLD, NEW, "--why", "again"]).await;
    world.quiet().await;
    world.all_told().await;
    assert_eq!(world.told_by_user().await[NEW], [told("granted", None)]);
    let undo = ["move", OLD, NEW, "--undo", "--why", "another person"];
    world.told(&undo).await;
    new_has(&world, &["mentor"]).await;
    world.linked(0).await;
    assert!(!world.command(&undo).await.status.success(), "nothing to undo");
}

#[tokio::test]
async fn a_moved_id_follows_the_new_one_through_links() {
    let world = holder().await;
    make_again(&world.tenant, &[]);
    world.quiet().await;
    moves(&world).await;
    new_has(&world, &[ROLE]).await;
    world.seed_user(ANN, &["mentor"]);
    world.tenant.login(ANN).unwrap();
    world.tenant.link(app(), ANN, NEW).unwrap();
    world.linked(2).await;
    world.role_follows().await;
    world.quiet().await;
    world.tenant.unlink(app(), ANN, NEW).unwrap();
    new_has(&world, &[ROLE]).await;
    assert_eq!(world.roles(ANN), ["mentor"]);
    let rows = world.rows("SELECT alias, primary_id FROM identities").await;
    assert_eq!(rows, [json!({"alias": OLD, "primary_id": NEW})]);
}

#[tokio::test]
async fn an_old_id_that_becomes_the_account_again_gets_all_back() {
    let world = holder().await;
    make_again(&world.tenant, &[]);
    world.quiet().await;
    moves(&world).await;
    new_has(&world, &[ROLE]).await;
    // The person comes back by the old way, and the app links the newer account to it.
    world.tenant.create_user(OLD, json!({})).unwrap();
    world.tenant.link(app(), OLD, NEW).unwrap();
    world
        .eventually("the role is with the old id", async || world.roles(OLD) == [ROLE])
        .await;
    world.quiet().await;
    let rows = world.rows("SELECT alias, primary_id FROM identities").await;
    assert_eq!(rows, [json!({"alias": NEW, "primary_id": OLD})]);
    // The move has ended: the end of the link leaves two accounts.
    world.tenant.unlink(app(), OLD, NEW).unwrap();
    world.linked(0).await;
    world.quiet().await;
    assert_eq!(world.roles(OLD), [ROLE]);
    assert!(world.roles(NEW).is_empty());
    world.publish(&[retraction("r-1", "pl_old-0", "pl_old")]).await;
    world
        .eventually("the old id is an account", async || world.roles(OLD).is_empty())
        .await;
}

#[tokio::test]
async fn an_old_id_that_signs_up_again_is_an_account_of_its_own() {
    for by_hand in [&["mentor"][..], &["mentor", ROLE]] {
        let world = holder().await;
        make_again(&world.tenant, by_hand);
        world.quiet().await;
        moves(&world).await;
        new_has(&world, &["mentor", ROLE]).await;
        world.linked(1).await;
        world.tenant.create_user(OLD, json!({})).expect("a sign-up");
        world.linked(0).await;
        world.rests_with(OLD, &[ROLE]).await;
        // A role that it had before the move was given by hand.
        world.rests_with(NEW, by_hand).await;
        let acts = world.told(&["acts"]).await;
        assert!(acts.contains("the old id is an account again"), "{acts}");
        let back = retraction("r-1", "pl_old-0", "pl_old");
        world.publish(&[back]).await;
        world.rests_with(OLD, &[]).await;
        world.rests_with(NEW, by_hand).await;
    }
}

#[tokio::test]
async fn a_forged_record_of_an_old_id_ends_no_move() {
    let world = holder().await;
    make_again(&world.tenant, &["mentor"]);
    world.quiet().await;
    moves(&world).await;
    new_has(&world, &["mentor", ROLE]).await;
    let calls = world.calls_of(OLD).len();
    let login = json!({"type": "s", "date": "2026-11-24T10:00:00.000Z", "user_id": OLD, "log_id": "900"});
    let record = json!({"log_id": "900", "data": login}).to_string();
    let posted = world.worker().post_logs(LOG_TOKEN, record).await;
    assert_eq!(posted, Some(200));
    world
        .eventually("Auth0 is asked for it", async || {
            world.calls_of(OLD).len() > calls && world.is_quiet().await
        })
        .await;
    assert_eq!(world.roles(NEW), ["mentor", ROLE]);
    let rows = world.rows("SELECT alias, primary_id FROM identities").await;
    assert_eq!(rows, [json!({"alias": OLD, "primary_id": NEW})]);
    let gone = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
    assert_eq!(world.number(gone).await, Some(0), "the person has an account");
}

#[tokio::test]
async fn what_a_linked_id_earned_follows_the_move_and_returns() {
    let world = World::two_accounts().await;
    world.link();
    world.ends_with_the_primary().await;
    // Auth0 deletes the linked identity with the account.
    assert!(world.tenant.delete_user(ANN));
    let again = json!({"app_metadata": {"roles": ["mentor"]}});
    world.tenant.create_user(NEW, again).expect("a new user");
    world.quiet().await;
    let said = world.told(&["move", ANN, NEW, "--why", "made again"]).await;
    assert!(
        said.contains("google-oauth2|7: was linked to auth0|ann"),
        "{said}"
    );
    new_has(&world, &["mentor", ROLE]).await;
    world
        .told(&["move", ANN, NEW, "--undo", "--why", "a mistake"])
        .await;
    new_has(&world, &["mentor"]).await;
}
