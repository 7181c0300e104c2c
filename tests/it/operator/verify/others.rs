//! Other clients of NATS and Postgres that act between comparison and correction, or before both.

use super::{counts, texts, verified, world};
use crate::world::erasure::KEY;
use crate::world::{APP_EVENTS, World, text};
use rolekeeper_domain::event::partition;

/// The base of each partition as a worker makes it at the cursor.
const COPY: &str = "INSERT INTO playlist_base_counts
        SELECT partition, playlist_id, plays, deleted, owner_id, saved_again_ns, changed_ns FROM playlists
        ON CONFLICT (partition, playlist_id) DO UPDATE SET plays = excluded.plays;
    UPDATE playlist_bases b SET last_seq = c.last_seq, last_stored_ns = c.last_stored_ns, made_at = clock_timestamp()
    FROM stream_cursors c WHERE c.stream = 'APP_EVENTS'";
const PLAYS: &str = "SELECT plays FROM playlists WHERE playlist_id = 'pl_ann'";

/// Forty plays of ann's and ten of bob's after the bases.
async fn played(world: &World) {
    world.based().await;
    world.played("ann", 40).await;
    world.played("bob", 10).await;
    world.settled().await;
}

#[tokio::test]
async fn messages_that_vanished_inside_the_stream_end_no_count() {
    let world = world().start().await;
    played(&world).await;
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let plays = format!("plays.{}", partition("pl_ann"));
    stream.purge().filter(plays).await.expect("a purge");
    let (result, code) = verified(&world, &["--counts"]).await;
    assert_eq!(code, Some(1), "{result}");
    let why = texts(&result["counts"]["not_checked"], "why");
    assert_eq!(why.len(), 64);
    assert!(why[0].starts_with("the stream lacks 40 messages"), "{why:?}");
    let rebuilt = world.command(&["rebuild", "--why", "a test"]).await;
    assert_eq!(rebuilt.status.code(), Some(1), "{}", text(&rebuilt));
    assert_eq!(world.number(PLAYS).await, Some(40));
}

/// As after a hold that ended while the run was stopped.
#[tokio::test]
async fn a_base_made_meanwhile_keeps_no_wrong_count() {
    let world = world().nats_proxy().start().await;
    played(&world).await;
    world.run_sql("UPDATE playlists SET plays = plays + 1000").await;
    world.nats_proxy().hold(b"CONSUMER.CREATE.APP_EVENTS");
    let of_ann = partition("pl_ann").to_string();
    let mut run = world.begin_command(&["rebuild", "--why", "a test", "--partition", &of_ann]);
    let held = async || world.nats_proxy().held() > 0;
    world.eventually("a request is held", held).await;
    world.run_sql(COPY).await;
    world.nats_proxy().let_go();
    run.ended().await;
    assert_eq!(world.number(PLAYS).await, Some(40));
    world.based().await;
    assert_eq!(world.number(PLAYS).await, Some(40));
}

#[tokio::test]
async fn no_base_is_made_while_counts_are_corrected() {
    let world = world().start().await;
    world.based().await;
    let hold =
        "INSERT INTO rebuild (run, holds_until) VALUES (gen_random_uuid(), now() + interval '1 minute')";
    world.run_sql(hold).await;
    world.run_sql("DELETE FROM playlist_bases").await;
    world.played("ann", 40).await;
    world.folded().await;
    assert_eq!(world.number("SELECT count(*) FROM playlist_bases").await, Some(0));
    world.run_sql("DELETE FROM rebuild").await;
    world.based().await;
    world.settled().await;
}

#[tokio::test]
async fn a_row_with_a_wrong_partition_counts_once() {
    let world = world().start().await;
    played(&world).await;
    for (step, more) in [(1, 0), (63, 0), (1, 500), (63, 500)] {
        let stray = "UPDATE playlists SET partition = (partition + $1) % 64, plays = plays + $2";
        let stray = sqlx::query(stray).bind(step).bind(more);
        stray.execute(&world.db).await.expect("Postgres");
        world.told(&["rebuild", "--why", "a test"]).await;
        assert_eq!(world.number(PLAYS).await, Some(40));
        assert_eq!(counts(&world).await["differing"], 0);
    }
}

#[tokio::test]
async fn a_partition_that_does_not_settle_stops_no_other() {
    let world = world().start().await;
    played(&world).await;
    world.run_sql("UPDATE playlists SET plays = plays + 1000").await;
    let keep = "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.plays := OLD.plays; RETURN NEW; END $$;
        CREATE TRIGGER keep BEFORE UPDATE ON playlists FOR EACH ROW WHEN (OLD.playlist_id = 'pl_ann') EXECUTE FUNCTION keep()";
    world.run_sql(keep).await;
    let rebuilt = world.command(&["rebuild", "--why", "a test"]).await;
    let said = text(&rebuilt);
    assert_eq!(rebuilt.status.code(), Some(1), "{said}");
    assert!(said.contains("it still differs after 10 corrections"), "{said}");
    let of_bob = "SELECT plays FROM playlists WHERE playlist_id = 'pl_bob'";
    assert_eq!(world.number(of_bob).await, Some(10));
    world.run_sql("DROP TRIGGER keep ON playlists").await;
    world.told(&["rebuild", "--why", "a test"]).await;
    assert_eq!(world.number(PLAYS).await, Some(40));
}

/// The erasure found another owner, so the base stayed.
#[tokio::test]
async fn an_erased_owner_does_not_return() {
    let world = world().env("ERASURE_KEY", KEY).start().await;
    played(&world).await;
    let by_hand = "UPDATE playlists SET owner_id = 'auth0|bob' WHERE playlist_id = 'pl_ann'";
    world.run_sql(by_hand).await;
    world.told(&["erase", "--force", "auth0|ann"]).await;
    world.command(&["rebuild", "--why", "a test"]).await;
    let left = "SELECT count(*) FROM playlists WHERE playlist_id = 'pl_ann' AND deleted AND owner_id IS NULL AND plays = 0";
    assert_eq!(world.number(left).await, Some(1));
    let named = "SELECT count(*) FROM users WHERE user_id = 'auth0|ann'";
    assert_eq!(world.number(named).await, Some(0));
}
