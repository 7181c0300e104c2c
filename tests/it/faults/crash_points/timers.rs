//! The timers of a worker without traffic, and the trimming of a stream.

use std::time::Duration;

use super::attempts::settled_holder;
use super::run::{Place, kill_each};
use crate::world::events::{large, plays};
use crate::world::{APP_EVENTS, World};

#[tokio::test]
async fn kills_while_a_worker_idles() {
    let builder = World::builder()
        .env("TRIM_FLOOR", "300ms")
        .env("LOG_STREAM_SILENT_AFTER_S", 4);
    kill_each("an idle worker", builder, false, async |_, _| {}).await;
}

/// A stream of one MiB, of which folded messages are removed at once.
#[tokio::test]
async fn kills_while_a_stream_is_trimmed() {
    let builder = World::builder()
        .env("APP_EVENTS_MAX_MIB", 1)
        .env("TRIM_FLOOR", "300ms")
        .env("TRIM_MARGIN", "0s")
        .env("KEEP_FOLDED", "1s");
    kill_each("trimming", builder, false, async |place: &Place, n| {
        let world = &place.world;
        let short = Duration::from_millis(200);
        world.set_duplicate_window(APP_EVENTS, short).await;
        let name = format!("n{n}");
        world.publish(&large(&name, 0..50)).await;
        world
            .publish(&plays(&format!("{name}-small"), "pl_1", 0..50))
            .await;
    })
    .await;
}

/// A round after a change of rules, while an attempt is in flight.
#[tokio::test]
async fn kills_while_a_changed_round_meets_an_attempt() {
    kill_each(
        "a changed round",
        World::builder(),
        true,
        async |place: &Place, n| {
            let (world, name) = (&place.world, format!("u{n}"));
            settled_holder(place, &name).await;
            let claimed = "INSERT INTO work_queue (user_id, priority, lease, lease_until)
            SELECT user_id, 1, gen_random_uuid(), now() + interval '1 minute' FROM assignments;
            UPDATE walk SET changed = true, position = ''";
            world.run_sql(claimed).await;
        },
    )
    .await;
}

/// A round of comparison that another release never began.
#[tokio::test]
async fn kills_while_a_round_begins() {
    kill_each("a round", World::builder(), false, async |place: &Place, _| {
        place.world.run_sql("DELETE FROM walk").await;
        place.until(async || false).await;
    })
    .await;
}

/// A worker of another release wrote the rules past their canonical form.
#[tokio::test]
async fn kills_while_rules_are_repaired() {
    kill_each(
        "repaired rules",
        World::builder(),
        false,
        async |place: &Place, _| {
            let past = "UPDATE rules_in_force SET fingerprint = 'f', rules = '[]'";
            place.until(async || place.world.is_quiet().await).await;
            place.world.run_sql(past).await;
        },
    )
    .await;
}

/// Ids of events are remembered for some seconds.
#[tokio::test]
async fn kills_while_ids_expire() {
    let builder = World::builder().env("DEDUP_WINDOW", "4s");
    kill_each("remembered ids", builder, false, async |place: &Place, n| {
        let world = &place.world;
        for second in 0..15 {
            world
                .publish(&plays(&format!("n{n}-{second}"), "pl_1", 0..3))
                .await;
            let begun = std::time::Instant::now();
            place
                .until(async || begun.elapsed() > Duration::from_secs(1))
                .await;
        }
    })
    .await;
}

#[tokio::test]
async fn kills_while_the_gap_filler_reads() {
    let builder = World::builder()
        .env("LOG_GAP_FILLER", "on")
        .env("LOG_GAP_FILLER_DELAY_S", 1);
    kill_each("the gap filler", builder, false, async |place: &Place, n| {
        let world = &place.world;
        let user = crate::world::user(&format!("u{n}"));
        world.seed_user(&user, &["mentor"]);
        world.tenant.login(&user).expect("a login");
        place.until(async || false).await;
    })
    .await;
}

/// No base can be made any more.
const REFUSE: &str = "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'of the test'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON playlist_bases FOR EACH ROW EXECUTE FUNCTION refuse()";
/// Plays that fill a stream of one MiB to nine tenths.
const MOST: u32 = 215;

/// Bases that cannot be replaced hold messages whose room is needed.
#[tokio::test]
async fn kills_while_bases_are_given_up() {
    let builder = World::builder()
        .env("APP_EVENTS_MAX_MIB", 1)
        .env("TRIM_FLOOR", "300ms")
        .env("TRIM_MARGIN", "0s");
    kill_each("bases in the way", builder, false, async |place: &Place, n| {
        let world = &place.world;
        let short = Duration::from_millis(200);
        world.set_duplicate_window(APP_EVENTS, short).await;
        world
            .run_sql("DROP TRIGGER IF EXISTS refuse ON playlist_bases")
            .await;
        world.publish(&plays(&format!("n{n}-early"), "pl_1", 0..1)).await;
        let bases = "SELECT count(*) FROM playlist_bases WHERE last_seq > 0";
        place.until(async || world.number(bases).await == Some(64)).await;
        world.run_sql(REFUSE).await;
        for (sent, event) in (0..).zip(large(&format!("n{n}"), 0..MOST + 50)) {
            if place.reached() {
                break;
            }
            world.publish(&[event]).await;
            if sent >= MOST {
                // The worker has time to see that the room is scarce.
                place.until(async || world.is_quiet().await).await;
            }
        }
    })
    .await;
}
