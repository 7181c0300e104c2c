//! Commands of the operator that die behind an effect, and are run again.

use rolekeeper_sandbox::tenant::{CallMatch, Endpoint, Fault};

use super::run::{Place, command_dies, killed};
use super::table;
use crate::world::console::{Browser, OPERATOR_TOKEN, field, with_console};
use crate::world::discover::found;
use crate::world::erasure::KEY;
use crate::world::oracle::ROLE;
use crate::world::{ANN, World};

/// Holders in an export: more than one transaction takes.
const HOLDERS: u32 = 600;
/// The form of the brake on revokes.
const REVOKES: &str = "/console/brakes/revokes";

/// A world with Ann, who has the role, and other users.
async fn place() -> Place {
    let place = Place::start(World::builder().env("ERASURE_KEY", KEY), true).await;
    place.next_worker().await;
    let world = &place.world;
    world.seed_user(ANN, &["mentor"]);
    world.earn(ANN, "pl_1").await;
    world.seed_user("auth0|eve", &["mentor"]);
    world.tenant.login("auth0|eve").expect("a login");
    world.settled().await;
    place
}

/// The statement that prepares what the command finds.
fn before(words: &[&str]) -> &'static str {
    match words {
        ["requeue", ..] => {
            "INSERT INTO work_queue (user_id, priority, parked_at, failure) VALUES ('auth0|eve', 1, now(), 'a story')
             ON CONFLICT (user_id) DO UPDATE SET parked_at = now()"
        }
        ["brake", "release", "gone", ..] => "UPDATE gone_brake SET engaged_at = now()",
        ["brake", "release", ..] => "UPDATE brakes SET engaged_at = now() WHERE change = 'revoked'",
        // The oracle expects no dead letter.
        ["erase", ..] => {
            "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at, kept_at)
             VALUES ('APP_EVENTS', 1, 'plays.1', 'unreadable', 'd', 'auth0|nobody', 12, now(), now() - interval '2 days')
             ON CONFLICT DO NOTHING"
        }
        ["brake", "engage", ..] => "UPDATE brakes SET engaged_at = NULL",
        _ => "SELECT 1",
    }
}

/// Commands that leave counts and roles as they are, one after the other in one world.
#[tokio::test]
async fn kills_while_commands_run() {
    let place = place().await;
    let mut faults = Vec::new();
    for (command, points) in table::commands() {
        let words: Vec<&str> = command.split(' ').collect();
        for point in points {
            place.world.run_sql(before(&words)).await;
            let wrong = command_dies(&place, point, &words).await;
            faults.extend(
                wrong
                    .into_iter()
                    .map(|wrong| format!("{point}: {command}: {wrong}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The tenant refuses searches, so all users are exported.
#[tokio::test]
async fn kills_while_all_users_are_exported() {
    let place = Place::start(World::builder(), false).await;
    place.next_worker().await;
    let world = &place.world;
    world.imported("old", 0..HOLDERS, &[ROLE]);
    let searches = CallMatch::to(Endpoint::ListUsers);
    world.tenant.hold_fault(searches, Fault::status(403));
    for point in table::points_of("an export of all users") {
        killed(&place, point, &["discover"]).await.expect("it dies");
        let said = world.told(&["discover"]).await;
        assert!(said.starts_with(&found(HOLDERS as usize)), "{point}: {said}");
        assert_eq!(world.unadopted().await, i64::from(HOLDERS));
        let wrong = place.wrong().await;
        assert!(wrong.is_empty(), "{point}: {}", wrong.join("\n"));
    }
}

/// Sends the form of the brake on revokes in a new session; the status, none without a response.
async fn released(place: &Place) -> Option<u16> {
    let worker = place.world.worker();
    let browser = Browser::signed_in(&worker, "ann", OPERATOR_TOKEN).await;
    let page = browser.page("/console/brakes").await;
    let (key, seen) = (field(&page, REVOKES, "form_key"), field(&page, REVOKES, "seen"));
    let form = [
        ("form_key", key.as_str()),
        ("seen", &seen),
        ("why", "a story"),
        ("way", "release"),
    ];
    Some(browser.try_post(REVOKES, &form).await?.status)
}

#[tokio::test]
async fn a_kill_while_a_brake_is_released_in_the_console() {
    let place = Place::start(with_console(), true).await;
    place.next_worker().await;
    let world = &place.world;
    world
        .told(&["brake", "engage", "revokes", "--why", "a story"])
        .await;
    for point in table::points_of("a release in the console") {
        let mut status = Some(200);
        let sent = async || status = released(&place).await;
        assert!(place.passes(point, "kill", sent).await, "{point}: not reached");
        assert_eq!(status, None, "{point}");
    }
    place.dead().await;
    place.next_worker().await;
    // An interrupted release makes no progress any more.
    world
        .run_sql("UPDATE brake_releases SET moved_at = now() - interval '1 minute'")
        .await;
    assert_eq!(released(&place).await, Some(200));
    let engaged = "SELECT count(*) FROM brakes WHERE engaged_at IS NOT NULL";
    assert_eq!(world.number(engaged).await, Some(0));
    let acts = "SELECT count(*) FROM operator_acts WHERE command = 'brake release'";
    assert_eq!(world.number(acts).await, Some(1));
}
