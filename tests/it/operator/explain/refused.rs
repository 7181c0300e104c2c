//! Users and databases of which nothing can be explained: a sentence, exit code 1 and no output.

use crate::world::erasure::{ANN, erase, lived_in};
use crate::world::{World, text, user};

/// Runs the command, which must fail, and returns its error.
async fn refusal(world: &World, named: &str, env: &[(&str, &str)]) -> String {
    let output = world.command_with(&["explain", named, "--json"], env).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(output.stdout.is_empty(), "{}", text(&output));
    text(&output)
}

#[tokio::test]
async fn an_unknown_user_gets_a_sentence_with_the_way_out() {
    let world = World::start().await;
    let said = refusal(&world, "auth0|nemo", &[]).await;
    assert!(
        said.contains("auth0|nemo: unknown: no playlist, role, attempt or profile"),
        "{said}"
    );
    assert!(
        said.contains("Check the id, and put it in quotes") && said.contains("no event has been counted yet"),
        "{said}"
    );
    assert!(!said.contains("ERASURE_KEY"), "{said}");
    world.played("ann", 1).await;
    world.settled().await;
    let said = refusal(&world, "auth0|nemo", &[]).await;
    assert!(
        said.contains("events are counted up to message 2 of APP_EVENTS"),
        "{said}"
    );
}

#[tokio::test]
async fn an_id_with_odd_characters_is_itself_or_refused() {
    let world = World::start().await;
    for odd in ["", "auth0|a\nb", "auth0|\u{1b}[2J", &"x".repeat(256)] {
        let said = refusal(&world, odd, &[]).await;
        assert!(
            said.contains("expected 1 to 255 bytes without control characters"),
            "{said}"
        );
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
    let odd = r#"samlp|a "b"|'; DROP TABLE users; --é%_\"#;
    world.seed_user(odd, &["mentor"]);
    world.earn(odd, "pl_1").await;
    world.settled().await;
    let said = world.told(&["explain", odd]).await;
    assert!(
        said.starts_with(&format!("{odd} as of ")) && said.contains("has 100 plays"),
        "{said}"
    );
}

#[tokio::test]
async fn an_erased_user_is_called_erased_and_nothing_else() {
    let world = lived_in().await;
    erase(&world).await;
    let said = refusal(&world, ANN, &[]).await;
    assert!(
        said.contains("the user was erased, so no data is stored"),
        "{said}"
    );
    assert!(
        !said.contains("playlist_editor") && !said.contains("pl_ann"),
        "{said}"
    );
    let without_key = [("ERASURE_KEY", "")];
    let said = refusal(&world, ANN, &without_key).await;
    assert!(
        said.contains("unknown: ") && said.contains("set ERASURE_KEY to learn whether this one was"),
        "{said}"
    );
    let known = world.command_with(&["explain", &user("bob")], &without_key).await;
    assert!(known.status.success(), "{}", text(&known));
    let other = "f".repeat(64);
    let said = refusal(&world, ANN, &[("ERASURE_KEY", &other)]).await;
    assert!(said.contains("not the key that users were erased with"), "{said}");
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named() {
    let world = World::start().await;
    world.played("ann", 1).await;
    world.settled().await;
    let away = [("DATABASE_URL", "postgres://postgres@127.0.0.1:1/none")];
    let said = refusal(&world, &user("ann"), &away).await;
    assert!(said.contains("Postgres: ") && said.contains("refused"), "{said}");
    let empty = world.setting("DATABASE_URL").replace("/world_", "/empty_");
    world.run_sql("CREATE ROLE nobody_reads LOGIN").await;
    let unable = world
        .setting("DATABASE_URL")
        .replace("postgres@", "nobody_reads@");
    let said = refusal(&world, &user("ann"), &[("DATABASE_URL", &unable)]).await;
    assert!(
        said.contains("permission denied") && said.contains("grant this right"),
        "{said}"
    );
    let said = refusal(&world, &user("ann"), &[("DATABASE_URL", &empty)]).await;
    assert!(said.contains("does not exist"), "{said}");
    world.run_sql("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (99990101000001, 'later', true, '', 0)").await;
    let said = refusal(&world, &user("ann"), &[]).await;
    assert!(said.contains("use a newer binary"), "{said}");
    world
        .run_sql("DELETE FROM _sqlx_migrations WHERE version >= 20261129000022")
        .await;
    let said = refusal(&world, &user("ann"), &[]).await;
    assert!(said.contains("run `rolekeeper migrate`"), "{said}");
}
