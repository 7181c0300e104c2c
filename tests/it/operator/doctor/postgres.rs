//! Broken parts of Postgres.

use super::findings;
use crate::world::World;
use crate::world::pooler::Pooler;

#[tokio::test]
async fn without_postgres_all_other_parts_are_checked() {
    let world = World::builder().workers(0).start().await;
    let found = findings(
        &world,
        &[("DATABASE_URL", "postgres://postgres@127.0.0.1:1/none")],
    )
    .await;
    let said = found.text("postgres.server", "fault");
    assert!(
        said.contains("refused") && said.contains("check DATABASE_URL"),
        "{said}"
    );
    assert!(found.text("postgres", "unchecked").contains("need a server"));
    assert!(found.text("auth0.token", "ok").contains("token"));
    assert_eq!(found.code, Some(2));
}

#[tokio::test]
async fn old_migrations_are_a_fault() {
    let world = World::builder().workers(0).start().await;
    world
        .run_sql("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .await;
    let found = findings(&world, &[]).await;
    assert!(
        found
            .text("postgres.schema", "fault")
            .contains("run `rolekeeper migrate`")
    );
    assert_eq!(
        (found.with("fault"), found.code),
        (vec!["postgres.schema"], Some(2))
    );
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_a_fault() {
    let world = World::builder().workers(0).own_postgres().start().await;
    let pooler = Pooler::start(world.postgres().await.port(), "transaction").await;
    let direct = world.setting("DATABASE_URL");
    let database = direct.rsplit('/').next().expect("a name");
    let url = pooler.url(database);
    let found = findings(&world, &[("DATABASE_URL", &url)]).await;
    assert!(
        found
            .text("postgres.sessions", "fault")
            .contains("DATABASE_DIRECT_URL")
    );
    let found = findings(
        &world,
        &[("DATABASE_URL", &url), ("DATABASE_DIRECT_URL", &direct)],
    )
    .await;
    assert_eq!(found.with("fault"), [""; 0], "{:?}", found.texts);
}

#[tokio::test]
async fn missing_rights_are_named() {
    let world = World::builder().workers(0).least_rights().start().await;
    let found = findings(&world, &[]).await;
    assert_eq!(found.with("fault"), [""; 0], "{:?}", found.texts);
    let admin = world.postgres().await.url("postgres");
    let database = world.setting("DATABASE_URL");
    let database = database.rsplit('/').next().expect("a name");
    let admin = format!("{}/{database}", admin.rsplit_once('/').expect("a URL").0);
    let admin = sqlx::PgPool::connect(&admin).await.expect("Postgres responds");
    let revoke = "REVOKE UPDATE ON work_queue FROM rolekeeper_run; REVOKE EXECUTE ON FUNCTION repair_playlist_keys() FROM rolekeeper_run";
    sqlx::raw_sql(revoke).execute(&admin).await.expect("revoked");
    let found = findings(&world, &[]).await;
    let said = found.text("postgres.rights", "fault");
    assert!(
        said.contains("EXECUTE on repair_playlist_keys, UPDATE on work_queue: run"),
        "{said}"
    );
}

#[tokio::test]
async fn an_open_loss_and_another_tenant_are_faults() {
    let world = World::builder().workers(0).start().await;
    world
        .run_sql(
            "INSERT INTO stream_losses (stream, kind, detail) VALUES ('APP_EVENTS', 'purged', 'a story');
             INSERT INTO tenant (domain) VALUES ('other.eu.auth0.com')",
        )
        .await;
    let found = findings(&world, &[]).await;
    assert!(
        found
            .text("postgres.losses", "fault")
            .contains("rolekeeper accept-stream APP_EVENTS")
    );
    assert!(
        found
            .text("postgres.tenant", "fault")
            .contains("other.eu.auth0.com")
    );
}
