//! Words of operators and positions of commands that name an erased user: none keeps the id.

use serde_json::{Value, json};

use crate::world::World;
use crate::world::erasure::{ANN, BARE, BOB, erase, named, world};
use crate::world::oracle::ROLE;

/// The act of this command, by its operator and reason.
async fn act(world: &World, command: &str) -> (String, String) {
    let told = world.told(&["acts", "--json"]).await;
    let mut acts = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let act = acts.find(|act| act["command"] == command).expect("an act");
    let text = |name: &str| act[name].as_str().unwrap_or_default().to_owned();
    (text("by"), text("why"))
}

#[tokio::test]
async fn the_act_of_readmit_names_the_user_by_the_pseudonym() {
    let world = world().start().await;
    erase(&world).await;
    let why = format!("{ANN} signed up again, {BARE}");
    world.told(&["readmit", ANN, "--why", &why, "--as", ANN]).await;
    assert_eq!(named(&world).await, [].into());
    let (by, why) = act(&world, "readmit").await;
    assert!(by.starts_with("erased:"), "{by}");
    assert_eq!(why, format!("{by} signed up again, {by}"));
}

#[tokio::test]
async fn no_reason_names_an_erased_user() {
    let world = world().start().await;
    world.seed_user(BOB, &[]);
    let (like, by) = (format!("as {ANN}"), format!("{ANN} (own account)"));
    let told = ["--why", &like, "--as", &by];
    for command in [
        &["pin", BOB, ROLE, "off"][..],
        &["pause"],
        &["limits", "set", "reserve", "0.4"],
    ] {
        world.told(&[command, &told].concat()).await;
    }
    world
        .run_sql("INSERT INTO moves (old_id, new_id, moved_by, why) VALUES ('auth0|a', 'auth0|bob', 'x', 'as auth0|6132829445244d0069782a78')")
        .await;
    assert!(named(&world).await.len() > 4);
    let erase = ["erase", ANN, "--force", "--why", "her wish", "--as", &by];
    world.told(&erase).await;
    assert_eq!(named(&world).await, [].into());
    let pins = world.told(&["pins"]).await;
    assert!(pins.contains("as erased:"), "{pins}");
}

#[tokio::test]
async fn the_position_of_an_interrupted_release_names_no_erased_user() {
    let world = world().start().await;
    world.told(&["pause", "--why", "a story"]).await;
    world
        .run_sql(
            "INSERT INTO work_queue (user_id, priority) VALUES ('auth0|500', 4), ('auth0|6132829445244d0069782a78', 4), ('auth0|bob', 4)",
        )
        .await;
    world
        .run_sql(
            "INSERT INTO brake_releases (change, run, is_drop, acted_by, position)
             VALUES ('granted', gen_random_uuid(), false, 'ops', 'auth0|6132829445244d0069782a78')",
        )
        .await;
    let export = world.told(&["export", ANN]).await;
    assert!(export.contains("brake_releases"), "{export}");
    erase(&world).await;
    assert_eq!(named(&world).await, [].into());
    let position = world.rows("SELECT position FROM brake_releases").await;
    assert_eq!(position, [json!({"position": "auth0|500"})]);
}
