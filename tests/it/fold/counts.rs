//! The effect of events on counts and roles without any fault.

use serde_json::json;

use crate::world::World;
use crate::world::events::{Sent, deleted, deleted_by, play, plays, retraction, saved};
use crate::world::other_clock::{OtherClock, ahead};

#[tokio::test]
async fn a_role_follows_the_hundredth_play_and_a_retraction() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["mentor", "beta"]);
    world.seed_user("auth0|bob", &["mentor"]);
    world
        .publish(&[saved("s1", "pl_1", "auth0|ann"), saved("s2", "pl_2", "auth0|bob")])
        .await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.publish(&plays("b", "pl_2", 0..99)).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "beta", "playlist_editor"]);
    assert_eq!(world.roles("auth0|bob"), ["mentor"]);
    assert_eq!(world.patches(), 1);

    // All events again under the same ids, and a restart: no new write.
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.worker().kill9().await;
    world.start_worker().await;
    world.settled().await;
    assert_eq!(world.patches(), 1);

    world.publish(&[retraction("r1", "a-7", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "beta"]);
    assert_eq!(world.patches(), 2);
}

/// F1: the same event 1 to 1,000 times, also across a restart: it counts once inside the dedup window.
#[tokio::test]
async fn f01_repeats_count_once_also_across_a_restart() {
    let world = World::start().await;
    let times = |n: usize| vec![play(&format!("times-{n}"), "pl_1"); n];
    let again = [times(3), times(500)].concat();
    world.publish(&[times(1), again.clone()].concat()).await;
    world.worker().kill9().await;
    world.publish(&again).await;
    world.start_worker().await;
    world.settled().await;
    assert_eq!(
        world
            .number("SELECT plays FROM playlists WHERE playlist_id = 'pl_1'")
            .await,
        Some(3)
    );
}

/// F2: another payload under the id of an event, inside the dedup window: the first payload counts; the second is
/// dropped by the bus or kept as a conflict, and never counts. Here the bus drops it.
#[tokio::test]
async fn f02_the_first_payload_of_an_id_counts() {
    let world = World::start().await;
    world.publish(&[play("one", "pl_1")]).await;
    world
        .publish(&[
            play("one", "pl_2"),
            saved("one", "pl_1", "auth0|x"),
            play("two", "pl_2"),
        ])
        .await;
    world.settled().await;
    let counts = world
        .rows("SELECT playlist_id, plays, owner_id FROM playlists ORDER BY 1")
        .await;
    assert_eq!(
        counts,
        [
            json!({"playlist_id": "pl_1", "plays": 1, "owner_id": null}),
            json!({"playlist_id": "pl_2", "plays": 1, "owner_id": null}),
        ]
    );
}

/// F20: a retraction before its play, twice, of an unknown event, below zero: as documented, and no negative count is shown.
#[tokio::test]
async fn f20_retractions_count_once_in_any_order() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    // Retractions before the play, twice under two ids, and of a play that never comes.
    let early = [("r1", "a-0"), ("r2", "a-0"), ("r3", "never"), ("r4", "a-1")];
    let early = early.map(|(id, of)| retraction(id, of, "pl_1"));
    world.publish(&early).await;
    world.settled().await;
    let plays = "SELECT plays FROM playlists WHERE playlist_id = 'pl_1'";
    assert_eq!(world.number(plays).await, Some(-3));
    world.publish(&plays_of_ann(0..102)).await;
    world.settled().await;
    assert_eq!((world.number(plays).await, world.patches()), (Some(99), 0));
    world.publish(&plays_of_ann(102..103)).await;
    world.publish(&[retraction("r5", "a-0", "pl_1")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
    let shown = world.number("SELECT min(plays) FROM role_changes").await;
    assert_eq!((world.number(plays).await, shown), (Some(100), Some(100)));
    // A playlist with more retractions than plays.
    world
        .publish(&[saved("s2", "pl_2", "auth0|ann"), retraction("r6", "x", "pl_2")])
        .await;
    world
        .publish(
            &(0..5)
                .map(|n| retraction(&format!("r7-{n}"), &format!("a-{}", 50 + n), "pl_1"))
                .collect::<Vec<_>>(),
        )
        .await;
    world.publish(&[deleted("d1", "pl_1")]).await;
    world.settled().await;
    let rows = world
        .rows("SELECT change, plays FROM role_changes ORDER BY change_id")
        .await;
    assert_eq!(rows.last(), Some(&json!({"change": "revoked", "plays": 0})));
}

fn plays_of_ann(numbers: std::ops::Range<u32>) -> Vec<Sent> {
    plays("a", "pl_1", numbers)
}

/// A user deletes a playlist that belongs to another user by the time the event is folded.
#[tokio::test]
async fn a_deletion_by_an_earlier_owner_deletes_nothing() {
    let world = World::builder().env("DEDUP_WINDOW", "1h").start().await;
    world.seed_user("auth0|bob", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("a", "pl_1", 0..100)).await;
    let crossed = [
        saved("s2", "pl_1", "auth0|bob"),
        deleted_by("d1", "pl_1", "auth0|ann"),
    ];
    world.publish(&crossed).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|bob"), ["playlist_editor"]);
    world.publish(&[deleted_by("d2", "pl_1", "auth0|bob")]).await;
    world.settled().await;
    assert!(world.roles("auth0|bob").is_empty());
}

/// F21: a playlist deleted, or moved to another owner, while its count is at the threshold: both users are right.
#[tokio::test]
async fn f21_a_playlist_at_the_line_changes_hands_and_goes() {
    let world = World::start().await;
    world.seed_user("auth0|ann", &["mentor"]);
    world.seed_user("auth0|bob", &[]);
    // Plays before the owner is known decide once the owner is known.
    world.publish(&plays("a", "pl_1", 0..100)).await;
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor", "playlist_editor"]);

    world.publish(&[saved("s2", "pl_1", "auth0|bob")]).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|ann"), ["mentor"]);
    assert_eq!(world.roles("auth0|bob"), ["playlist_editor"]);

    world.publish(&[deleted("d1", "pl_1")]).await;
    world.publish(&plays("gone", "pl_1", 0..100)).await;
    world.settled().await;
    assert!(world.roles("auth0|bob").is_empty());

    world.publish(&[saved("s3", "pl_1", "auth0|bob")]).await;
    world.publish(&plays("back", "pl_1", 0..99)).await;
    world.settled().await;
    assert!(world.roles("auth0|bob").is_empty());
    world.publish(&plays("back", "pl_1", 99..100)).await;
    world.settled().await;
    assert_eq!(world.roles("auth0|bob"), ["playlist_editor"]);
}

/// F22: a clock an hour off; events dated 1970 and 2099: counts do not depend on dates; an odd date is kept as given, or refused with a
/// reason.
#[tokio::test]
async fn f22_counts_do_not_depend_on_dates() {
    let world = World::start().await;
    let dated = [
        "1970-01-01T00:00:00Z",
        "2099-12-31T23:59:59Z",
        "2026-11-23T10:00:00.123456+14:00",
    ];
    let dated: Vec<_> = (0u32..)
        .zip(dated)
        .map(|(n, at)| play(&format!("d{n}"), "pl_1").with("played_at", at))
        .collect();
    world.publish(&dated).await;
    let odd = ["yesterday", "2026-02-30T10:00:00Z", "2026-11-23", ""];
    let odd: Vec<_> = (0u32..)
        .zip(odd)
        .map(|(n, at)| {
            play(&format!("o{n}"), "pl_1")
                .with("played_at", at)
                .poisoned("bad_value")
        })
        .collect();
    world.publish(&odd).await;
    world.settled().await;
    assert_eq!(world.number("SELECT plays FROM playlists").await, Some(3));
    let named = "SELECT count(*) FROM dead_letters WHERE detail LIKE 'played_at: %'";
    assert_eq!(world.number(named).await, Some(4));
}

/// Workers whose clocks are an hour ahead and an hour behind fold one behind another.
#[tokio::test]
async fn f22_counts_do_not_depend_on_the_clocks_of_workers() {
    let world = World::builder()
        .workers(0)
        .env("DEDUP_WINDOW", "1h")
        .start()
        .await;
    world.seed_user("auth0|ann", &[]);
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    let clock = OtherClock::new();
    for (n, seconds) in (0u32..).zip([3_600, -3_600, 3_600]) {
        let set = clock.ahead(seconds);
        let set = set.each_ref().map(|(name, value)| (*name, value.as_str()));
        let worker = world.start_worker_with(&set).await;
        // Some of them again, under ids that the worker before has folded.
        let first = n * 40 - 10 * n.min(1);
        world.publish(&plays("a", "pl_1", first..n * 40 + 40)).await;
        world.settled().await;
        let wrong = ahead(&worker) - time::Duration::seconds(seconds);
        assert!(
            wrong.abs() < time::Duration::minutes(5),
            "{wrong} beside {seconds} s"
        );
        worker.kill9().await;
    }
    world.start_worker().await;
    world.settled().await;
    assert_eq!(world.number("SELECT plays FROM playlists").await, Some(120));
    assert_eq!(world.roles("auth0|ann"), ["playlist_editor"]);
}

/// The worker remembers numbers of playlists; the database, restored from an older copy, may have given them to other
/// playlists.
#[tokio::test]
async fn counts_do_not_depend_on_remembered_numbers() {
    let world = World::start().await;
    for user in ["ann", "bob", "cid", "dan"] {
        world.seed_user(&format!("auth0|{user}"), &[]);
        world
            .publish(&[saved(&format!("s-{user}"), user, &format!("auth0|{user}"))])
            .await;
    }
    for round in 0..3 {
        for playlist in ["ann", "bob", "cid", "dan", "unknown"] {
            let name = format!("{playlist}-{round}");
            world.publish(&plays(&name, playlist, 0..30)).await;
        }
    }
    world.settled().await;
    // Deleted, unknown, new, and one (ann) with the number of another (dan).
    sqlx::raw_sql(
        "UPDATE playlists SET key = NULL WHERE playlist_id IN ('ann', 'bob', 'cid');
         UPDATE playlists SET key = 1000001 WHERE playlist_id = 'dan';
         UPDATE playlists SET key = nextval('playlist_keys') WHERE playlist_id = 'bob';
         UPDATE playlists SET key = (SELECT min(key) FROM playlists) - 1 WHERE playlist_id = 'ann'",
    )
    .execute(&world.db)
    .await
    .expect("other numbers");
    for playlist in ["ann", "bob", "cid", "dan", "unknown"] {
        world
            .publish(&plays(&format!("{playlist}-last"), playlist, 0..10))
            .await;
    }
    world.settled().await;
    let unnumbered = "SELECT count(*) FROM playlists WHERE key IS NULL";
    assert_eq!(
        world.number(unnumbered).await,
        Some(0),
        "those who lost theirs have new ones"
    );
}
