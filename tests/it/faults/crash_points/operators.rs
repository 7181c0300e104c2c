//! Commands of the operator that die behind an effect, and are run again.

use super::run::{Place, command_dies};
use super::table;
use crate::world::erasure::KEY;
use crate::world::{ANN, World};

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
