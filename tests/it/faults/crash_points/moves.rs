//! Persons who have another id since, by the operator's word.

use rolekeeper_sandbox::tenant::Endpoint::ReadUser;
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::json;

use super::attempts::resting_holder;
use super::run::{Place, killed};
use super::table;
use crate::world::oracle::ROLE;
use crate::world::{World, user};

/// A holder of the role whose account was made again under another id; returns both ids.
async fn made_again(place: &Place) -> (String, String) {
    let world = &place.world;
    resting_holder(place, "old").await;
    let (old, new) = (user("old"), user("new"));
    assert!(world.tenant.delete_user(&old));
    let again = json!({"app_metadata": {"roles": ["mentor"]}});
    world.tenant.create_user(&new, again).expect("a new user");
    world.quiet().await;
    (old, new)
}

async fn right(place: &Place) {
    let wrong = place.wrong().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The role is written once, and goes with the end of the move.
#[tokio::test]
async fn kills_while_a_person_is_moved() {
    let place = Place::start(World::builder(), true).await;
    place.next_worker().await;
    let world = &place.world;
    let (old, new) = made_again(&place).await;
    let [moved, before, undone] = table::points_of("a moved person")[..] else {
        panic!("three points");
    };
    let moves = ["move", &old, &new, "--why", "a story"];
    for point in [moved, before] {
        killed(&place, point, &moves).await.expect("the command dies");
        world.rests_with(&new, &["mentor", ROLE]).await;
    }
    assert_eq!(world.changes("new").len(), 1);
    let undo = ["move", &old, &new, "--undo", "--why", "a story"];
    killed(&place, undone, &undo).await.expect("the command dies");
    assert!(!world.command(&undo).await.status.success(), "nothing to undo");
    world.rests_with(&new, &["mentor"]).await;
    right(&place).await;
}

/// The old id signs up again, and its profile shows no list of ids: the move stands until a profile shows one.
#[tokio::test]
async fn a_kill_while_a_moved_id_shows_no_list() {
    let place = Place::start(World::builder(), true).await;
    place.next_worker().await;
    let world = &place.world;
    let (old, new) = made_again(&place).await;
    world.told(&["move", &old, &new, "--why", "a story"]).await;
    world.rests_with(&new, &["mentor", ROLE]).await;
    let unlisted = Fault::Rewritten {
        from: "\"identities\"".to_owned(),
        to: "\"others\"".to_owned(),
    };
    world
        .tenant
        .hold_fault(CallMatch::to(ReadUser).user(&old), unlisted);
    for point in table::points_of("a moved id without a list") {
        let signs_up = async || drop(world.tenant.create_user(&old, json!({})).expect("a sign-up"));
        assert!(
            place.passes(point, "kill", signs_up).await,
            "{point}: not reached"
        );
    }
    place.dead().await;
    place.next_worker().await;
    world.rests_with(&new, &["mentor", ROLE]).await;
    world.tenant.clear_faults();
    world.tenant.login(&old).expect("a login");
    world.rests_with(&old, &[ROLE]).await;
    world.rests_with(&new, &["mentor"]).await;
    right(&place).await;
}
