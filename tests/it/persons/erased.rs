//! Erased ids and links: ids that were linked until the account was deleted, and an erased id that an account has since.

use crate::world::World;
use crate::world::erasure::{ANN, BARE, BOB, named, world};
use crate::world::persons::{self, GOOGLE, app};

#[tokio::test]
async fn the_profile_of_another_account_shows_no_erased_id() {
    let world = world().start().await;
    world.connect_log_stream().await;
    for user in [ANN, BOB] {
        world.seed_user(user, &["mentor"]);
        world.tenant.login(user).expect("a login");
    }
    world.quiet().await;
    world.told(&["erase", "--force", ANN]).await;
    let reads = world.calls_of(BOB).len();
    world.tenant.link(app(), BOB, ANN).expect("a link");
    world
        .eventually("the account was read", async || {
            world.calls_of(BOB).len() > reads && world.is_quiet().await
        })
        .await;
    let read = "SELECT count(*) FROM users WHERE profile IS NOT NULL";
    assert_eq!(world.number(read).await, Some(1), "the profile of Bob");
    assert_eq!(named(&world).await, [].into());
    assert!(!world.told(&["export", BOB]).await.contains(BARE));
}

/// The account of two ids, deleted at Auth0, which the worker knows.
async fn deleted_account() -> World {
    let world = world().start().await;
    world.connect_log_stream().await;
    world.two_accounts_here().await;
    world.link();
    world.role_follows().await;
    world.quiet().await;
    assert!(world.tenant.delete_user(persons::ANN));
    world.linked(0).await;
    let gone = "SELECT count(*) FROM users WHERE gone_since IS NOT NULL";
    world.count_is("both are known to be gone", gone, 2).await;
    world.quiet().await;
    world
}

#[tokio::test]
async fn an_account_deleted_before_is_erased_with_its_linked_ids() {
    for asked in [persons::ANN, GOOGLE] {
        let world = deleted_account().await;
        let export = world.told(&["export", asked]).await;
        assert!(
            export.contains("pl_google") && export.contains(persons::ANN),
            "{export}"
        );
        let said = world.told(&["erase", asked]).await;
        assert!(said.starts_with("auth0|ann, google-oauth2|7: erased"), "{said}");
        let hashes = "SELECT count(*) FROM erasures";
        assert_eq!(world.number(hashes).await, Some(2));
        for id in [persons::ANN, GOOGLE] {
            assert_eq!(
                world.command(&["export", id]).await.status.code(),
                Some(1),
                "{id}"
            );
        }
    }
}

#[tokio::test]
async fn a_formerly_linked_id_with_an_account_of_its_own_is_another() {
    let world = deleted_account().await;
    world.seed_user(GOOGLE, &[]);
    world.tenant.login(GOOGLE).expect("a login");
    let apart = "SELECT count(*) FROM former_identities";
    world.count_is("it is seen apart", apart, 0).await;
    let said = world.told(&["erase", persons::ANN]).await;
    assert!(said.starts_with("auth0|ann: erased"), "{said}");
    assert!(world.told(&["export", GOOGLE]).await.contains("pl_google"));
}
