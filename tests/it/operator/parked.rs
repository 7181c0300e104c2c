//! Users who wait for the operator: shown with the reason, and due again when the operator requeues them.

use serde_json::{Value, json};

use crate::world::events::{plays, saved};
use crate::world::{World, text};

/// The output of the command, as objects.
async fn parked(world: &World, arguments: &[&str]) -> Vec<Value> {
    let all = [&["parked", "--json"], arguments].concat();
    let output = world.command(&all).await;
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let parsed = lines.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().expect("one object a line")
}

/// Two owners of playlists with 100 plays, whose `roles` is a string.
async fn two_odd_users() -> World {
    let world = World::start().await;
    for (user, playlist) in [("auth0|ann", "pl_1"), ("auth0|bob", "pl_2")] {
        let odd = json!({"app_metadata": {"roles": "mentor", "plan": "gold"}});
        world.tenant.seed_user(user, odd).expect("a user");
        world.publish(&[saved(playlist, playlist, user)]).await;
        world.publish(&plays(playlist, playlist, 0..100)).await;
    }
    world
        .eventually("both are parked", async || parked(&world, &[]).await.len() == 2)
        .await;
    world
}

#[tokio::test]
async fn a_parked_user_is_shown_mended_and_requeued() {
    let world = two_odd_users().await;
    let shown = parked(&world, &[]).await;
    for one in &shown {
        assert_eq!(
            one["reason"],
            "app_metadata.roles is a string, expected an array of strings"
        );
        assert_eq!(one["attempts"], 1);
        assert!(one["parked_at"].as_str().is_some_and(|at| at.ends_with('Z')));
    }
    let table = text(&world.command(&["parked", "--limit", "1"]).await);
    assert!(table.starts_with("user"), "{table}");
    assert!(table.contains("roles is a string"), "{table}");
    assert!(
        table.ends_with("1 of 2 parked users shown; --limit shows more\n"),
        "{table}"
    );
    assert_eq!(world.patches(), 0, "what is not understood is not overwritten");

    for user in ["auth0|ann", "auth0|bob"] {
        let corrected = json!({"app_metadata": {"roles": ["mentor"]}});
        world.tenant.dashboard_edit(user, corrected).expect("corrected");
    }
    let requeue = ["requeue", "--user", "auth0|ann", "--user", "auth0|eve"];
    let output = world.command(&requeue).await;
    assert!(output.status.success());
    assert_eq!(text(&output), "1 requeued\nauth0|eve: not parked\n");
    let output = world.command(&["requeue", "--all"]).await;
    assert!(output.status.success());
    world.settled().await;
    for user in ["auth0|ann", "auth0|bob"] {
        assert_eq!(world.roles(user), ["mentor", "playlist_editor"]);
    }
    assert_eq!(parked(&world, &[]).await, Vec::<Value>::new());
    let output = world.command(&["parked"]).await;
    assert_eq!(text(&output), "no user is parked\n");
}

#[tokio::test]
async fn a_user_not_mended_is_parked_again_and_nobody_else_is_woken() {
    let world = two_odd_users().await;
    let before = parked(&world, &[]).await;
    let since = |all: &[Value], user: &str| {
        let one = all.iter().find(|one| one["user_id"] == user);
        one.map(|one| one["parked_at"].clone())
    };
    let looks =
        "SELECT count(*) FROM users WHERE user_id = 'auth0|ann' AND fetched_at > now() - interval '1 hour'";
    assert_eq!(world.number(looks).await, Some(1));
    let parked_at =
        "SELECT (extract(epoch FROM parked_at) * 1e6)::bigint FROM work_queue WHERE user_id = 'auth0|ann'";
    let first = world.number(parked_at).await;
    let output = world.command(&["requeue", "--user", "auth0|ann"]).await;
    assert!(output.status.success(), "{}", text(&output));
    world
        .eventually("she is parked again", async || {
            world.number(parked_at).await.is_some_and(|at| Some(at) > first)
        })
        .await;
    let after = parked(&world, &[]).await;
    assert_eq!(since(&after, "auth0|bob"), since(&before, "auth0|bob"));
    assert_eq!(world.patches(), 0);

    let output = world.command(&["requeue", "--user", "auth0|eve"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output), "0 requeued\nauth0|eve: not parked\n");
    let output = world.command(&["requeue"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}
