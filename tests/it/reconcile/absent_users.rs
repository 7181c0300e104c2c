//! Users whom Auth0 does not know, knows again, or has blocked.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::{PatchUser, ReadUser};
use rolekeeper_sandbox::tenant::{CallMatch, Fault};
use serde_json::json;

use super::trouble::impatient;
use crate::world::World;
use crate::world::oracle::ROLE;

/// F15: a user unknown (404), blocked, deleted between read and write: done, with a mark that the user is gone; no
/// retry without end.
#[tokio::test]
async fn f15_a_missing_user_is_done_and_remembered_as_gone() {
    let world = impatient().env("AUTH0_TIMEOUT_S", 5).start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.seed_user("auth0|eve", &["mentor"]);
    let patch = CallMatch::to(PatchUser).user("auth0|ann");
    world
        .tenant
        .fault_once(patch, Fault::Delay(Duration::from_millis(500)));
    world.earn("auth0|ann", "pl_1").await;
    let decided = "SELECT count(*) FROM role_changes WHERE attempted_at IS NOT NULL";
    world
        .eventually("the write is in flight", async || {
            world.number(decided).await == Some(1)
        })
        .await;
    assert!(world.tenant.delete_user("auth0|ann"));
    world.earn("auth0|unknown", "pl_2").await;
    world.earn("auth0|eve", "pl_3").await;
    world.quiet().await;

    // Three sweeps later there was no further call for them.
    for _ in 0..3 {
        let unset = "UPDATE assignments SET wanted = false WHERE user_id = 'auth0|eve'";
        world.run_sql(unset).await;
        let corrected = "SELECT count(*) FROM assignments WHERE wanted";
        world.count_is("a sweep has been", corrected, 1).await;
    }
    assert_eq!(world.endpoints_of("auth0|ann"), [ReadUser, PatchUser]);
    assert_eq!(world.endpoints_of("auth0|unknown"), [ReadUser]);
    assert_eq!(
        world.audit_of("auth0|ann").await,
        [("granted".to_owned(), Some("gone".to_owned()))]
    );
    assert!(world.audit_of("auth0|unknown").await.is_empty());
    let tombstones = "SELECT count(*) FROM users WHERE gone_at IS NOT NULL AND profile IS NULL";
    assert_eq!(world.number(tombstones).await, Some(2));
}

#[tokio::test]
async fn a_deleted_user_who_signs_up_again_gets_what_the_facts_say() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert!(world.tenant.delete_user("auth0|ann"));
    let gone = "SELECT count(*) FROM users WHERE gone_at IS NOT NULL";
    world
        .eventually("the deletion is known", async || {
            world.number(gone).await == Some(1)
        })
        .await;
    world
        .tenant
        .create_user("auth0|ann", json!({}))
        .expect("a sign-up");
    world
        .eventually("the role is back", async || world.roles("auth0|ann") == [ROLE])
        .await;
    world.quiet().await;
    assert_eq!(world.number(gone).await, Some(0));
}

#[tokio::test]
async fn f15_a_blocked_user_is_like_any_other() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    let blocked = world
        .tenant
        .edit_unrecorded("auth0|ann", json!({"blocked": true}));
    blocked.expect("an edit");
    world.earn("auth0|ann", "pl_1").await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", ROLE]);
}
