//! Broken parts of Postgres.

use super::findings;
use crate::world::pooler::Pooler;
use crate::world::{World, text};

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

#[tokio::test]
async fn read_only_transactions_of_the_user_are_a_fault() {
    let world = World::builder().workers(0).least_rights().start().await;
    for (set, remedy) in [
        (
            "ALTER ROLE rolekeeper_run SET default_transaction_read_only = on",
            "ALTER ROLE rolekeeper_run RESET default_transaction_read_only",
        ),
        (
            "ALTER ROLE rolekeeper_run RESET default_transaction_read_only; ALTER ROLE rolekeeper_run SET session_replication_role = replica",
            "ALTER ROLE rolekeeper_run RESET session_replication_role",
        ),
    ] {
        world.run_sql(set).await;
        let found = findings(&world, &[]).await;
        let said = found.text("postgres.writes", "fault");
        assert!(said.ends_with(remedy), "{said}");
        assert_eq!(
            (found.with("fault"), found.code),
            (vec!["postgres.writes"], Some(2))
        );
    }
}

#[tokio::test]
async fn triggers_that_do_not_run_are_a_fault() {
    let world = World::builder().workers(0).start().await;
    world
        .run_sql(
            "ALTER TABLE role_changes DISABLE TRIGGER role_changes_stay; DROP TRIGGER pins_counted ON pins",
        )
        .await;
    let found = findings(&world, &[]).await;
    let said = found.text("postgres.triggers", "fault");
    for part in [
        "role_changes_stay on role_changes is disabled",
        "ALTER TABLE role_changes ENABLE TRIGGER role_changes_stay",
        "pins_counted is missing",
        "CREATE TRIGGER pins_counted AFTER INSERT OR UPDATE OR DELETE ON pins FOR EACH ROW EXECUTE FUNCTION count_pins()",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(found.with("fault"), ["postgres.triggers"]);
}

#[tokio::test]
async fn what_no_migration_made_is_a_warning() {
    let world = World::builder().workers(0).start().await;
    world
        .run_sql(
            "CREATE FUNCTION \"Theirs\"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER theirs BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION \"Theirs\"()",
        )
        .await;
    let found = findings(&world, &[]).await;
    let said = found.text("postgres.foreign", "warning");
    for part in [
        "trigger theirs on users",
        "DROP TRIGGER theirs ON users",
        "DROP ROUTINE \"Theirs\"()",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(found.with("fault"), [""; 0], "{:?}", found.texts);
}

#[tokio::test]
async fn a_certificate_file_that_cannot_be_read_is_named() {
    let world = World::builder().workers(0).start().await;
    let url = world.setting("DATABASE_URL");
    for (more, named) in [
        (
            "sslmode=verify-full&sslrootcert=/no/ca.pem",
            "sslrootcert=/no/ca.pem: No such file",
        ),
        (
            "sslmode=verify-ca&ssl-ca=%2Fproc",
            "sslrootcert=/proc: Is a directory",
        ),
        (
            "sslmode=require&sslcert=/no/me.pem&sslkey=/no/me.key",
            "sslcert=/no/me.pem: No such file",
        ),
    ] {
        let url = format!("{url}?{more}");
        let found = findings(&world, &[("DATABASE_URL", &url)]).await;
        let said = found.text("postgres", "fault");
        assert!(said.contains("DATABASE_URL") && said.contains(named), "{said}");
        let output = world.command_with(&["queue"], &[("DATABASE_URL", &url)]).await;
        assert!(text(&output).contains(named), "{}", text(&output));
    }
    // Without a check of the certificate the file is not read.
    let unread = format!("{url}?sslmode=prefer&sslrootcert=/no/ca.pem");
    let found = findings(&world, &[("DATABASE_URL", &unread)]).await;
    assert_eq!(found.with("fault"), [""; 0], "{:?}", found.texts);
}
