//! Link record, 404 and plays in any order, and the same record again: the result is one.
//!
//! F57: links and their ends in any order with plays, 404s and records: counts, roles and audit are right for the person.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use crate::world::World;
use crate::world::events::{plays, retraction};
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE, told};

/// Each holder is verified at once, as after a day.
async fn a_day_passes(world: &World) {
    world
        .run_sql("UPDATE assignments SET verified_at = verified_at - interval '25 hours'")
        .await;
}

#[tokio::test]
async fn f57_the_404_of_a_linked_id_leads_to_its_primary() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    world.tenant.silence(true);
    world.link();
    a_day_passes(&world).await;
    world.ends_with_the_primary().await;
    assert_eq!(
        world.number("SELECT count(*) FROM gone_users").await,
        Some(0),
        "no user is marked as deleted"
    );
}

#[tokio::test]
async fn f57_a_play_after_a_link_without_record_leads_to_the_primary() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    world.seed_user(GOOGLE, &[]);
    world.tenant.silence(true);
    world.link();
    world.earn(GOOGLE, "pl_google").await;
    world.role_follows().await;
    world.settled().await;
    assert_eq!(
        world.told_by_user().await.get(GOOGLE),
        None,
        "it never had the role"
    );
}

#[tokio::test]
async fn f57_a_link_is_stored_once_however_often_it_is_reported() {
    let world = World::two_accounts().await;
    world.link();
    world.ends_with_the_primary().await;
    let calls = world.calls_of(ANN).len();
    let again = "INSERT INTO work_queue (user_id, priority, force_fetch) VALUES ('auth0|ann', 3, true), ('google-oauth2|7', 3, true)";
    world.run_sql(again).await;
    world
        .eventually("the primary was read again", async || {
            world.calls_of(ANN).len() > calls && world.is_quiet().await
        })
        .await;
    world.ends_with_the_primary().await;
    let worker = world.worker();
    let series = "rolekeeper_identity_changes_total{change=\"linked\"}";
    assert_eq!(worker.count(series).await, Some(1));
    assert_eq!(worker.count("rolekeeper_linked_identities").await, Some(1));
}

#[tokio::test]
async fn f57_a_deletion_marked_before_the_link_is_known_is_undone() {
    let world = World::two_accounts().await;
    let mark = "INSERT INTO gone_users (user_id, gone_at, known, released) VALUES ('google-oauth2|7', now(), true, false)";
    world.run_sql(mark).await;
    world.link();
    world.publish(&plays("more", "pl_google", 0..5)).await;
    world.role_follows().await;
    world.settled().await;
    assert_eq!(world.number("SELECT count(*) FROM gone_users").await, Some(0));
}

#[tokio::test]
async fn f57_a_worker_that_dies_while_it_links_loses_nothing() {
    // The lease of the user in flight ends sooner.
    let world = World::builder().env("AUTH0_TIMEOUT_S", 1).start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    let die = "CREATE FUNCTION slow_link() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$;
        CREATE TRIGGER slow_link BEFORE INSERT ON identities FOR EACH ROW EXECUTE FUNCTION slow_link()";
    world.run_sql(die).await;
    world.link();
    let linking =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    world.count_is("the link is being stored", linking, 1).await;
    world.worker().kill9().await;
    world.run_sql("DROP TRIGGER slow_link ON identities").await;
    world.start_worker().await;
    world.connect_log_stream().await;
    world.quiet().await;
    world.ends_with_the_primary().await;
}

#[tokio::test]
async fn f57_a_grant_of_unknown_result_ends_with_the_link() {
    let world = World::builder().env("AUTH0_TIMEOUT_S", 1).start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    world.seed_user(GOOGLE, &[]);
    let unheard = Fault::DelayedAnswer(Duration::from_secs(30));
    world
        .tenant
        .fault_once(CallMatch::to(Endpoint::PatchUser).user(GOOGLE), unheard);
    world.earn(GOOGLE, "pl_google").await;
    world
        .eventually("the role is there", async || world.roles(GOOGLE) == [ROLE])
        .await;
    world.worker().kill9().await;
    world.link();
    world.start_worker().await;
    world.connect_log_stream().await;
    world.role_follows().await;
    world.quiet().await;
    world.settled().await;
    let ended = "SELECT count(*) FROM role_changes WHERE user_id = 'google-oauth2|7' AND outcome = 'gone' AND completed_at IS NULL";
    assert_eq!(world.number(ended).await, Some(1));
    world.all_told().await;
    assert_eq!(
        world.told_by_user().await.get(GOOGLE),
        None,
        "nothing was announced"
    );
}

#[tokio::test]
async fn f57_an_id_that_lost_its_role_unseen_ends_with_a_revoke() {
    let world = World::two_accounts().await;
    world.told(&["pause", "--why", "a story"]).await;
    world.link();
    world.unlink();
    let back = retraction("r-1", "pl_google-0", "pl_google");
    world.publish(&[back]).await;
    world.told(&["resume", "--why", "a story"]).await;
    world.quiet().await;
    world.link();
    world.linked(1).await;
    world.quiet().await;
    world.all_told().await;
    assert_eq!(
        world.told_by_user().await[GOOGLE],
        [told("granted", None), told("revoked", Some("linked"))]
    );
}

#[tokio::test]
async fn f57_a_link_and_its_end_between_two_reads_lose_no_role() {
    let world = World::two_accounts().await;
    world.told(&["pause", "--why", "a story"]).await;
    world.link();
    world.unlink();
    assert!(world.roles(GOOGLE).is_empty(), "the metadata is discarded");
    world.told(&["resume", "--why", "a story"]).await;
    world
        .eventually("the role is granted again", async || {
            world.roles(GOOGLE) == [ROLE]
        })
        .await;
    world.settled().await;
}
