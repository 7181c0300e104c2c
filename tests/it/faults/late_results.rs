//! F5: two to eight workers, the active one frozen past every timeout, then continued: its late commit and its late
//! record are refused, its late write is seen and mended; promises 1 and 3. Here the response to a write comes after
//! the lease of its attempt, when another attempt has left another state.

use std::time::Duration;

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};
use serde_json::json;

use super::late_writes::written;
use crate::world::events::{plays, retraction};
use crate::world::oracle::ROLE;
use crate::world::{ANN, CLIENT, World};

/// The writes with a response that is stored.
const ANSWERED: &str = "SELECT count(*) FROM profile_writes WHERE answered";

/// Delays the response to the next write by 8 s.
fn delay_the_response(world: &World) {
    let slow = CallMatch::to(Endpoint::PatchUser).client(CLIENT).user(ANN);
    let later = Fault::DelayedAnswer(Duration::from_secs(8));
    world.tenant.fault_once(slow, later);
}

/// Ends the lease of the attempt in flight, as if it had taken longer.
async fn end_the_lease(world: &World) {
    let ended = "UPDATE work_queue SET lease_until = now() - interval '1 second'";
    world.run_sql(ended).await;
}

/// Another attempt takes the user while the write is in flight, and takes the role away again before the response.
#[tokio::test]
async fn f05_a_late_result_is_not_taken_for_the_state() {
    let world = World::start().await;
    delay_the_response(&world);
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    let sent = async || world.tenant.faults_waiting() == 0;
    world.eventually("the write is in flight", sent).await;
    world.publish(&[retraction("r1", "pl_1-0", "pl_1")]).await;
    end_the_lease(&world).await;
    let revoked = async || written(&world, false) == 1;
    world
        .eventually("another attempt revokes the role", revoked)
        .await;
    world.count_is("the first is in flight", ANSWERED, 1).await;
    world.count_is("both results are stored", ANSWERED, 2).await;
    world.settled().await;
    world.publish(&plays("more", "pl_1", 0..1)).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor", ROLE]);
}

/// Another attempt gives the role again while the response to a revoke is on its way. With the late result as the state, the
/// next revoke would count as done.
#[tokio::test]
async fn f05_a_late_result_of_a_revoke_hides_no_later_grant() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    delay_the_response(&world);
    world.publish(&[retraction("r1", "pl_1-0", "pl_1")]).await;
    let revoked = async || written(&world, false) == 1;
    world.eventually("the revoke is in flight", revoked).await;
    world.publish(&plays("more", "pl_1", 0..1)).await;
    end_the_lease(&world).await;
    world
        .count_is("another attempt gives the role again", ANSWERED, 2)
        .await;
    assert_eq!(written(&world, true), 2, "the revoke is still in flight");
    world.count_is("all results are stored", ANSWERED, 3).await;
    world.settled().await;
    world.publish(&[retraction("r2", "pl_1-1", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.roles(ANN), ["mentor"]);
}

/// Another client writes twice behind a grant whose response was lost, and Auth0 has not confirmed any record when the next
/// attempt reads the profile.
#[tokio::test]
async fn a_grant_without_a_response_stays_ours_behind_other_writes() {
    let world = World::start().await;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.settled().await;
    world.publish(&[retraction("r1", "pl_1-0", "pl_1")]).await;
    world.settled().await;
    world.connect_log_stream().await;
    let confirmations = CallMatch::to(Endpoint::ReadLog);
    world.tenant.hold_fault(confirmations, Fault::status(503));
    let grant = CallMatch::to(Endpoint::PatchUser).client(CLIENT).user(ANN);
    world.tenant.fault_once(grant, Fault::AppliedButUnanswered);
    world.publish(&plays("more", "pl_1", 0..1)).await;
    let applied = async || written(&world, true) == 2;
    world.eventually("the grant is applied", applied).await;
    for roles in [&["mentor", ROLE, "staff"][..], &["mentor", ROLE]] {
        let patch = json!({"app_metadata": {"roles": roles}});
        let edited = world.tenant.edit_by_other_client("crm", ANN, patch);
        edited.expect("an edit");
    }
    world.publish(&[retraction("r2", "pl_1-1", "pl_1")]).await;
    let seen = "SELECT count(*) FROM role_changes WHERE outcome = 'confirmed'";
    world.count_is("the grant is seen", seen, 1).await;
    world.tenant.clear_faults();
    let gone = async || world.roles(ANN) == ["mentor"];
    world.eventually("the role is revoked", gone).await;
    world.settled().await;
}
