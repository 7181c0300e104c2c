//! The database belongs to one tenant: another one is refused, until an operator moves the database.

use std::time::Duration;

use crate::world::oracle::ROLE;
use crate::world::{World, text};

const ELSEWHERE: (&str, &str) = ("AUTH0_AUDIENCE", "https://staging.eu.auth0.com/api/v2/");

/// F48: 404 from a gateway for 5 s; a wrong tenant domain; 404 for each user: no adoption, name or copy is lost; the circuit breaker
/// opens; right at once when mended.
#[tokio::test]
async fn f48_a_worker_of_another_tenant_is_refused_at_the_start() {
    let world = World::start().await;
    let bound = "SELECT count(*) FROM tenant";
    world
        .eventually("the tenant is known", async || {
            world.number(bound).await == Some(1)
        })
        .await;
    let output = world.command_with(&["serve"], &[ELSEWHERE]).await;
    let said = text(&output);
    assert!(!output.status.success(), "{said}");
    let here = world.tenant.base_url().replace("http://", "");
    for part in [
        here.as_str(),
        "staging.eu.auth0.com",
        "rolekeeper tenant move --to staging.eu.auth0.com --yes",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(text(&world.command(&["tenant"]).await).trim(), here);
    // A worker without the tenant's settings cannot use it either.
    let plain = [
        ELSEWHERE,
        ("ONLY", "fold"),
        ("AUTH0_DOMAIN", ""),
        ("AUTH0_CLIENT_ID", ""),
    ];
    world.start_worker_with(&plain).await;
}

const API: (&str, &str) = ("API_AUDIENCE", "https://api.example.com");

/// Tokens and records of another tenant would name that tenant's users.
#[tokio::test]
async fn a_worker_without_reconciler_is_of_its_tenant_too() {
    let world = World::start().await;
    world
        .count_is("the tenant is known", "SELECT count(*) FROM tenant", 1)
        .await;
    for only in ["http", "fold", "http,fold"] {
        let output = world
            .command_with(&["serve"], &[ELSEWHERE, API, ("ONLY", only)])
            .await;
        let said = text(&output);
        assert!(
            !output.status.success() && said.contains("belongs to the Auth0 tenant"),
            "{only}: {said}"
        );
    }
    let canonical = format!("{}/api/v2/", world.tenant.base_url());
    let custom = [
        ("AUTH0_DOMAIN", "login.example.com"),
        ("AUTH0_AUDIENCE", canonical.as_str()),
        ("ONLY", "http"),
        API,
    ];
    world.start_worker_with(&custom).await;
}

#[tokio::test]
async fn a_serving_worker_ends_when_the_database_is_moved() {
    let world = World::builder().workers(0).start().await;
    let worker = world.start_worker_with(&[("ONLY", "http"), API]).await;
    let moved = "INSERT INTO tenant (domain) VALUES ('staging.eu.auth0.com')";
    sqlx::raw_sql(moved).execute(&world.db).await.unwrap();
    let ended = worker.wait(Duration::from_secs(30)).await;
    assert!(!ended.success(), "{ended}");
    assert!(worker.log().contains("belongs to the Auth0 tenant"));
}

#[tokio::test]
async fn f48_a_moved_database_takes_no_role_from_anybody() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &[]);
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), [ROLE]);
    let to = ["tenant", "move", "--to", "staging.eu.auth0.com"];
    let output = world.command(&to).await;
    assert!(
        !output.status.success() && text(&output).contains("--yes"),
        "{}",
        text(&output)
    );
    let sure = [&to[..], &["--yes"]].concat();
    let output = world.command(&sure).await;
    assert!(
        text(&output).contains("stop all workers first"),
        "{}",
        text(&output)
    );
    world.worker().sigterm(Duration::from_secs(10)).await;
    let output = world.command(&sure).await;
    assert!(output.status.success(), "{}", text(&output));
    let holders = "SELECT count(*) FROM assignments WHERE has_role AND NOT adopted AND verified_at IS NULL";
    assert_eq!(world.number(holders).await, Some(1));
    let writes = "SELECT (SELECT count(*) FROM profile_writes) + (SELECT count(*) FROM foreign_writes)";
    assert_eq!(
        world.number(writes).await,
        Some(0),
        "no write of another tenant is taken into account"
    );
    assert_eq!(
        text(&world.command(&["tenant"]).await).trim(),
        "staging.eu.auth0.com"
    );
}
