//! Attempts while Postgres is slow, refuses rows, or is away.

use std::time::Duration;

use rolekeeper_sandbox::tenant::Endpoint::ReadUser;
use rolekeeper_sandbox::tenant::{CallMatch, Fault};

use super::attempts::{SLOW, in_flight, settled_holder};
use super::run::{Place, kill_each};
use crate::world::events::saved;
use crate::world::{World, user};

async fn run(world: &World, sql: String) {
    let sql = sqlx::AssertSqlSafe(sql);
    sqlx::raw_sql(sql)
        .execute(&world.db)
        .await
        .expect("Postgres responds");
}

#[tokio::test]
async fn kills_while_postgres_is_slow() {
    let builder = World::builder().postgres_proxy();
    kill_each("a slow Postgres", builder, true, async |place: &Place, n| {
        in_flight(place, &format!("u{n}"), ReadUser).await;
        place.world.postgres_proxy().delay(Duration::from_millis(1_100));
        place.until(async || false).await;
        place.world.postgres_proxy().restore();
    })
    .await;
}

/// The lock begins while the profile is read.
#[tokio::test]
async fn kills_while_rows_are_locked() {
    kill_each(
        "a locked row",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, format!("u{n}"));
            settled_holder(place, &name).await;
            let call = CallMatch::to(ReadUser).user(user(&name));
            world.tenant.fault_once(call, Fault::DelayedAnswer(SLOW));
            world.run_sql("UPDATE assignments SET verified_at = NULL").await;
            place.until(async || world.tenant.faults_waiting() == 0).await;
            let mut other = world.db.begin().await.expect("a transaction");
            sqlx::query("SELECT FROM assignments FOR UPDATE")
                .execute(&mut *other)
                .await
                .expect("a lock");
            place.until(async || false).await;
            other.rollback().await.expect("the end of the lock");
        },
    )
    .await;
}

#[tokio::test]
async fn kills_while_a_row_is_refused() {
    kill_each(
        "a refused row",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, format!("u{n}"));
            let add = format!(
                "ALTER TABLE assignments ADD CONSTRAINT bad CHECK (user_id <> '{}')",
                user(&name)
            );
            run(world, add).await;
            world.played(&name, 100).await;
            place.until(async || false).await;
            world.run_sql("ALTER TABLE assignments DROP CONSTRAINT bad").await;
            world
                .run_sql("UPDATE work_queue SET parked_at = NULL, due_at = now()")
                .await;
        },
    )
    .await;
}

/// A sum beyond the range of its type.
#[tokio::test]
async fn kills_while_facts_cannot_be_read() {
    kill_each("unreadable facts", World::builder(), true, async |place: &Place, n| {
        let (world, name) = (&place.world, format!("u{n}"));
        world.played(&name, 1).await;
        world
            .publish(&[saved(&format!("second-{n}"), &format!("pl_second_{n}"), &user(&name))])
            .await;
        place.until(async || world.is_quiet().await).await;
        run(world, format!("UPDATE playlists SET plays = 9223372036854775807 WHERE owner_id = '{}'", user(&name))).await;
        run(world, format!("INSERT INTO work_queue (user_id, priority) VALUES ('{}', 0)", user(&name))).await;
        place.until(async || false).await;
        run(world, format!("UPDATE playlists SET plays = CASE WHEN playlist_id LIKE '%second%' THEN 0 ELSE 1 END WHERE owner_id = '{}'", user(&name))).await;
        world.run_sql("UPDATE work_queue SET parked_at = NULL, due_at = now()").await;
    })
    .await;
}

/// Postgres goes away while the profile is read, and comes back.
#[tokio::test]
async fn kills_while_users_are_given_back() {
    let builder = World::builder().postgres_proxy();
    kill_each("a lost attempt", builder, true, async |place: &Place, n| {
        let worker = place.world.worker();
        place.until(async || worker.is_ready().await).await;
        in_flight(place, &format!("u{n}"), ReadUser).await;
        place.world.postgres_proxy().refuse();
        place
            .until(async || worker.log().contains("attempt aborted"))
            .await;
        place.world.postgres_proxy().restore();
        place.until(async || false).await;
    })
    .await;
}

/// The result of a write is not known: the worker was ended before it recorded the write.
#[tokio::test]
async fn kills_while_an_unknown_write_is_followed_up() {
    kill_each("an unknown write", World::builder(), true, async |place: &Place, n| {
        let (world, name) = (&place.world, format!("u{n}"));
        settled_holder(place, &name).await;
        let unknown = "UPDATE profile_writes SET completed_at = NULL, followed_up_at = NULL, attempted_at = attempted_at - interval '1 minute'";
        world.run_sql(unknown).await;
    })
    .await;
}
