//! A rules file that changes while the worker runs.

use crate::events::{plays, saved};
use crate::world::World;

#[tokio::test]
async fn a_changed_rules_file_is_taken_over_and_a_bad_one_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("rules.toml");
    let write = |line: &str| {
        let text =
            format!("[[rule]]\nrole = \"playlist_editor\"\ngrant_at = {line}\nrevoke_below = {line}\n");
        std::fs::write(&file, text).expect("a writable folder");
    };
    write("1");
    let world = World::builder().env("RULES_FILE", file.display()).start().await;
    let holds = |user: &str| world.roles(user).contains(&"playlist_editor".to_owned());
    for (user, playlist, count) in [("ann", "pl_1", 2), ("bob", "pl_2", 3)] {
        let user = format!("auth0|{user}");
        world.seed_user(&user, &["mentor"]);
        world.publish(&[saved(playlist, playlist, &user)]).await;
        world.publish(&plays(playlist, playlist, 0..count)).await;
    }
    world
        .eventually("both are granted at one play", async || {
            holds("auth0|ann") && holds("auth0|bob")
        })
        .await;

    write("\"many\"");
    let refused = "rolekeeper_rules_refused";
    world
        .eventually("the bad file is refused", async || {
            world.worker().count(refused).await == Some(1)
        })
        .await;
    assert!(holds("auth0|ann") && holds("auth0|bob"), "the old rule goes on");

    write("3");
    world
        .eventually("two plays are not enough any more", async || {
            world.roles("auth0|ann") == ["mentor"]
        })
        .await;
    assert!(holds("auth0|bob"), "three are");
    assert_eq!(world.worker().count(refused).await, Some(0));
}
