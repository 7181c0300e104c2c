//! Users who are erased: Ann, whose id must not be found afterwards, and Bob beside her.

use std::collections::BTreeMap;
use std::process::Output;

use serde_json::json;
use sqlx::Row as _;

use crate::world::events::saved;
use crate::world::{Builder, LOG_TOKEN, World, text};

pub(crate) const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// The id that must not be found afterwards; the part after the bar identifies the user as well as the whole.
pub(crate) const ANN: &str = "auth0|6132829445244d0069782a78";
pub(crate) const BARE: &str = "6132829445244d0069782a78";
pub(crate) const BOB: &str = "auth0|bob";

pub(crate) fn world() -> Builder {
    World::builder()
        .env("ERASURE_KEY", KEY)
        .env("SWEEP_INTERVAL_S", 1)
}

/// Counts the rows of each table that name the user: every table, every column, also inside bytes.
pub(crate) async fn named(world: &World) -> BTreeMap<String, i64> {
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables = sqlx::query(tables)
        .fetch_all(&world.db)
        .await
        .expect("Postgres responds");
    let mut named = BTreeMap::new();
    for table in &tables {
        let table: &str = table.get(0);
        let query = format!(
            "SELECT count(*) FROM \"{table}\" AS t
             WHERE t::text LIKE '%' || $1 || '%' OR t::text LIKE '%' || encode(convert_to($1, 'UTF8'), 'hex') || '%'"
        );
        let count = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).bind(BARE);
        let count: i64 = count.fetch_one(&world.db).await.expect("Postgres responds");
        if count > 0 {
            named.insert(table.to_owned(), count);
        }
    }
    named
}

/// Erases Ann, also while Auth0 knows her.
pub(crate) async fn erase(world: &World) -> Output {
    let output = world.command(&["erase", "--force", ANN]).await;
    assert!(output.status.success(), "{}", text(&output));
    output
}

/// Ann and Bob have used every feature, and another client sent broken records about Ann.
pub(crate) async fn lived_in() -> World {
    let world = world().start().await;
    world.connect_log_stream().await;
    for (user, playlist) in [(ANN, "pl_ann"), (BOB, "pl_bob")] {
        let profile =
            json!({"email": format!("{playlist}@example.com"), "app_metadata": {"roles": ["mentor"]}});
        world.tenant.create_user(user, profile).expect("a sign-up");
        world.earn(user, playlist).await;
        world.settled().await;
        world.tenant.login(user).expect("a login");
        let theirs = json!({"app_metadata": {"roles": ["mentor", "playlist_editor", "guest"]}});
        world
            .tenant
            .edit_by_other_client("crm", user, theirs)
            .expect("an edit");
        world.settled().await;
    }
    let rubbish = saved("bad-1", "pl_ann", ANN)
        .with("name", "x".repeat(300))
        .poisoned("bad_value");
    world.publish(&[rubbish]).await;
    let path = format!("/api/v2/users/auth0%7C{BARE}");
    let unreadable = json!({"type": 5, "details": {"request": {"path": path}}}).to_string();
    assert_eq!(world.worker().post_logs(LOG_TOKEN, unreadable).await, Some(200));
    world.quiet().await;
    world
}
