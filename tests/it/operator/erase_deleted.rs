//! Users who were deleted at Auth0 are erased some days later, where the operator asks for it.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::json;

use crate::world::erasure::{ANN, BOB, named, world};
use crate::world::persons::GOOGLE;
use crate::world::{World, text};

const ERASED: &str = "SELECT count(*) FROM erasures";
const CARL: &str = "auth0|carl";
const A_MONTH_PASSES: &str = "UPDATE users SET gone_since = gone_since - interval '31 days'";

/// Ann and Bob are deleted, and known to be; Carl has a linked id.
async fn deleted(days: Option<u32>) -> World {
    let builder = days
        .iter()
        .fold(world(), |world, days| world.env("ERASE_AFTER_DELETION_D", days));
    let world = builder.start().await;
    world.connect_log_stream().await;
    for user in [ANN, BOB, CARL, GOOGLE] {
        world.seed_user(user, &["mentor"]);
        world.tenant.login(user).unwrap();
    }
    world.earn(ANN, "pl_ann").await;
    world.quiet().await;
    let app = crate::world::persons::app();
    world.tenant.link(app, CARL, GOOGLE).unwrap();
    world.linked(1).await;
    assert!(world.tenant.delete_user(ANN) && world.tenant.delete_user(BOB));
    let gone = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
    world.count_is("both are known to be deleted", gone, 2).await;
    world.quiet().await;
    world
}

#[tokio::test]
async fn m7_a_deleted_user_is_erased_when_the_days_have_passed() {
    let world = deleted(Some(30)).await;
    // Bob lives again, and no record says so.
    world.tenant.silence(true);
    world.tenant.create_user(BOB, json!({})).unwrap();
    assert_eq!(world.number(ERASED).await, Some(0), "not before");
    world.run_sql(A_MONTH_PASSES).await;
    world.count_is("one is erased", ERASED, 1).await;
    world.quiet().await;
    assert_eq!(named(&world).await, [].into());
    let left = "SELECT count(*) FROM users WHERE gone_since IS NULL";
    world.count_is("Bob was read again", left, 3).await;
    assert_eq!(world.number(ERASED).await, Some(1));
    let acts = world.told(&["acts"]).await;
    assert!(acts.contains("deleted at Auth0 more than 30 days ago"), "{acts}");
    let revoked = "SELECT count(*) FROM role_changes WHERE user_id LIKE 'erased:%'";
    assert_eq!(world.number(revoked).await, Some(2), "granted and revoked");
}

#[tokio::test]
async fn m7_no_deleted_user_is_erased_unasked_or_unanswered() {
    let world = deleted(None).await;
    world.run_sql(A_MONTH_PASSES).await;
    world.walked().await;
    world.walked().await;
    assert_eq!(world.number(ERASED).await, Some(0), "never, by default");
    let failing = Fault::status(503);
    world
        .tenant
        .hold_fault(CallMatch::to(Endpoint::ReadUser).user(ANN), failing);
    let calls = world.calls_of(ANN).len();
    world.start_worker_with(&[("ERASE_AFTER_DELETION_D", "30")]).await;
    world.workers()[0].sigterm(Duration::from_secs(30)).await;
    world
        .eventually("Auth0 is asked", async || world.calls_of(ANN).len() > calls)
        .await;
    world.count_is("the other one is erased", ERASED, 1).await;
    world.tenant.clear_faults();
    world.count_is("and now Ann", ERASED, 2).await;
    world.check_workers();
}

#[tokio::test]
async fn m7_erasing_deleted_users_needs_a_key_and_waits_for_resume() {
    let world = deleted(Some(1)).await;
    let output = world.command_with(&["serve"], &[("ERASURE_KEY", "")]).await;
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("ERASE_AFTER_DELETION_D, ERASURE_KEY"),
        "{said}"
    );
    for days in ["0", "4000", "many"] {
        let days = [("ERASE_AFTER_DELETION_D", days)];
        let output = world.command_with(&["serve"], &days).await;
        assert!(
            text(&output).contains("ERASE_AFTER_DELETION_D: got"),
            "{}",
            text(&output)
        );
    }
    world.told(&["pause", "--why", "a story"]).await;
    world.run_sql(A_MONTH_PASSES).await;
    world.walked().await;
    world.walked().await;
    assert_eq!(world.number(ERASED).await, Some(0));
    world.told(&["resume", "--why", "a story"]).await;
    world.count_is("both are erased", ERASED, 2).await;
}

#[tokio::test]
async fn a_moved_person_deleted_before_the_first_read_is_erased() {
    let world = world().env("ERASE_AFTER_DELETION_D", 30).start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_ann").await;
    world.quiet().await;
    assert!(world.tenant.delete_user(ANN));
    let gone = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
    world.count_is("her deletion is known", gone, 1).await;
    world.quiet().await;
    world.told(&["pause", "--why", "a story"]).await;
    world.tenant.silence(true);
    world.tenant.create_user(BOB, json!({})).unwrap();
    world.told(&["move", ANN, BOB, "--why", "made again"]).await;
    assert!(world.tenant.delete_user(BOB));
    world.told(&["resume", "--why", "a story"]).await;
    world.quiet().await;
    assert_eq!(world.number(ERASED).await, Some(0), "not before");
    world.run_sql(A_MONTH_PASSES).await;
    world.count_is("both ids are erased", ERASED, 2).await;
    assert_eq!(named(&world).await, [].into());
}

/// Both were deleted a month ago, Ann before Bob, and the response about Bob is late. Returns once Ann was asked about.
async fn asked_about_ann(late: Duration) -> World {
    let world = deleted(None).await;
    world.worker().sigterm(Duration::from_secs(10)).await;
    world
        .run_sql(
            "UPDATE users SET gone_since = now() - interval '31 days' - CASE WHEN user_id = 'auth0|bob' THEN interval '0'
                 ELSE interval '1 hour' END WHERE gone_since IS NOT NULL",
        )
        .await;
    let read = CallMatch::to(Endpoint::ReadUser).user(BOB);
    world.tenant.fault_once(read, Fault::DelayedAnswer(late));
    let (ann, bob) = (world.calls_of(ANN).len(), world.calls_of(BOB).len());
    world.start_worker_with(&[("ERASE_AFTER_DELETION_D", "30")]).await;
    world
        .eventually("both are asked about", async || {
            world.calls_of(ANN).len() > ann && world.calls_of(BOB).len() > bob
        })
        .await;
    world
}

#[tokio::test]
async fn a_pause_stops_an_erasure_that_is_about_to_begin() {
    let world = asked_about_ann(Duration::from_secs(3)).await;
    let searches = world.calls_to(Endpoint::ListUsers);
    world.told(&["pause", "--why", "a story"]).await;
    world
        .eventually("a search follows the late response", async || {
            world.calls_to(Endpoint::ListUsers) > searches
        })
        .await;
    world.walked().await;
    world.walked().await;
    assert_eq!(world.number(ERASED).await, Some(0));
    world.told(&["resume", "--why", "a story"]).await;
    world.count_is("both are erased", ERASED, 2).await;
}

#[tokio::test]
async fn a_response_that_has_become_old_erases_no_user() {
    let world = asked_about_ann(Duration::from_secs(7)).await;
    // Ann lives again, and no record says so.
    world.tenant.silence(true);
    world.tenant.create_user(ANN, json!({})).unwrap();
    world.count_is("Bob is erased", ERASED, 1).await;
    let left = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
    world.count_is("Ann was asked about again", left, 0).await;
    assert_eq!(world.number(ERASED).await, Some(1));
}

/// Four users are due; for the three oldest Auth0 refuses the search, or the call fails.
#[tokio::test]
async fn users_whose_calls_fail_keep_no_other_user_from_erasure() {
    for failed in [Fault::status(400), Fault::status(503)] {
        let world = world().start().await;
        world.connect_log_stream().await;
        let old = ["auth0|a1", "auth0|a2", "auth0|a3"];
        for user in [&old[..], &[BOB]].concat() {
            world.seed_user(user, &[]);
            world.tenant.login(user).unwrap();
        }
        world.quiet().await;
        for user in [&old[..], &[BOB]].concat() {
            assert!(world.tenant.delete_user(user));
        }
        let gone = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
        world.count_is("all are known to be deleted", gone, 4).await;
        world.quiet().await;
        world
            .run_sql(
                "UPDATE users SET gone_since = now() - interval '31 days' - CASE WHEN user_id = 'auth0|bob' THEN interval '0'
                     ELSE interval '1 hour' END",
            )
            .await;
        for user in old {
            let read = CallMatch::to(Endpoint::ReadUser).user(user);
            world.tenant.hold_fault(read, failed.clone());
        }
        let worker = world.start_worker_with(&[("ERASE_AFTER_DELETION_D", "30")]).await;
        world.workers()[0].sigterm(Duration::from_secs(30)).await;
        world.count_is("Bob is erased", ERASED, 1).await;
        world
            .eventually("the others are counted", async || {
                worker.count("rolekeeper_erasures_due").await == Some(3)
            })
            .await;
    }
}
