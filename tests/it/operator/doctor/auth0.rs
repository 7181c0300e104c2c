//! Broken parts of Auth0.

use rolekeeper_sandbox::tenant::{CallMatch, Client, Endpoint, Fault, Tenant, TenantOptions};

use super::findings;
use crate::world::{CLIENT, World};

/// A tenant whose client has these scopes only.
async fn with_scopes(scopes: &[&str]) -> Tenant {
    let clients = vec![Client::new(CLIENT, "secret").with_scopes(scopes.iter().copied())];
    let options = TenantOptions {
        clients,
        ..TenantOptions::default()
    };
    Tenant::start(options).await.expect("the tenant starts")
}

#[tokio::test]
async fn a_refused_token_is_a_fault() {
    let world = World::builder().workers(0).start().await;
    let found = findings(&world, &[("AUTH0_CLIENT_SECRET", "another")]).await;
    assert!(
        found
            .text("auth0.token", "fault")
            .contains("check AUTH0_CLIENT_ID")
    );
    assert!(found.text("auth0", "unchecked").contains("need a token"));
    assert_eq!((found.with("fault"), found.code), (vec!["auth0.token"], Some(2)));
}

#[tokio::test]
async fn missing_scopes_are_named() {
    let world = World::builder().workers(0).start().await;
    let reads = with_scopes(&["read:users", "read:users_app_metadata"]).await;
    let url = reads.base_url();
    let found = findings(&world, &[("AUTH0_DOMAIN", &url)]).await;
    let said = found.text("auth0.scopes", "fault");
    assert!(
        said.contains("lacks update:users and update:users_app_metadata"),
        "{said}"
    );
    assert!(found.text("auth0.log", "warning").contains("read:logs_users"));
    let found = findings(&world, &[("AUTH0_DOMAIN", &url), ("LOG_GAP_FILLER", "on")]).await;
    assert!(found.text("auth0.log", "fault").contains("LOG_GAP_FILLER is on"));
    let writes = with_scopes(&["update:users", "read:users"]).await;
    let found = findings(&world, &[("AUTH0_DOMAIN", &writes.base_url())]).await;
    let said = found.text("auth0.token", "fault");
    assert!(said.contains("read:users_app_metadata"), "{said}");
}

#[tokio::test]
async fn a_tenant_that_fails_leaves_the_check_unmade() {
    let world = World::start().await;
    let url = super::webhook(&world.worker()).await;
    world
        .tenant
        .hold_fault(CallMatch::to(Endpoint::ReadUser), Fault::status(503));
    let found = findings(&world, &[("WEBHOOK_URL", &url)]).await;
    assert!(found.text("auth0.read", "unchecked").contains("Auth0"));
    assert_eq!(
        (found.with("fault"), found.code),
        (vec![], Some(1)),
        "{:?}",
        found.texts
    );
}

#[tokio::test]
async fn a_tenant_out_of_reach_is_reported() {
    let world = World::builder().workers(0).start().await;
    let found = findings(&world, &[("AUTH0_DOMAIN", "http://127.0.0.1:1")]).await;
    assert!(
        found
            .text("auth0.token", "unchecked")
            .contains("no token could be fetched")
    );
    assert!(found.text("postgres.schema", "ok").contains("this release"));
}
