//! An account that was deleted and made again before it was read: nothing of the earlier one is taken over.
//!
//! F29: a user is erased while events are in flight; a deleted user signs up again under the same id: an erased user never comes back,
//! late events are dropped and counted; a deleted one comes back when Auth0 knows the id again.

use serde_json::json;

use super::gone::holder;
use crate::world::World;
use crate::world::events::{plays, retraction};
use crate::world::oracle::ROLE;
use crate::world::persons::told as told_of;
use crate::world::rules::{RulesFile, rule};

#[tokio::test]
async fn f29_an_account_made_again_between_two_reads_is_another() {
    for manual in ["alert", "restore"] {
        let rules = RulesFile::new(&rule(ROLE, 100, 100, &format!("manual = \"{manual}\"")));
        let world = World::builder()
            .env("RULES_FILE", rules.path().display())
            .start()
            .await;
        world.connect_log_stream().await;
        holder(&world, "auth0|ann").await;
        world.told(&["pause", "--why", "a story"]).await;
        assert!(world.tenant.delete_user("auth0|ann"));
        world
            .tenant
            .create_user("auth0|ann", json!({}))
            .expect("a sign-up");
        world.told(&["resume", "--why", "a story"]).await;
        world.rests_with("auth0|ann", &[ROLE]).await;
        world.all_told().await;
        let told = world.told_by_user().await;
        let (granted, deleted) = (told_of("granted", None), told_of("revoked", Some("user_deleted")));
        assert_eq!(told["auth0|ann"], [granted.clone(), deleted, granted], "{manual}");
        let taken = "SELECT count(*) FROM role_changes WHERE change = 'taken'";
        assert_eq!(world.number(taken).await, Some(0), "no other client took it");
    }
}

#[tokio::test]
async fn f29_a_deleted_user_who_signs_up_again_has_what_is_earned() {
    let world = World::start().await;
    world.connect_log_stream().await;
    holder(&world, "auth0|ann").await;
    let gone = "SELECT count(*) FROM gone_users";
    assert!(world.tenant.delete_user("auth0|ann"));
    world.count_is("she is gone", gone, 1).await;
    // A play of a user who is gone still counts.
    world.publish(&plays("late", "ann", 0..1)).await;
    world.quiet().await;
    let sign_up = world.tenant.create_user("auth0|ann", json!({}));
    sign_up.expect("a sign-up");
    world.rests_with("auth0|ann", &[ROLE]).await;
    assert_eq!(world.number(gone).await, Some(0));
    world.settled().await;
}

/// Neither alone nor among others who lose the role is the new account taken for the earlier one.
#[tokio::test]
async fn a_role_given_to_an_account_made_again_is_not_ours() {
    let world = World::start().await;
    world.connect_log_stream().await;
    for user in ["auth0|ann", "auth0|bob"] {
        holder(&world, user).await;
    }
    world.told(&["pause", "--why", "a story"]).await;
    assert!(world.tenant.delete_user("auth0|ann"));
    let given = json!({"app_metadata": {"roles": [ROLE]}});
    world.tenant.create_user("auth0|ann", given).expect("a sign-up");
    world
        .publish(&[retraction("r1", "ann-0", "ann"), retraction("r2", "bob-0", "bob")])
        .await;
    let below = "SELECT count(*) FROM playlists WHERE plays = 99";
    world.count_is("both fall below", below, 2).await;
    world.told(&["resume", "--why", "a story"]).await;
    world.rests_with("auth0|bob", &["mentor"]).await;
    let seen = "SELECT count(*) FROM assignments WHERE has_role AND NOT adopted";
    world.count_is("the new account is read", seen, 1).await;
    world.quiet().await;
    assert_eq!(world.roles("auth0|ann"), [ROLE]);
    world.all_told().await;
    let told = world.told_by_user().await;
    let (granted, deleted) = (told_of("granted", None), told_of("revoked", Some("user_deleted")));
    assert_eq!(told["auth0|ann"], [granted, deleted]);
}

#[tokio::test]
async fn a_sign_up_of_a_user_held_as_gone_inherits_nothing() {
    let world = World::start().await;
    world.connect_log_stream().await;
    holder(&world, "auth0|ann").await;
    world
        .run_sql("UPDATE gone_brake SET engaged_at = now(), users = 20")
        .await;
    assert!(world.tenant.delete_user("auth0|ann"));
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_gone'";
    world.count_is("the deletion is held", held, 1).await;
    world.publish(&[retraction("r1", "ann-0", "ann")]).await;
    let below = "SELECT plays FROM playlists WHERE playlist_id = 'ann'";
    world.count_is("she falls below", below, 99).await;
    world.count_is("she is still held", held, 1).await;
    let given = json!({"app_metadata": {"roles": [ROLE]}});
    world.tenant.create_user("auth0|ann", given).expect("a sign-up");
    let seen = "SELECT count(*) FROM assignments WHERE has_role AND NOT adopted";
    world.count_is("the new account is read", seen, 1).await;
    world.quiet().await;
    assert_eq!(world.roles("auth0|ann"), [ROLE]);
    let told = "SELECT count(*) FROM role_changes WHERE change = 'revoked' AND reason = 'user_deleted'";
    assert_eq!(world.number(told).await, Some(1));
}
