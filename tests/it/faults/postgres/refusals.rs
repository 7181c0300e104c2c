//! A database user without a required right.

use crate::world::{World, text};

#[tokio::test]
async fn m16_a_missing_right_in_postgres_names_the_table() {
    let world = World::builder().workers(0).start().await;
    let database = world.setting("DATABASE_URL");
    let user = format!("runs_{}", database.rsplit('/').next().expect("a database"));
    for statement in [
        format!("CREATE ROLE {user} LOGIN"),
        format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}"),
        format!("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}"),
        format!("REVOKE ALL ON stream_cursors FROM {user}"),
        format!("REVOKE SELECT ON limits FROM {user}"),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&world.db)
            .await
            .expect("Postgres responds");
    }
    let url = database.replace("postgres@", &format!("{user}@"));
    let env = [("DATABASE_URL", url.as_str())];
    let output = world.command_with(&["limits"], &env).await;
    let said = text(&output);
    assert!(
        said.contains("permission denied for table limits") && said.contains("grant this right"),
        "{said}"
    );
    let granted = format!("GRANT SELECT ON limits TO {user}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(granted))
        .execute(&world.db)
        .await
        .expect("Postgres responds");
    let worker = world.spawn_worker_with(&env);
    world
        .eventually("the worker names the table", async || {
            let stages = worker.get("/readyz").await.map(|(_, stages)| stages);
            stages.is_some_and(|stages| stages.contains("permission denied for table stream_cursors"))
        })
        .await;
}
