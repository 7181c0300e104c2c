//! The rows that Postgres reads while many users get a role: some for each user, however many users there are.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::world::World;
use crate::world::oracle::ROLE;

/// Users without events.
const OTHERS: i64 = 10_000;
const USERS: usize = 60;

/// Plans are kept, and the first ones are made while the tables are empty: none of them may scan a table later.
#[tokio::test]
async fn grants_scan_no_table_that_was_empty_at_the_start() {
    let world = World::start().await;
    earn(&world, 0..USERS).await;
    for others in [
        "INSERT INTO users (user_id, first_seen_at) SELECT 'auth0|o' || n, now() FROM generate_series(1, 10000) AS n",
        "INSERT INTO playlists (playlist_id, owner_id) SELECT 'o' || n, 'auth0|o' || n FROM generate_series(1, 10000) AS n",
        "INSERT INTO profile_writes (write_id, user_id, read_roles, wrote_roles, completed_at, followed_up_at)
         SELECT gen_random_uuid(), 'auth0|o' || n, '[]', '[]', now(), now() FROM generate_series(1, 10000) AS n",
        "INSERT INTO display_name_writes (user_id) SELECT 'auth0|o' || n FROM generate_series(1, 10000) AS n",
    ] {
        world.run_sql(others).await;
    }
    let before = scanned(&world).await;
    earn(&world, USERS..2 * USERS).await;
    let mut read = scanned(&world).await;
    read.retain(|table, rows| *rows - before.get(table).unwrap_or(&0) >= OTHERS);
    assert_eq!(read, BTreeMap::new(), "rows read by scans before: {before:?}");
}

async fn earn(world: &World, numbers: Range<usize>) {
    for n in numbers.clone() {
        let user = format!("auth0|u{n}");
        world.seed_user(&user, &["mentor"]);
        world.earn(&user, &format!("pl_{n}")).await;
    }
    // The tenant is asked, since a question to Postgres would count as well.
    let has_role = |n| world.roles(&format!("auth0|u{n}")) == ["mentor", ROLE];
    world
        .eventually("all hold the role", async || numbers.clone().all(has_role))
        .await;
}

/// The rows of each table that scans of it have read.
async fn scanned(world: &World) -> BTreeMap<String, i64> {
    let read = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables";
    let rows = sqlx::query_as(read).fetch_all(&world.db).await;
    rows.expect("Postgres responds").into_iter().collect()
}
