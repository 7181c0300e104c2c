//! Rows that Postgres refuses, or that cannot be read: one user is affected.

use super::answers::{PARKED, earn};
use crate::world::World;
use crate::world::events::saved;
use crate::world::oracle::ROLE;

#[tokio::test]
async fn a_row_that_postgres_refuses_parks_its_user_alone() {
    let world = World::start().await;
    let refuse = "ALTER TABLE assignments ADD CHECK (user_id <> 'auth0|bad')";
    sqlx::query(refuse)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    earn(&world, "auth0|bad").await;
    earn(&world, "auth0|good").await;
    world
        .eventually("one is parked", async || world.number(PARKED).await == Some(1))
        .await;
    world
        .eventually("the other continues", async || {
            world.roles("auth0|good") == ["mentor", ROLE]
        })
        .await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_nobody_else() {
    let world = World::builder().workers(0).start().await;
    // A sum beyond the range of its type, which only this user's snapshot has.
    let events = [saved("s1", "pl_a", "auth0|bad"), saved("s2", "pl_b", "auth0|bad")];
    world.start_worker().await;
    world.publish(&events).await;
    world
        .eventually("they are folded", async || {
            world
                .number("SELECT count(*) FROM playlists WHERE owner_id = 'auth0|bad'")
                .await
                == Some(2)
        })
        .await;
    let overflow =
        "WITH sums AS (UPDATE playlists SET plays = 9223372036854775807 WHERE owner_id = 'auth0|bad')
        INSERT INTO work_queue (user_id, priority) VALUES ('auth0|bad', 0)";
    sqlx::query(overflow)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    world
        .eventually("that user is parked", async || {
            world.number(PARKED).await == Some(1)
        })
        .await;
    earn(&world, "auth0|good").await;
    world
        .eventually("the other continues", async || {
            world.roles("auth0|good") == ["mentor", ROLE]
        })
        .await;
}
