//! An erasure beside many dead letters, and a playlist that is saved for an erased user.

use sqlx::{Connection as _, PgConnection};

use crate::world::erasure::{ANN, KEY};
use crate::world::events::{play, plays, saved};
use crate::world::oracle::ROLE;
use crate::world::{World, text};

const LETTERS: &str = "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, payload, size_bytes, stored_at, kept_at)
    SELECT 'APP_EVENTS', 1000000 + n, 'plays.1', 'unreadable', 'd', convert_to(repeat('x', 500), 'UTF8'), 500, now(),
        now() - n * interval '1 second' FROM generate_series(1, 40000) AS n
    UNION ALL SELECT 'APP_EVENTS', 1, 'plays.1', 'unreadable', 'd', 'auth0|6132829445244d0069782a78', 30, now(),
        now() - interval '2 days'";

/// The erasure searches dead letters before it locks rows that other sessions wait for.
#[tokio::test]
async fn an_erasure_beside_many_letters_holds_up_no_fold() {
    let world = World::builder()
        .env("ONLY", "fold")
        .env("ERASURE_KEY", KEY)
        .start()
        .await;
    let url = world.setting("DATABASE_URL");
    let mut other = PgConnection::connect(&url).await.expect("Postgres responds");
    for statement in [
        LETTERS,
        "BEGIN",
        "SELECT 1 FROM dead_letters WHERE stream_seq = 1 FOR UPDATE",
    ] {
        let done = sqlx::raw_sql(statement).execute(&mut other).await;
        done.expect("Postgres responds");
    }
    let waits = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%dead_letters%'";
    let meanwhile = async {
        world
            .eventually("it has reached the dead letter", async || {
                world.number(waits).await == Some(1)
            })
            .await;
        world.publish(&[play("p", "pl_1")]).await;
        let counted = "SELECT plays FROM playlists";
        world
            .eventually("a play is counted", async || {
                world.number(counted).await == Some(1)
            })
            .await;
        let done = sqlx::raw_sql("ROLLBACK").execute(&mut other).await;
        done.expect("Postgres responds");
    };
    let (erased, ()) = tokio::join!(world.command(&["erase", ANN]), meanwhile);
    assert!(erased.status.success(), "{}", text(&erased));
    let left = "SELECT count(*) FROM dead_letters";
    assert_eq!(world.number(left).await, Some(40_000));
}

#[tokio::test]
async fn a_playlist_saved_for_an_erased_person_is_no_one_elses() {
    let world = World::builder().env("ERASURE_KEY", KEY).start().await;
    let bob = "auth0|bob";
    world.seed_user(bob, &["mentor"]);
    world.publish(&[saved("s1", "pl_1", bob)]).await;
    world.publish(&plays("p", "pl_1", 0..100)).await;
    let holds = || world.roles(bob).contains(&ROLE.to_owned());
    world.eventually("it is granted", async || holds()).await;
    let erased = world.command(&["erase", ANN]).await;
    assert!(erased.status.success(), "{}", text(&erased));
    world.publish(&[saved("s2", "pl_1", ANN)]).await;
    world.eventually("it is revoked", async || !holds()).await;
    let of_ann = "SELECT count(*) FROM playlists WHERE owner_id LIKE '%6132829445244d0069782a78%'";
    assert_eq!(world.number(of_ann).await, Some(0));
}

#[tokio::test]
async fn a_letter_whose_header_names_the_person_goes() {
    let world = World::builder().env("ERASURE_KEY", KEY).workers(0).start().await;
    let letters = "INSERT INTO dead_letters (stream, stream_seq, subject, reason, detail, headers, payload, size_bytes, stored_at)
        SELECT 'APP_EVENTS', seq, 'plays.1', 'bad_value', 'd', 'ce-id: e' || chr(10) || source, '{}', 2, now() FROM (VALUES
            (1, 'ce-source: /users/auth0%7C6132829445244d0069782a78'), (2, 'ce-source: auth0|6132829445244d0069782a780'))
            AS letters (seq, source)";
    world.run_sql(letters).await;
    let erased = world.command(&["erase", ANN]).await;
    assert!(erased.status.success(), "{}", text(&erased));
    let left = "SELECT sum(stream_seq)::bigint FROM dead_letters";
    assert_eq!(world.number(left).await, Some(2));
}
