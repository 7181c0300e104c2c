//! Requested names: the newest is written once, beside changes of roles and in their order.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::{Value, json};

use crate::world::events::retraction;
use crate::world::names::{by_default, name_patch, request_name, seed, shown, store};
use crate::world::oracle::ROLE;
use crate::world::{ANN, World};

#[tokio::test]
async fn the_newest_of_many_requests_is_shown_at_once_written_once() {
    let world = by_default().start().await;
    world.connect_log_stream().await;
    let store = store(&world);
    seed(&world, ANN, &json!({"color": "blue"}));
    assert_eq!(shown(&store, ANN).await, None);
    world.told(&["pause"]).await;
    for n in 0..20 {
        request_name(&store, ANN, &format!("Ann {n}")).await;
    }
    assert_eq!(shown(&store, ANN).await.as_deref(), Some("Ann 19"));
    let waiting = world
        .worker()
        .count(r#"rolekeeper_display_names{state="waiting"}"#)
        .await;
    assert_eq!((waiting, world.api_calls()), (Some(1), 0));
    world.told(&["resume"]).await;
    world.is_named(ANN, "Ann 19").await;
    world.quiet().await;
    assert_eq!(world.endpoints_of(ANN), [ReadUser, PatchUser]);
    assert_eq!(world.writes_to(ANN), [name_patch("Ann 19")]);
    assert_eq!(
        world.metadata(ANN),
        json!({"color": "blue", "displayName": "Ann 19"})
    );
    assert_eq!(shown(&store, ANN).await.as_deref(), Some("Ann 19"));
    assert!(world.open_names().await.is_empty());

    // An unchanged name causes a read and no write.
    request_name(&store, ANN, "Ann 19").await;
    world
        .eventually("the request is applied", async || {
            world.is_named_a_minute_later(ANN, "Ann 19").await;
            world.open_names().await.is_empty()
        })
        .await;
    world.quiet().await;
    assert_eq!(world.endpoints_of(ANN), [ReadUser, PatchUser, ReadUser]);
    let requested = world
        .worker()
        .count(r#"rolekeeper_display_names_written_total{source="requested"}"#)
        .await;
    assert_eq!(requested, Some(1));
}

#[tokio::test]
async fn a_wish_and_a_change_of_role_are_one_write_without_a_default() {
    let world = by_default().start().await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    world.told(&["pause"]).await;
    world.earn(ANN, "pl_1").await;
    request_name(&store, ANN, "Ann").await;
    world
        .eventually("the role is due", async || {
            world
                .number("SELECT count(*) FROM work_queue WHERE priority = 1")
                .await
                == Some(1)
        })
        .await;
    world.told(&["resume"]).await;
    world.settled().await;
    let both = json!({"app_metadata": {"roles": ["mentor", ROLE]}, "user_metadata": {"displayName": "Ann"}});
    assert_eq!(world.writes_to(ANN), [both]);
    assert!(world.open_names().await.is_empty());
}

#[tokio::test]
async fn a_wish_comes_behind_grants_and_before_new_users() {
    // One attempt at a time.
    let world = World::builder()
        .env("AUTH0_PLAN", "2:20")
        .env("AUTH0_RESERVE", 0)
        .start()
        .await;
    world.connect_log_stream().await;
    let store = store(&world);
    world.told(&["pause"]).await;
    for n in 0..5 {
        let profile = json!({"user_metadata": {"displayName": "new"}});
        let user = format!("auth0|new{n}");
        world.tenant.create_user(&user, profile).expect("a user");
    }
    world
        .eventually("the new users are due", async || {
            world.number("SELECT count(*) FROM work_queue").await == Some(5)
        })
        .await;
    seed(&world, ANN, &Value::Null);
    request_name(&store, ANN, "Ann").await;
    seed(&world, "auth0|bob", &json!({"displayName": "Bob"}));
    world.earn("auth0|bob", "pl_1").await;
    world
        .eventually("the grant is due", async || {
            world.number("SELECT count(*) FROM work_queue").await == Some(7)
        })
        .await;
    world.told(&["resume"]).await;
    world.settled().await;
    let reads: Vec<String> = world
        .tenant
        .calls()
        .into_iter()
        .filter(|call| call.endpoint == ReadUser)
        .filter_map(|call| call.user_id)
        .collect();
    assert_eq!(reads[0], "auth0|bob", "{reads:?}");
    // Every fourth attempt leaves names to the end.
    assert!(reads[1..3].contains(&ANN.to_owned()), "{reads:?}");
    assert_eq!(reads.len(), 7, "{reads:?}");
}

#[tokio::test]
async fn a_wish_made_while_an_older_one_is_written_is_written_too() {
    let world = World::start().await;
    let store = store(&world);
    seed(&world, ANN, &json!({"displayName": "Old"}));
    let slow = Fault::DelayedAnswer(Duration::from_millis(700));
    world.tenant.fault_once(CallMatch::to(PatchUser), slow);
    request_name(&store, ANN, "First").await;
    world.is_named(ANN, "First").await;
    request_name(&store, ANN, "Second").await;
    assert_eq!(world.open_names().await.len(), 1, "the first has no response yet");
    world.is_named_a_minute_later(ANN, "Second").await;
    world.quiet().await;
    assert_eq!(
        world.endpoints_of(ANN),
        [ReadUser, PatchUser, ReadUser, PatchUser]
    );
    assert!(world.open_names().await.is_empty());
}

#[tokio::test]
async fn requests_during_an_attempt_cost_no_further_attempt() {
    let world = World::start().await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    world
        .tenant
        .fault_once(CallMatch::to(ReadUser), Fault::Delay(Duration::from_millis(700)));
    request_name(&store, ANN, "Ann 0").await;
    world
        .eventually("the attempt is in flight", async || {
            let leased = "SELECT count(*) FROM work_queue WHERE lease IS NOT NULL";
            world.number(leased).await == Some(1)
        })
        .await;
    for n in 1..10 {
        request_name(&store, ANN, &format!("Ann {n}")).await;
    }
    assert!(
        world.endpoints_of(ANN).is_empty(),
        "the profile is still being read"
    );
    world.is_named(ANN, "Ann 9").await;
    world.quiet().await;
    assert_eq!(world.endpoints_of(ANN), [ReadUser, PatchUser]);
}

#[tokio::test]
async fn in_shadow_mode_a_request_stays_until_writes_are_on() {
    let world = by_default().workers(0).env("SWEEP_INTERVAL_S", 1).start().await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    seed(&world, "auth0|bob", &Value::Null);
    let shadow = world.start_worker_with(&[("AUTH0_WRITES", "off")]).await;
    world.earn(ANN, "pl_1").await;
    request_name(&store, ANN, "Ann").await;
    // Only a name request.
    request_name(&store, "auth0|bob", "Bob").await;
    world.quiet().await;
    assert_eq!((world.patches(), world.open_names().await.len()), (0, 2));
    assert_eq!(shown(&store, ANN).await.as_deref(), Some("Ann"));
    shadow.sigterm(Duration::from_secs(10)).await;
    world.start_worker().await;
    world
        .eventually("both requests are applied", async || {
            world.open_names().await.is_empty()
        })
        .await;
    world.settled().await;
    assert_eq!(world.metadata(ANN)["displayName"], "Ann");
    assert_eq!(world.metadata("auth0|bob")["displayName"], "Bob");
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

#[tokio::test]
async fn a_held_change_of_role_holds_back_no_wish() {
    let world = World::builder()
        .env("BRAKE_GRANTS", 0)
        .env("BRAKE_GRANTS_SHARE", 0)
        .start()
        .await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_grants'";
    let is_held = async || world.number(held).await == Some(1);
    world.earn(ANN, "pl_1").await;
    world.eventually("the grant is held", is_held).await;
    request_name(&store, ANN, "Ann").await;
    world.is_named(ANN, "Ann").await;
    world.eventually("the grant is held again", is_held).await;
    assert_eq!(world.writes_to(ANN), [name_patch("Ann")]);
    assert!(world.open_names().await.is_empty());
    world.told(&["brake", "release", "grants"]).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

#[tokio::test]
async fn a_wish_of_a_user_who_is_gone_is_kept_and_not_sent() {
    let world = World::start().await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    // The user is gone between read and write.
    world
        .tenant
        .fault_once(CallMatch::to(PatchUser), Fault::Delay(Duration::from_millis(500)));
    request_name(&store, ANN, "Ann").await;
    world
        .eventually("the write is sent", async || world.tenant.faults_waiting() == 0)
        .await;
    assert!(world.tenant.delete_user(ANN));
    request_name(&store, "auth0|unknown", "Unknown").await;
    world
        .eventually("both users are marked", async || {
            world.number("SELECT count(*) FROM gone_users").await == Some(2)
        })
        .await;
    assert_eq!(world.endpoints_of("auth0|unknown"), [ReadUser]);
    assert_eq!(world.open_names().await.len(), 2);
    let gone = world
        .number("SELECT count(*) FROM users WHERE gone_at IS NOT NULL")
        .await;
    // Neither has a local copy, and a tombstone belongs to a copy, or to the owner of a playlist.
    assert_eq!(gone, Some(0));
}

#[tokio::test]
async fn a_name_alone_is_no_race_for_roles() {
    let world = World::start().await;
    world.connect_log_stream().await;
    let store = store(&world);
    seed(&world, ANN, &Value::Null);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    // Another client writes roles between our read and our write of the name.
    world
        .tenant
        .fault_once(CallMatch::to(PatchUser), Fault::Delay(Duration::from_millis(700)));
    request_name(&store, ANN, "Ann").await;
    world
        .eventually("the write is sent", async || world.tenant.faults_waiting() == 0)
        .await;
    let theirs = json!({"app_metadata": {"roles": ["mentor", ROLE, "judge"]}});
    world
        .tenant
        .edit_by_other_client("other", ANN, theirs)
        .expect("a write");
    world.is_named(ANN, "Ann").await;
    world.quiet().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE, "judge"]);
    assert_eq!(world.number("SELECT count(*) FROM races").await, Some(0));
    assert_eq!(world.writes_to(ANN)[1..], [name_patch("Ann")]);
    // One attempt for their write, none for ours.
    assert_eq!(
        world.endpoints_of(ANN),
        [ReadUser, PatchUser, ReadUser, PatchUser, ReadUser]
    );
}

#[tokio::test]
async fn a_wish_does_not_disturb_the_end_of_a_grace() {
    let world = by_default().workers(0).start().await;
    let store = store(&world);
    seed(&world, ANN, &json!({"displayName": "Old"}));
    let rules = rolekeeper_sandbox::servers::folder::Folder::new("rules").expect("a folder");
    let path = rules.path().join("rules.toml");
    let rule = "[[rule]]\nrole = \"playlist_editor\"\ngrant_at = 100\nrevoke_below = 100\ngrace = \"3s\"\n";
    std::fs::write(&path, rule).expect("written");
    let path = path.display().to_string();
    world.start_worker_with(&[("RULES_FILE", &path)]).await;
    world.earn(ANN, "pl_1").await;
    world
        .eventually("the role is there", async || world.roles(ANN) == ["mentor", ROLE])
        .await;
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world
        .eventually("the grace runs", async || {
            world
                .number("SELECT count(*) FROM work_queue WHERE due_at > now() AND lease IS NULL")
                .await
                == Some(1)
        })
        .await;
    request_name(&store, ANN, "New").await;
    world.is_named(ANN, "New").await;
    assert_eq!(
        world.roles(ANN),
        ["mentor", ROLE],
        "a name request does not end the grace"
    );
    world
        .eventually("the role is revoked on time", async || {
            world.roles(ANN) == ["mentor"]
        })
        .await;
    assert_eq!(world.metadata(ANN)["displayName"], "New");
}
