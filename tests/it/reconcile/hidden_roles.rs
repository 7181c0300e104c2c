//! Responses that show another user, or hide the roles: nothing is written over them.

use rolekeeper_sandbox::tenant::Endpoint::ReadUser;
use rolekeeper_sandbox::tenant::{CallMatch, Client, Fault};
use serde_json::{Value, json};

use super::hostile::PAUSED;
use crate::world::events::{play, retraction};
use crate::world::oracle::ROLE;
use crate::world::{ANN, CLIENT, World};

const FAILED: &str = "SELECT count(*) FROM work_queue WHERE failure = 'bad_answer'";

#[tokio::test]
async fn a_profile_of_someone_else_is_no_answer() {
    let world = World::start().await;
    world.seed_user("auth0|eve", &["mentor"]);
    let someone_else = Fault::Rewritten {
        from: "auth0|eve".to_owned(),
        to: "auth0|boss".to_owned(),
    };
    world.tenant.hold_fault(CallMatch::to(ReadUser), someone_else);
    world.earn("auth0|eve", "pl_1").await;
    world
        .eventually("the response is judged", async || {
            world.number(FAILED).await == Some(1) || world.patches() > 0
        })
        .await;
    assert_eq!(world.patches(), 0);
    world.tenant.clear_faults();
    world.settled().await;
    assert_eq!(world.roles("auth0|eve"), ["mentor", ROLE]);
}

#[tokio::test]
async fn a_token_without_the_scope_for_roles_is_not_used() {
    let world = World::builder().workers(0).start().await;
    let few = ["read:users", "update:users", "update:users_app_metadata"];
    let few = Client::new(CLIENT, "secret").with_scopes(few);
    world.tenant.register_client(few);
    world.seed_user(ANN, &["vip"]);
    let worker = world.start_worker().await;
    world.earn(ANN, "pl_1").await;
    world
        .eventually("it is paused, or written", async || {
            worker.count(PAUSED).await == Some(1) || world.patches() > 0
        })
        .await;
    let (status, said) = worker.get("/readyz/reconcile").await.expect("a response");
    assert!(
        status == 503 && said.contains("read:users_app_metadata"),
        "{status} {said}"
    );
    assert_eq!(world.api_calls(), 0);
    world.tenant.register_client(Client::new(CLIENT, "secret"));
    world
        .eventually("a new token has it", async || world.roles(ANN) == ["vip", ROLE])
        .await;
}

#[tokio::test]
async fn roles_that_are_not_shown_any_more_are_not_written_over() {
    let world = World::start().await;
    world.seed_user(ANN, &["vip"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    world.publish(&[retraction("r1", "pl_1-7", "pl_1")]).await;
    world.settled().await;
    world.worker().kill9().await;
    let hidden = Fault::Rewritten {
        from: "\"app_metadata\"".to_owned(),
        to: "\"hidden\"".to_owned(),
    };
    world.tenant.hold_fault(CallMatch::to(ReadUser), hidden);
    world.start_worker().await;
    let before = world.patches();
    world.publish(&[play("again", "pl_1")]).await;
    world
        .eventually("the response is judged", async || {
            world.number(FAILED).await == Some(1) || world.patches() > before
        })
        .await;
    assert_eq!(
        (world.roles(ANN), world.patches()),
        (vec!["vip".to_owned()], before)
    );
    world.tenant.clear_faults();
    world.settled().await;
    let kept: Vec<Value> = vec!["vip".into(), ROLE.into()];
    assert_eq!(
        world.tenant.user(ANN).expect("there")["app_metadata"]["roles"],
        json!(kept)
    );
}
