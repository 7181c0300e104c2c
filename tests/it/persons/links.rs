//! A link moves the role to the primary, an unlink splits the person again.
//!
//! F57: links and their ends in any order with plays, 404s and records: counts, roles and audit are right for the person.

use rolekeeper_sandbox::tenant::CallMatch;
use rolekeeper_sandbox::tenant::Endpoint::ReadUser;
use serde_json::json;

use crate::world::World;
use crate::world::events::{plays, retraction, saved};
use crate::world::not_found::inexistent;
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE, app, told};
use crate::world::rules::{RulesFile, rule};

#[tokio::test]
async fn f57_an_earned_role_follows_the_person_to_the_primary() {
    let world = World::two_accounts().await;
    world.link();
    world.ends_with_the_primary().await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM assignments WHERE user_id <> 'auth0|ann'")
            .await,
        Some(0)
    );
}

#[tokio::test]
async fn f57_a_merged_role_is_ours_and_goes_when_it_is_not_earned() {
    let world = World::two_accounts().await;
    // As in Auth0's sample: the arrays are joined, then the accounts are linked, before the log stream says so.
    world.tenant.silence(true);
    let joined = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world.tenant.edit_by_other_client("app-m2m", ANN, joined).unwrap();
    world.link();
    world.tenant.silence(false);
    world
        .tenant
        .dashboard_edit(ANN, json!({"blocked": false}))
        .unwrap();
    world.linked(1).await;
    world.all_told().await;
    assert_eq!(world.told_by_user().await[ANN], [told("granted", Some("linked"))]);
    let adopted = "SELECT count(*) FROM assignments WHERE user_id = 'auth0|ann' AND has_role AND adopted";
    assert_eq!(world.number(adopted).await, Some(1));
    world
        .publish(&[retraction("r-1", "pl_google-0", "pl_google")])
        .await;
    world
        .eventually("the unearned role is revoked", async || {
            world.roles(ANN) == ["mentor"]
        })
        .await;
    world.quiet().await;
}

#[tokio::test]
async fn f57_later_plays_of_a_linked_id_count_for_the_primary() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &[]);
    world.seed_user(GOOGLE, &[]);
    world.tenant.login(ANN).unwrap();
    world.link();
    world.linked(1).await;
    world.earn(GOOGLE, "pl_late").await;
    world
        .eventually("the primary has the role", async || world.roles(ANN) == [ROLE])
        .await;
    world.settled().await;
    assert_eq!(world.endpoints_of(GOOGLE), [], "the linked id is never asked for");
}

#[tokio::test]
async fn f57_totals_of_all_ids_are_summed_up() {
    let file = RulesFile::new(&rule(ROLE, 100, 100, "of = \"all_playlists\""));
    let path = file.path();
    let world = World::builder().env("RULES_FILE", path.display()).start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &[]);
    world.seed_user(GOOGLE, &[]);
    let mut events = vec![saved("s-1", "pl_a", ANN), saved("s-2", "pl_g", GOOGLE)];
    events.extend([plays("a", "pl_a", 0..60), plays("g", "pl_g", 0..30)].concat());
    world.publish(&events).await;
    world.tenant.login(ANN).unwrap();
    world.link();
    world.linked(1).await;
    world.publish(&plays("late", "pl_g", 0..10)).await;
    world
        .eventually("60 and 40 plays are enough", async || world.roles(ANN) == [ROLE])
        .await;
    world.publish(&[retraction("r-1", "g-0", "pl_g")]).await;
    world
        .eventually("and 99 are not", async || world.roles(ANN).is_empty())
        .await;
    world.quiet().await;
}

#[tokio::test]
async fn f57_an_unlink_splits_the_person_again() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    world.unlink();
    world
        .eventually("the role is with the id that owns the plays", async || {
            (world.roles(ANN), world.roles(GOOGLE)) == (vec!["mentor".to_owned()], vec![ROLE.to_owned()])
        })
        .await;
    world.linked(0).await;
    world.settled().await;
    world.all_told().await;
    let changes = world.told_by_user().await;
    assert_eq!(changes[ANN], [told("granted", None), told("revoked", None)]);
    assert_eq!(changes[GOOGLE].last(), Some(&told("granted", None)));
}

#[tokio::test]
async fn f57_deleting_the_primary_ends_both() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    assert!(world.tenant.delete_user(ANN));
    world.linked(0).await;
    world.quiet().await;
    world.all_told().await;
    let changes = world.told_by_user().await;
    assert_eq!(changes[ANN].last(), Some(&told("revoked", Some("user_deleted"))));
    assert_eq!(changes[GOOGLE].last(), Some(&told("revoked", Some("linked"))));
}

/// A false 404 of an account that the brake holds ends no link.
#[tokio::test]
async fn the_links_of_an_account_held_as_gone_stay() {
    let world = World::two_accounts().await;
    world.link();
    world.role_follows().await;
    world.linked(1).await;
    world.quiet().await;
    world
        .told(&["pin", GOOGLE, "playlist_editor", "off", "--why", "a ban"])
        .await;
    world.rests_with(ANN, &["mentor"]).await;
    world
        .run_sql("UPDATE gone_brake SET engaged_at = now(), users = 20")
        .await;
    world
        .tenant
        .hold_fault(CallMatch::to(ReadUser).user(ANN), inexistent());
    let unchanged = json!({"blocked": false});
    world.tenant.dashboard_edit(ANN, unchanged).unwrap();
    let held = "SELECT count(*) FROM work_queue WHERE held_by = 'brake_gone'";
    world.count_is("she is held", held, 1).await;
    assert_eq!(world.number("SELECT count(*) FROM identities").await, Some(1));
    world.tenant.clear_faults();
    world.told(&["brake", "release", "gone"]).await;
    world.quiet().await;
    world.linked(1).await;
    assert_eq!(world.number("SELECT count(*) FROM pins").await, Some(1));
}

/// The account was deleted before, and made again: its end takes nothing from what comes with the link.
#[tokio::test]
async fn a_link_to_an_account_made_again_keeps_what_was_earned() {
    let file = RulesFile::new(&rule(ROLE, 100, 50, ""));
    for (given, in_between) in [(json!([]), true), (json!([ROLE]), true), (json!([ROLE]), false)] {
        let builder = World::builder().env("RULES_FILE", file.path().display());
        let world = builder.start().await;
        world.connect_log_stream().await;
        world.two_accounts_here().await;
        world
            .publish(&[retraction("r-1", "pl_google-0", "pl_google")])
            .await;
        let deleted = || assert!(world.tenant.delete_user(ANN));
        if in_between {
            deleted();
            let gone = "SELECT count(*) FROM gone_users";
            world.count_is("she is gone", gone, 1).await;
            world.quiet().await;
        }
        world.told(&["pause", "--why", "a story"]).await;
        if !in_between {
            deleted();
        }
        let profile = json!({"app_metadata": {"roles": given}});
        world.tenant.create_user(ANN, profile).expect("a sign-up");
        world.link();
        world.told(&["resume", "--why", "a story"]).await;
        world.linked(1).await;
        world.rests_with(ANN, &[ROLE]).await;
        let ours = "SELECT count(*) FROM assignments WHERE user_id = 'auth0|ann' AND wanted AND has_role AND adopted";
        assert_eq!(world.number(ours).await, Some(1), "{given} {in_between}");
    }
}

#[tokio::test]
async fn f57_a_requested_name_of_a_linked_id_is_written() {
    let world = World::two_accounts().await;
    world.command(&["pause", "--why", "a story"]).await;
    let request_name = "INSERT INTO display_names (user_id, request_id, requested, requested_at)
        VALUES ('google-oauth2|7', gen_random_uuid(), 'Ann', now())";
    world.run_sql(request_name).await;
    world.tenant.link(app(), ANN, GOOGLE).unwrap();
    world.command(&["resume", "--why", "a story"]).await;
    world
        .eventually("the primary has the name", async || {
            world.tenant.user(ANN).unwrap()["user_metadata"]["displayName"] == "Ann"
        })
        .await;
    world.settled().await;
}

#[tokio::test]
async fn f57_adopting_a_linked_id_adopts_its_primary() {
    let world = World::two_accounts().await;
    world.link();
    world.linked(1).await;
    world.settled().await;
    world
        .run_sql("UPDATE assignments SET adopted = false WHERE user_id = 'auth0|ann'")
        .await;
    world.told(&["adopt", "--role", ROLE, "--user", GOOGLE]).await;
    let adopted = "SELECT count(*) FROM assignments WHERE user_id = 'auth0|ann' AND adopted";
    assert_eq!(world.number(adopted).await, Some(1));
    let others = "SELECT count(*) FROM assignments WHERE user_id <> 'auth0|ann'";
    assert_eq!(world.number(others).await, Some(0));
}
