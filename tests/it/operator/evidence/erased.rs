//! Erased users: the chain stays valid, and nothing names them.

use super::{PERIOD, chained, lines, verified, written};
use crate::world::World;
use crate::world::erasure::{ANN, BARE, BOB, erase, world};

/// Ann and Bob hold the role.
async fn holders() -> World {
    let world = world().start().await;
    for (user, playlist) in [(ANN, "pl_ann"), (BOB, "pl_bob")] {
        world.seed_user(user, &[]);
        world.earn(user, playlist).await;
    }
    world.settled().await;
    world
}

#[tokio::test]
async fn an_erasure_keeps_the_chain_and_no_id() {
    let world = holders().await;
    chained(&world).await;
    let folder = tempfile::tempdir().expect("a folder");
    let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
    written(&world, &before, &[]).await;
    erase(&world).await;
    written(&world, &after, &[]).await;
    let text = std::fs::read_to_string(&after).expect("the file");
    assert!(!text.contains(BARE) && text.contains(BOB), "{text}");
    for file in [&before, &after] {
        assert_eq!(verified(&world, file).await.0, Some(0));
    }
    let (before, after) = (lines(&before), lines(&after));
    let of_ann = before.iter().position(|line| line["user_id"] == ANN);
    let of_ann = of_ann.expect("her change");
    let [before, after] = [&before, &after].map(|lines| &lines[of_ann]);
    assert_eq!(
        (&before["hash"], &before["record"]),
        (&after["hash"], &after["record"])
    );
    assert!(before["salt"].is_string() && after["salt"].is_null(), "{after}");
    let salts = "SELECT count(*) FROM role_changes WHERE user_salt IS NOT NULL";
    assert_eq!(world.number(salts).await, Some(1), "Bob's");
    let shown = world.told(&PERIOD).await;
    assert!(!shown.contains(BARE) && shown.contains("erased:"), "{shown}");
}

/// The worker was down when the change was completed and the user erased.
#[tokio::test]
async fn a_change_of_an_erased_user_gets_its_place_later() {
    let world = holders().await;
    chained(&world).await;
    world.worker().kill9().await;
    let late = "INSERT INTO role_changes (change_id, user_id, role, change, plays, rule, queued_ms, completed_at, outcome)
         SELECT gen_random_uuid(), user_id, role, 'revoked', 0, rule, 0, clock_timestamp(), 'written' FROM role_changes
         WHERE user_id = 'auth0|6132829445244d0069782a78'";
    world.run_sql(late).await;
    erase(&world).await;
    world.start_worker().await;
    chained(&world).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("late");
    written(&world, &file, &[]).await;
    let (code, said) = verified(&world, &file).await;
    assert!(
        code == Some(0) && said.contains("the users of 2 were erased"),
        "{said}"
    );
}
