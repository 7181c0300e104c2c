//! Managed roles that another client gives or removes: each has a row of its own, and does not count as ours.

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::{Value, json};

use crate::world::oracle::ROLE;
use crate::world::{ANN, CLIENT, World};

async fn changes(world: &World) -> Vec<Value> {
    let rows = "SELECT change, outcome, client_id FROM role_changes ORDER BY decided_at, change_id";
    let rows = world.rows(rows).await;
    rows.iter()
        .map(|row| json!([row["change"], row["outcome"], row["client_id"]]))
        .collect()
}

fn edit(world: &World, roles: &[&str]) {
    let patch = json!({"app_metadata": {"roles": roles}});
    world
        .tenant
        .edit_by_other_client("crm", ANN, patch)
        .expect("an edit");
}

/// F18: a role removed or added by hand: a role of ours that another client removed is restored (default), kept off (`respect`) or only
/// reported (`alert`); a role given by hand below the threshold stays until it is adopted; a row of the audit.
#[tokio::test]
async fn f18_what_another_client_gives_and_takes_has_rows() {
    let world = World::start().await;
    world.connect_log_stream().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    edit(&world, &["mentor"]);
    world
        .eventually("it is requeued", async || world.roles(ANN) == ["mentor", ROLE])
        .await;
    world.quiet().await;
    let taken = json!(["taken", "reverted", "crm"]);
    let granted = json!(["granted", "written", null]);
    assert_eq!(changes(&world).await, [granted.clone(), taken, granted]);
    let waiting = "SELECT count(*) FROM role_changes WHERE completed_at IS NOT NULL AND announced_at IS NULL";
    world
        .eventually("ours are announced", async || {
            world.number(waiting).await == Some(0)
        })
        .await;
}

/// She never held it before: only the profile that was read earlier tells that it is new.
#[tokio::test]
async fn f18_a_role_given_by_hand_stays_until_it_is_adopted() {
    let world = World::builder().env("SWEEP_INTERVAL_S", 1).start().await;
    world.connect_log_stream().await;
    world.played("ann", 99).await;
    world.tenant.login(ANN).expect("a login");
    let read = "SELECT count(*) FROM users WHERE profile IS NOT NULL";
    world.count_is("she is read", read, 1).await;
    world.settled().await;
    edit(&world, &["mentor", ROLE]);
    let unadopted = "SELECT count(*) FROM assignments WHERE has_role AND NOT adopted";
    world.count_is("the role is seen", unadopted, 1).await;
    world.retracted("ann", 0..1).await;
    world.walked().await;
    world.quiet().await;
    assert_eq!(
        (world.roles(ANN), world.patches()),
        (vec!["mentor".to_owned(), ROLE.to_owned()], 0)
    );
    let given = json!(["given", "left", "crm"]);
    assert_eq!(changes(&world).await, vec![given.clone()]);
    world.told(&["adopt", "--user", ANN]).await;
    world.rests_with(ANN, &["mentor"]).await;
    assert_eq!(
        changes(&world).await,
        [given, json!(["revoked", "written", null])]
    );
    world.settled().await;
}

#[tokio::test]
async fn a_role_given_by_hand_while_ours_was_refused_is_not_ours() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    let patch = CallMatch::to(Endpoint::PatchUser).client(CLIENT).user(ANN);
    let limited = Fault::status(429);
    world.tenant.fault_once(patch, limited);
    world.earn(ANN, "pl_1").await;
    world
        .eventually("our write is refused", async || {
            world.tenant.faults_waiting() == 0
        })
        .await;
    edit(&world, &["mentor", ROLE]);
    world.quiet().await;
    assert_eq!(changes(&world).await, [json!(["granted", "superseded", null])]);
    let announced = "SELECT count(*) FROM role_changes WHERE announced_at IS NOT NULL";
    assert_eq!(world.number(announced).await, Some(0), "we did not grant it");
}
