//! F48: 404 from a gateway for 5 s; a wrong tenant domain; 404 for each user: no adoption, name or copy is lost; the circuit breaker
//! opens; right at once when mended.

use rolekeeper_sandbox::tenant::Endpoint::ReadUser;
use rolekeeper_sandbox::tenant::{CallMatch, Client, Tenant, TenantOptions};
use serde_json::json;

use super::gone::{ADOPTED, MARKS, a_day_passes, holder, is_ours_to_take, sweeping};
use crate::world::CLIENT;
use crate::world::not_found::not_found;

/// The local copy of all users.
const COPIES: &str = "SELECT user_id, profile, fields, gone_at, last_login_at FROM users ORDER BY user_id";
const BREAKER_OPEN: &str = "rolekeeper_circuit_breaker_open";

#[tokio::test]
async fn f48_a_gateway_404_for_each_user_opens_the_breaker() {
    let world = sweeping().start().await;
    for n in 0..8 {
        holder(&world, &format!("auth0|u{n}")).await;
    }
    let (before, worker) = (world.rows(COPIES).await, world.worker());
    let gateway = not_found(json!({"message": "no Route matched with those values"}));
    world.tenant.hold_fault(CallMatch::to(ReadUser), gateway);
    let request_name = "INSERT INTO display_names (user_id, request_id, requested, requested_at)
        VALUES ('auth0|u3', gen_random_uuid(), 'Ann', now())";
    world.run_sql(request_name).await;
    a_day_passes(&world).await;
    let open = async || worker.count(BREAKER_OPEN).await == Some(1);
    world.eventually("the circuit breaker opens", open).await;
    assert_eq!(world.rows(COPIES).await, before, "no copy is lost");
    assert_eq!(
        (world.number(ADOPTED).await, world.number(MARKS).await),
        (Some(8), Some(0))
    );

    world.tenant.clear_faults();
    world.settled().await;
    assert_eq!(worker.count(BREAKER_OPEN).await, Some(0));
    let named = || world.tenant.user("auth0|u3").expect("a user")["user_metadata"]["displayName"].clone();
    assert_eq!(named(), "Ann", "the name that was requested meanwhile");
    is_ours_to_take(&world, "auth0|u5").await;
}

/// The domain is that of another tenant, which gives no token for the API of ours.
#[tokio::test]
async fn f48_a_wrong_domain_costs_no_user_anything() {
    let world = sweeping().start().await;
    holder(&world, "auth0|ann").await;
    let before = world.rows(COPIES).await;
    world.worker().kill9().await;
    let options = TenantOptions {
        clients: vec![Client::new(CLIENT, "secret")],
        audience: Some("https://other.eu.auth0.com/api/v2/".to_owned()),
        ..TenantOptions::default()
    };
    let other = Tenant::start(options).await.expect("another tenant");
    let audience = format!("{}/api/v2/", world.tenant.base_url());
    let domain = other.base_url();
    let wrong = [("AUTH0_DOMAIN", domain.as_str()), ("AUTH0_AUDIENCE", &audience)];
    let lost = world.spawn_worker_with(&wrong);
    a_day_passes(&world).await;
    let open = async || lost.count(BREAKER_OPEN).await == Some(1);
    world.eventually("the circuit breaker opens", open).await;
    assert_eq!(world.rows(COPIES).await, before, "no copy is lost");
    assert_eq!(
        (world.number(ADOPTED).await, world.number(MARKS).await),
        (Some(1), Some(0))
    );
    lost.kill9().await;
    world.start_worker().await;
    world.settled().await;
    is_ours_to_take(&world, "auth0|ann").await;
}
