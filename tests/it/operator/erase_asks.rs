//! An erasure asks Auth0 first: a user whom Auth0 knows is not erased; and an erased user who comes back is readmitted.

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::json;

use crate::world::erasure::{ANN, BOB, named, world};
use crate::world::events::{plays, saved};
use crate::world::oracle::ROLE;
use crate::world::persons::app;
use crate::world::{World, text};

const ERASED: &str = "SELECT count(*) FROM erasures";

async fn refused(world: &World, arguments: &[&str], why: &str) {
    let output = world.command(arguments).await;
    let said = text(&output);
    assert!(!output.status.success() && said.contains(why), "{why}: {said}");
    assert_eq!(world.number(ERASED).await, Some(0));
}

#[tokio::test]
async fn m7_a_user_whom_auth0_knows_is_not_erased() {
    let world = world().start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &[]);
    world.earn(ANN, "pl_ann").await;
    world
        .eventually("the role is there", async || world.roles(ANN) == [ROLE])
        .await;
    world.quiet().await;
    let before = named(&world).await;
    refused(&world, &["erase", ANN], "Auth0 still knows this user, so nothing").await;
    assert_eq!(named(&world).await, before);
    let fault = CallMatch::to(Endpoint::ReadUser).user(ANN);
    world.tenant.fault_once(fault, Fault::status(503));
    refused(&world, &["erase", ANN], "Auth0 could not be asked").await;
    let nowhere = [("AUTH0_CLIENT_ID", "")];
    let unset = world.command_with(&["erase", ANN], &nowhere).await;
    assert!(text(&unset).contains("AUTH0_CLIENT_ID"), "{}", text(&unset));
    assert!(world.tenant.delete_user(ANN));
    world.told(&["erase", ANN]).await;
    assert_eq!(named(&world).await, [].into());
}

#[tokio::test]
async fn m7_an_id_that_is_linked_at_auth0_alone_is_not_erased() {
    let world = world().start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &[]);
    world.seed_user(BOB, &[]);
    world.tenant.login(ANN).unwrap();
    world.quiet().await;
    // The link is not known here.
    world.tenant.silence(true);
    world.tenant.link(app(), BOB, ANN).unwrap();
    refused(&world, &["erase", ANN], "by the account auth0|bob").await;
    world.told(&["erase", ANN, "--force"]).await;
    assert_eq!(world.number(ERASED).await, Some(1));
}

#[tokio::test]
async fn m7_an_erased_user_who_comes_back_is_readmitted() {
    let world = world().start().await;
    world.connect_log_stream().await;
    world.told(&["erase", ANN, "--why", "asked for it"]).await;
    world.tenant.create_user(ANN, json!({})).unwrap();
    world.earn(ANN, "pl_before").await;
    world.quiet().await;
    assert_eq!(named(&world).await, [].into());
    let readmit = ["readmit", ANN, "--why", "came back"];
    let said = world.told(&readmit).await;
    assert!(said.contains("readmitted"), "{said}");
    assert_eq!(named(&world).await, [].into(), "the act has the pseudonym");
    let again = world.command(&readmit).await;
    assert!(!again.status.success() && text(&again).contains("was not erased"));
    let mut events = vec![saved("s-new", "pl_new", ANN)];
    events.extend(plays("new", "pl_new", 0..100));
    world.publish(&events).await;
    world
        .eventually("the role is there", async || world.roles(ANN) == [ROLE])
        .await;
    world.tenant.login(ANN).unwrap();
    world.quiet().await;
    let known = "SELECT count(*) FROM users WHERE gone_at IS NULL";
    assert_eq!(world.number(known).await, Some(1));
}

#[tokio::test]
async fn m7_readmit_needs_the_key_of_the_erasure() {
    let world = world().start().await;
    world.told(&["erase", ANN]).await;
    for (key, what) in [
        ("", "ERASURE_KEY: not set"),
        (
            "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "not the key",
        ),
    ] {
        let output = world
            .command_with(&["readmit", ANN], &[("ERASURE_KEY", key)])
            .await;
        let said = text(&output);
        assert!(!output.status.success() && said.contains(what), "{said}");
    }
    assert_eq!(world.number(ERASED).await, Some(1));
}
