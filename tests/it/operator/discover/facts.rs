//! Found holders against our own facts: nothing is written at Auth0, and no holder is adopted.

use rolekeeper_sandbox::tenant::Client;
use serde_json::json;

use crate::world::discover::found;
use crate::world::erasure::KEY;
use crate::world::events::retraction;
use crate::world::oracle::ROLE;
use crate::world::persons::{ANN, GOOGLE, app};
use crate::world::{CLIENT, World, text};

#[tokio::test]
async fn holders_who_never_log_in_are_found_and_left_alone() {
    let world = World::builder().workers(0).start().await;
    let fold = world.start_worker_with(&[("ONLY", "fold")]).await;
    world.imported("old", 0..20, &["mentor", ROLE]);
    world.imported("mentor", 5..15, &["mentor"]);
    world.imported("near", 5..15, &["playlist_editors", "editor"]);
    for earner in ["auth0|old3", "auth0|old4"] {
        world.earn(earner, &earner[6..]).await;
    }
    let earned = "SELECT count(*) FROM playlists WHERE plays = 100";
    world.count_is("the plays are counted", earned, 2).await;
    let said = world.told(&["discover"]).await;
    assert!(said.starts_with(&found(20)), "{said}");
    assert!(
        said.contains("  20 unadopted: 2 would hold it by the rules, 18 would not\n"),
        "{said}"
    );
    assert_eq!(world.unadopted().await, 20);

    fold.sigterm(std::time::Duration::from_secs(10)).await;
    world.start_worker_with(&[("SWEEP_INTERVAL_S", "1")]).await;
    let verified = "SELECT count(*) FROM assignments WHERE verified_at IS NOT NULL AND has_role";
    world
        .eventually("each profile is read", async || {
            world.number(verified).await == Some(20)
        })
        .await;
    assert_eq!((world.unadopted().await, world.patches()), (18, 0));
    let said = world.told(&["discover"]).await;
    assert!(
        said.contains("  2 ours") && said.contains("  18 unadopted: 0"),
        "{said}"
    );
    assert_eq!((world.unadopted().await, world.patches()), (18, 0));
}

#[tokio::test]
async fn a_found_holder_deleted_before_the_first_read_is_forgotten() {
    let world = World::builder().workers(0).start().await;
    let fold = world.start_worker_with(&[("ONLY", "fold")]).await;
    world.imported("old", 0..3, &["mentor", ROLE]);
    world.told(&["discover"]).await;
    assert!(world.tenant.delete_user("auth0|old1"));
    fold.sigterm(std::time::Duration::from_secs(10)).await;
    world.start_worker_with(&[("SWEEP_INTERVAL_S", "1")]).await;
    let gone = "SELECT count(*) FROM gone_users";
    world.count_is("the deletion is seen", gone, 1).await;
    world.quiet().await;
    world
        .run_sql("UPDATE gone_users SET marked_at = now() - interval '31 days'")
        .await;
    let left = "SELECT count(*) FROM assignments WHERE user_id = 'auth0|old1'";
    world.count_is("after 30 days nothing is kept", left, 0).await;
    assert_eq!(world.unadopted().await, 2);
}

#[tokio::test]
async fn plays_of_linked_ids_count_before_a_link_is_stored() {
    let world = World::builder().workers(0).start().await;
    world.start_worker_with(&[("ONLY", "fold")]).await;
    world.imported("old", 0..3, &[ROLE]);
    world.seed_user(GOOGLE, &[]);
    world.tenant.link(app(), "auth0|old1", GOOGLE).expect("a link");
    world.earn(GOOGLE, "pl_google").await;
    let earned = "SELECT count(*) FROM playlists WHERE plays = 100";
    world.count_is("the plays are counted", earned, 1).await;
    for how in [&["discover"][..], &["discover", "--export"]] {
        let said = world.told(how).await;
        assert!(
            said.contains("  3 unadopted: 1 would hold it by the rules, 2 would not\n")
                && said.contains("all ids that a profile shows as linked"),
            "{how:?}: {said}"
        );
    }
    world.linked(0).await;
}

#[tokio::test]
async fn a_holder_by_a_link_of_ours_is_read_first() {
    let world = World::two_accounts().await;
    // The app merges the role and links the ids; the records come later.
    world.tenant.silence(true);
    let joined = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world.tenant.edit_by_other_client("app-m2m", ANN, joined).unwrap();
    world.link();
    let said = world.told(&["discover"]).await;
    assert!(
        said.starts_with(&found(1)) && said.contains("  1 not clear"),
        "{said}"
    );
    world.linked(1).await;
    let ours = "SELECT count(*) FROM assignments WHERE user_id = 'auth0|ann' AND has_role AND adopted";
    world.count_is("the role is ours", ours, 1).await;
    assert_eq!(world.unadopted().await, 0);
}

/// The search comes after the app has merged the role, and before it links the ids.
#[tokio::test]
async fn a_merged_role_that_was_found_first_is_ours() {
    let world = World::two_accounts().await;
    world.told(&["pause", "--why", "a story"]).await;
    world.tenant.silence(true);
    let joined = json!({"app_metadata": {"roles": ["mentor", ROLE]}});
    world.tenant.edit_by_other_client("app-m2m", ANN, joined).unwrap();
    let said = world.told(&["discover"]).await;
    assert!(
        said.contains("  1 ours") && said.contains("  1 unadopted"),
        "{said}"
    );
    world.link();
    world.tenant.silence(false);
    let unchanged = json!({"blocked": false});
    world.tenant.dashboard_edit(ANN, unchanged).unwrap();
    world
        .publish(&[retraction("r-1", "pl_google-0", "pl_google")])
        .await;
    world.told(&["resume", "--why", "a story"]).await;
    world.linked(1).await;
    world.rests_with(ANN, &["mentor"]).await;
}

/// The link is stored between the comparison with our facts and the storage of the holder.
#[tokio::test]
async fn a_found_holder_that_is_linked_meanwhile_is_none() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    world.seed_user(GOOGLE, &[ROLE]);
    world.tenant.login(ANN).expect("a login");
    let read = "SELECT count(*) FROM users WHERE fetched_at IS NOT NULL";
    world.count_is("the account is read", read, 1).await;
    let mut tx = world.db.begin().await.expect("Postgres responds");
    let same = "INSERT INTO assignments (user_id, role, wanted, has_role, adopted) VALUES ($1, $2, false, true, false)";
    let same = sqlx::query(same).bind(GOOGLE).bind(ROLE);
    same.execute(&mut *tx).await.expect("Postgres responds");
    let mut discover = world.begin_command(&["discover"]);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    world
        .count_is("the holder is about to be stored", waiting, 1)
        .await;
    world.link();
    let linked = "SELECT (SELECT count(*) FROM identities) + count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    world
        .count_is("the link is stored, or waits too", linked, 2)
        .await;
    tx.rollback().await.expect("Postgres responds");
    assert!(discover.ended().await.0);
    world.linked(1).await;
    world.quiet().await;
    let rows = "SELECT count(*) FROM assignments WHERE user_id <> 'auth0|ann'";
    assert_eq!(world.number(rows).await, Some(0));
}

#[tokio::test]
async fn an_erased_user_and_a_stale_search_store_nothing() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    world.imported("old", 0..3, &[ROLE]);
    world.seed_user("auth0|new", &["mentor"]);
    world.connect_log_stream().await;
    world.tenant.login("auth0|new").expect("a login");
    world.earn("auth0|new", "pl_new").await;
    world
        .eventually("the role is there", async || {
            world.roles("auth0|new").contains(&ROLE.to_owned())
        })
        .await;
    world.settled().await;
    // As if our last read were older than the search.
    let unseen = "UPDATE assignments SET has_role = false, wanted = false WHERE user_id = 'auth0|new'";
    sqlx::query(unseen)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world.told(&["erase", "--force", "auth0|old1"]).await;
    let said = world.told(&["discover"]).await;
    for line in [
        found(4).as_str(),
        "  2 unadopted",
        "  1 not clear",
        "  1 erased: nothing is stored",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(world.unadopted().await, 2);
    let stored = "SELECT count(*) FROM assignments WHERE user_id = 'auth0|old1'";
    assert_eq!(world.number(stored).await, Some(0));
    let read_again = "SELECT count(*) FROM assignments WHERE user_id = 'auth0|new' AND has_role";
    world
        .eventually("the profile is read again", async || {
            world.number(read_again).await == Some(1)
        })
        .await;
}

#[tokio::test]
async fn a_missing_scope_is_named() {
    let world = World::start().await;
    world.imported("old", 0..3, &[ROLE]);
    let few = Client::new(CLIENT, "secret").with_scopes(["update:users", "read:logs"]);
    world.tenant.register_client(few);
    let output = world.command(&["discover"]).await;
    let said = text(&output);
    assert!(
        !output.status.success() && said.contains("read:users and read:users_app_metadata"),
        "{said}"
    );
    world.tenant.register_client(Client::new(CLIENT, "secret"));
    assert!(world.told(&["discover"]).await.starts_with(&found(3)));
}

#[tokio::test]
async fn a_wrong_secret_is_no_missing_scope() {
    let world = World::start().await;
    let env = [("AUTH0_CLIENT_SECRET", "another"), ("ERASURE_KEY", KEY)];
    for command in [
        &["discover"][..],
        &["verify", "--roles"],
        &["erase", "auth0|ann", "--why", "a test"],
        &["move", "auth0|ann", "auth0|bob", "--why", "a test"],
    ] {
        let output = world.command_with(command, &env).await;
        let said = text(&output);
        assert!(!output.status.success(), "{command:?}: {said}");
        assert!(
            said.contains("does not accept the client's credentials"),
            "{command:?}: {said}"
        );
        assert!(
            said.contains("AUTH0_CLIENT_ID") && !said.contains("scope"),
            "{command:?}: {said}"
        );
    }
}
