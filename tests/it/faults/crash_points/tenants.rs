//! A database that is moved to another tenant, by a command that dies behind each step.

use std::time::Duration;

use super::attempts::resting_holder;
use super::run::{Place, killed};
use super::table;
use crate::operator::tenant_move::{FORMER, left_of_the_former};
use crate::world::oracle::ROLE;
use crate::world::{World, text};

/// Each run continues where the one before was killed. At the end the database comes back, and Bob still earns his role.
#[tokio::test]
async fn kills_while_a_database_is_moved_to_another_tenant() {
    let place = Place::start(World::builder(), true).await;
    place.next_worker().await;
    let world = &place.world;
    resting_holder(&place, "bob").await;
    world.worker().sigterm(Duration::from_secs(20)).await;
    world.run_sql(FORMER).await;
    let moves = |to| ["tenant", "move", "--to", to, "--yes", "--why", "a story"];
    for point in table::points_of("a database that moves") {
        killed(&place, point, &moves("staging.eu.auth0.com"))
            .await
            .expect("the command dies");
    }
    let said = text(&world.command(&moves("staging.eu.auth0.com")).await);
    assert!(said.contains("already belongs to staging.eu.auth0.com"), "{said}");
    assert_eq!(left_of_the_former(world).await, Vec::<String>::new());
    let home = world.tenant.base_url().replace("http://", "");
    world.told(&moves(&home)).await;
    // Rows of users that the tenant does not know.
    world
        .run_sql("DELETE FROM work_queue WHERE user_id <> 'auth0|bob'; DELETE FROM assignments WHERE user_id <> 'auth0|bob'")
        .await;
    place.next_worker().await;
    let wrong = place.wrong().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(world.has("bob", ROLE));
}
