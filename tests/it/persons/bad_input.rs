//! Forged and unusual links: nothing moves unless a profile of the primary shows it.

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::{Value, json};

use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE, app};
use crate::world::{LOG_TOKEN, World};

/// A record of a link or an unlink, as a client that can post to the webhook would forge it.
fn forged(id: &str, method: &str, path: &str) -> String {
    let body = json!({"provider": "google-oauth2", "user_id": "7"});
    let request = json!({"method": method, "path": path, "body": body});
    let data = json!({"type": "sapi", "date": "2026-11-24T10:00:00.000Z", "client_id": "crm",
        "details": {"request": request, "response": {"statusCode": 201, "body": [body]}}});
    json!({"log_id": id, "data": data}).to_string()
}

async fn post(world: &World, record: String) {
    assert_eq!(world.worker().post_logs(LOG_TOKEN, record).await, Some(200));
}

#[tokio::test]
async fn h1_a_forged_link_record_moves_nothing() {
    let world = World::two_accounts().await;
    let reads = world.calls_of(ANN).len();
    post(
        &world,
        forged("900", "post", "/api/v2/users/auth0%7Cann/identities"),
    )
    .await;
    world
        .eventually("the account was read", async || {
            world.calls_of(ANN).len() > reads && world.is_quiet().await
        })
        .await;
    world.linked(0).await;
    assert_eq!(
        (world.roles(ANN), world.roles(GOOGLE)),
        (vec!["mentor".to_owned()], vec![ROLE.to_owned()])
    );
    world.settled().await;
}

#[tokio::test]
async fn h1_a_forged_unlink_record_ends_no_link() {
    let world = World::two_accounts().await;
    world.link();
    world.linked(1).await;
    world.settled().await;
    let reads = world.calls_of(ANN).len();
    let path = "/api/v2/users/auth0%7Cann/identities/google-oauth2/7";
    post(&world, forged("900", "delete", path)).await;
    world
        .eventually("the account was read", async || {
            world.calls_of(ANN).len() > reads && world.is_quiet().await
        })
        .await;
    world.linked(1).await;
    let doubted = "SELECT count(*) FROM identities WHERE doubted";
    assert_eq!(world.number(doubted).await, Some(0));
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

#[tokio::test]
async fn h1_a_secondary_linked_to_another_primary_later_moves() {
    let world = World::two_accounts().await;
    world.seed_user("auth0|bob", &[]);
    world.link();
    world.linked(1).await;
    world.settled().await;
    world.unlink();
    world.tenant.link(app(), "auth0|bob", GOOGLE).unwrap();
    world
        .eventually("the role is with the other account", async || {
            world.roles("auth0|bob") == [ROLE] && world.roles(ANN) == ["mentor"]
        })
        .await;
    world.settled().await;
    let rows = world.rows("SELECT alias, primary_id FROM identities").await;
    assert_eq!(rows, [json!({"alias": GOOGLE, "primary_id": "auth0|bob"})]);
}

#[tokio::test]
async fn h1_links_in_a_circle_end_with_the_last_one() {
    let world = World::two_accounts().await;
    world.link();
    world.linked(1).await;
    world.settled().await;
    world.tenant.silence(true);
    world.unlink();
    world.tenant.link(app(), GOOGLE, ANN).unwrap();
    world.tenant.silence(false);
    world
        .tenant
        .dashboard_edit(GOOGLE, json!({"blocked": false}))
        .unwrap();
    world
        .eventually("the role is with the new primary", async || {
            world.roles(GOOGLE) == [ROLE]
        })
        .await;
    world.settled().await;
    let rows = world.rows("SELECT alias, primary_id FROM identities").await;
    assert_eq!(rows, [json!({"alias": ANN, "primary_id": GOOGLE})]);
}

#[tokio::test]
async fn h1_two_links_at_once_and_an_unknown_id_are_kept() {
    let world = World::two_accounts().await;
    world.tenant.seed_user("github|9", json!({})).unwrap();
    // One read shows both.
    world.told(&["pause", "--why", "a story"]).await;
    world.tenant.link(app(), ANN, "github|9").unwrap();
    world.link();
    world.told(&["resume", "--why", "a story"]).await;
    world.linked(2).await;
    world.role_follows().await;
    world.settled().await;
    let links = "SELECT count(DISTINCT xmin::text) FROM identities";
    assert_eq!(world.number(links).await, Some(1), "one transaction stores both");
}

#[tokio::test]
async fn h1_a_link_record_of_an_unknown_account_stores_nothing() {
    let world = World::two_accounts().await;
    let before = world.calls_of("auth0|nobody").len();
    let path = "/api/v2/users/auth0%7Cnobody/identities";
    post(&world, forged("900", "post", path)).await;
    world
        .eventually("the account was asked for", async || {
            world.calls_of("auth0|nobody").len() > before && world.is_quiet().await
        })
        .await;
    world.linked(0).await;
    let rows = "SELECT count(*) FROM users WHERE user_id = 'auth0|nobody'";
    assert_eq!(world.number(rows).await, Some(0));
    assert_eq!(world.roles(GOOGLE), [ROLE]);
    world.settled().await;
}

#[tokio::test]
async fn h1_identities_of_an_odd_form_change_no_link() {
    let world = World::two_accounts().await;
    world.link();
    world.linked(1).await;
    world.settled().await;
    for odd in [json!({"0": "x"}), json!("auth0|ann"), Value::Null, json!([])] {
        let mut profile = world.tenant.user(ANN).unwrap();
        profile["identities"] = odd;
        let answer = Fault::Status {
            code: 200,
            headers: vec![],
            body: Some(profile),
        };
        world
            .tenant
            .fault_once(CallMatch::to(Endpoint::ReadUser).user(ANN), answer);
        let reads = world.calls_of(ANN).len();
        world
            .tenant
            .dashboard_edit(ANN, json!({"blocked": false}))
            .unwrap();
        world
            .eventually("the account was read", async || {
                world.calls_of(ANN).len() > reads && world.is_quiet().await
            })
            .await;
        world.linked(1).await;
    }
    world.settled().await;
}
