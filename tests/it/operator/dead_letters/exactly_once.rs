//! A requeued event counts exactly once, whatever happens to the command and beside it.

use futures_util::future::join_all;
use nix::sys::signal::Signal;

use super::{PLAYS, WAITING, corrected, letters, refuse, refusing, requeue, requeued};
use crate::world::events::{Sent, play, plays, saved};
use crate::world::oracle::ROLE;
use crate::world::{ANN, World, size, text};

const ACTS: &str = "SELECT count(*) FROM operator_acts WHERE command = 'dead-letters requeue'";

#[tokio::test]
async fn a_requeued_play_counts_once_and_the_role_follows() {
    let world = World::start().await;
    world.seed_user(ANN, &[]);
    world.publish(&plays("before", "bad", 0..97)).await;
    world.count_is("they count", PLAYS, 97).await;
    refuse(&world).await;
    letters(&world, &[saved("s", "bad", ANN)]).await;
    letters(&world, &plays("p", "bad", 0..3)).await;
    let still = requeue(&world).await;
    assert!(
        !still.status.success() && text(&still).contains("still waits: "),
        "{}",
        text(&still)
    );
    assert_eq!(world.number(WAITING).await, Some(4), "the cause stands");
    corrected(&world).await;
    for _ in 0..2 {
        requeued(&world).await;
        assert_eq!(world.number(PLAYS).await, Some(100));
    }
    let again = ["dead-letters", "requeue", "APP_EVENTS", "99", "--why", "again"];
    let again = world.told(&again).await;
    assert!(
        again.contains("was handled before (folded), nothing changed"),
        "{again}"
    );
    world.quiet().await;
    assert_eq!(world.roles(ANN), [ROLE]);
    assert_eq!(world.number(PLAYS).await, Some(100));
    assert_eq!(world.number(ACTS).await, Some(4));
}

/// Operators who race, commands that are killed and repeated, and a fold that counts plays of the same playlist meanwhile.
#[tokio::test]
async fn each_counts_once_beside_kills_other_operators_and_a_fold() {
    let world = refusing(World::builder().env("FOLD_BATCH", 7)).await;
    world.seed_user(ANN, &[]);
    world.publish(&[saved("s", "good", ANN)]).await;
    world.start_worker().await;
    let bad = size(60, 200);
    letters(&world, &plays("p", "bad", 0..bad)[..]).await;
    corrected(&world).await;
    let killed = async {
        let all = [
            "dead-letters",
            "requeue",
            "--reason",
            "refused_by_database",
            "--why",
            "killed",
        ];
        let mut command = world.begin_command(&all);
        world
            .eventually("some are folded", async || world.number(ACTS).await > Some(8))
            .await;
        command.send(Signal::SIGKILL);
        command.ended().await;
        requeue(&world).await
    };
    let others = join_all([requeue(&world), requeue(&world)]);
    let more = plays("more", "bad", 0..300);
    let publishing = world.publish(&more);
    let (last, others, ()) = tokio::join!(killed, others, publishing);
    for output in others.iter().chain([&last]) {
        assert!(output.status.success(), "{}", text(output));
    }
    world
        .count_is("each counts once", PLAYS, i64::from(bad) + 300)
        .await;
    assert_eq!(world.number(ACTS).await, Some(i64::from(bad)));
}

/// The same event under another message id, as a publisher repeats it after the stream's window.
fn copy(event: &Sent, id: &str) -> Sent {
    Sent {
        id: id.to_owned(),
        ..event.clone()
    }
}

#[tokio::test]
async fn copies_of_one_event_count_once_without_a_dedup_window() {
    let world = refusing(World::builder().least_rights()).await;
    world.start_worker().await;
    let event = play("p", "bad");
    letters(&world, &[event.clone(), copy(&event, "p-2"), copy(&event, "p-3")]).await;
    corrected(&world).await;
    let said = requeued(&world).await;
    assert!(said.contains("1 folded, 2 without an effect"), "{said}");
    assert_eq!(world.number(PLAYS).await, Some(1));
    let last = "SELECT count(*) FROM dead_letters WHERE handled = 'duplicate'";
    assert_eq!(world.number(last).await, Some(2));
}

#[tokio::test]
async fn an_event_that_was_sent_again_is_a_duplicate() {
    let world = refusing(World::builder().env("DEDUP_WINDOW", "1h")).await;
    world.start_worker().await;
    let events = plays("p", "bad", 0..3);
    letters(&world, &events).await;
    corrected(&world).await;
    world.publish(&[copy(&events[0], "again")]).await;
    world.count_is("the copy counts", PLAYS, 1).await;
    let said = requeued(&world).await;
    assert!(said.contains("2 folded, 1 without an effect"), "{said}");
    world.publish(&[copy(&events[1], "later")]).await;
    let dropped = "rolekeeper_duplicates_dropped_total";
    let worker = world.worker();
    world
        .eventually("the copy is dropped", async || {
            worker.count(dropped).await == Some(1)
        })
        .await;
    assert_eq!(world.number(PLAYS).await, Some(3));
}

/// Behind the dedup window nothing shows whether a copy has counted.
#[tokio::test]
async fn behind_the_dedup_window_the_operator_answers_for_copies() {
    let world = refusing(World::builder().env("DEDUP_WINDOW", "1h")).await;
    world.start_worker().await;
    letters(&world, &plays("p", "bad", 0..1)).await;
    corrected(&world).await;
    world
        .run_sql(
            "SELECT create_event_id_partition(extract(epoch FROM now())::bigint + 7200, extract(epoch FROM now())::bigint + 8100);
             SELECT drop_event_id_partition(partition_from) FROM event_id_partitions WHERE partition_from < extract(epoch FROM now()) + 7000",
        )
        .await;
    let unsure = requeue(&world).await;
    assert!(text(&unsure).contains("--not-counted"), "{}", text(&unsure));
    assert_eq!(world.number(PLAYS).await, None);
    let sure = [
        "dead-letters",
        "requeue",
        "APP_EVENTS",
        "1",
        "--not-counted",
        "--why",
        "the app did not",
    ];
    for _ in 0..2 {
        world.told(&sure).await;
        assert_eq!(world.number(PLAYS).await, Some(1));
    }
}

/// No partition of ids contains the time of the message.
#[tokio::test]
async fn the_id_of_a_requeued_event_is_remembered() {
    let world = refusing(World::builder().env("DEDUP_WINDOW", "1h")).await;
    world.start_worker().await;
    let event = play("p", "bad");
    letters(&world, std::slice::from_ref(&event)).await;
    corrected(&world).await;
    world
        .run_sql(
            "SELECT drop_event_id_partition(partition_from) FROM event_id_partitions;
             SELECT create_event_id_partition(extract(epoch FROM now())::bigint - 2000, extract(epoch FROM now())::bigint - 1000)",
        )
        .await;
    requeued(&world).await;
    world.publish(&[copy(&event, "later")]).await;
    let (dropped, worker) = ("rolekeeper_duplicates_dropped_total", world.worker());
    world
        .eventually("the copy is dropped", async || {
            worker.count(dropped).await == Some(1)
        })
        .await;
    assert_eq!(world.number(PLAYS).await, Some(1));
}
