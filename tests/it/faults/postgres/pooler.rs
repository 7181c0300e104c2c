//! F60: PgBouncer in transaction mode, a NATS user with least permissions, a JetStream domain, a private CA everywhere: works as
//! documented, or is refused at the start with a sentence.

use crate::world::events::{plays, saved};
use crate::world::pooler::Pooler;
use crate::world::{World, text};

/// A world without workers, and a PgBouncer in front of its Postgres.
async fn world_behind(mode: &str) -> (World, Pooler, String) {
    let world = World::builder().workers(0).start().await;
    let port = sqlx::query_scalar("SELECT current_setting('port')::int")
        .fetch_one(&world.db)
        .await;
    let name: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&world.db)
        .await
        .expect("a name and a port of a Unix socket");
    let port: i32 = port.expect("a name and a port of a Unix socket");
    let pooler = Pooler::start(
        u16::try_from(port).expect("a name and a port of a Unix socket"),
        mode,
    )
    .await;
    let url = pooler.url(&name);
    (world, pooler, url)
}

/// Ann earns the role and loses it, and adds a song, all through the pooler.
async fn story(world: &World) {
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
}

#[tokio::test]
async fn f60_a_pooler_in_session_mode_serves_all() {
    let (world, _pooler, url) = world_behind("session").await;
    world.start_worker_with(&[("DATABASE_URL", &url)]).await;
    story(&world).await;
}

#[tokio::test]
async fn f60_a_pooler_in_transaction_mode_beside_a_direct_url() {
    let (world, _pooler, url) = world_behind("transaction").await;
    let direct = world.setting("DATABASE_URL");
    let through = [("DATABASE_URL", url.as_str()), ("DATABASE_DIRECT_URL", &direct)];
    world.start_worker_with(&through).await;
    world.start_worker_with(&through).await;
    story(&world).await;
    for command in [
        &["parked"][..],
        &["brake"],
        &["pause"],
        &["resume"],
        &["adopt", "--role", "playlist_editor", "--all-known"],
    ] {
        let output = world.command_with(command, &through).await;
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    }
}

#[tokio::test]
async fn f60_a_pooler_without_a_direct_url_is_refused() {
    let (world, _pooler, url) = world_behind("transaction").await;
    let through = [("DATABASE_URL", url.as_str())];
    for command in [
        &["serve"][..],
        &["parked"],
        &["migrate"],
        &["export", "auth0|ann"],
    ] {
        let output = world.command_with(command, &through).await;
        assert!(!output.status.success(), "{command:?}");
        assert!(
            text(&output).contains("DATABASE_DIRECT_URL"),
            "{command:?}: {}",
            text(&output)
        );
    }
}

#[tokio::test]
async fn a_command_that_only_reads_needs_no_direct_url() {
    let (world, _pooler, url) = world_behind("transaction").await;
    world.start_worker().await;
    story(&world).await;
    for _ in 0..2 {
        let output = world
            .command_with(&["explain", "auth0|ann"], &[("DATABASE_URL", &url)])
            .await;
        assert!(
            output.status.success() && text(&output).contains("100 plays"),
            "{}",
            text(&output)
        );
    }
}
