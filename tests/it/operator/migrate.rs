//! The effect of `migrate` on existing streams: it corrects guards, and nothing else.

use std::time::Duration;

use async_nats::jetstream::stream::{Compression, Config, DiscardPolicy, Republish, StorageType};
use rolekeeper_sandbox::servers::NatsOptions;

use crate::world::events::{plays, saved};
use crate::world::{APP_EVENTS, World, text};

const DAY: Duration = Duration::from_hours(24);

async fn config(world: &World) -> Config {
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    stream.cached_info().config.clone()
}

/// Runs `migrate` and returns its output.
async fn migrate(world: &World, arguments: &[&str], env: &[(&str, &str)]) -> String {
    let arguments = [&["migrate"], arguments].concat();
    let output = world.command_with(&arguments, env).await;
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// An operator's edit: wider limits, and settings that `migrate` does not know.
fn widened(mut config: Config) -> Config {
    config.max_bytes = 20 << 30;
    config.max_age = 90 * DAY;
    config.duplicate_window = Duration::from_hours(1);
    config.compression = Some(Compression::S2);
    config.allow_direct = true;
    config.description = Some("edited by hand".to_owned());
    config.metadata.insert("team".to_owned(), "music".to_owned());
    config.republish = Some(Republish {
        source: ">".to_owned(),
        destination: "copy.>".to_owned(),
        headers_only: false,
    });
    config
}

/// A world whose nats-server reserves more than this machine's disk may have.
async fn with_room() -> World {
    let nats = NatsOptions {
        max_file_store: Some(1 << 40),
        ..NatsOptions::default()
    };
    World::builder().workers(0).nats(nats).start().await
}

#[tokio::test]
async fn migrate_leaves_what_an_operator_widened() {
    let world = with_room().await;
    let edited = widened(config(&world).await);
    world.jetstream.update_stream(edited).await.expect("an edit");
    let before = config(&world).await;
    let said = migrate(&world, &[], &[("APP_EVENTS_MAX_AGE_D", "30")]).await;
    assert!(
        said.contains("max_bytes stays") && said.contains("max_age stays"),
        "{said}"
    );
    assert_eq!(config(&world).await, before);

    // Without a setting the stream's own limits stay, without output.
    let unset = [("APP_EVENTS_MAX_MIB", ""), ("APP_EVENTS_MAX_AGE_D", "")];
    assert!(!migrate(&world, &[], &unset).await.contains("stays"));
    assert_eq!(config(&world).await, before);
}

#[tokio::test]
async fn migrate_widens_as_told_and_narrows_only_with_the_flag() {
    let world = World::builder().workers(0).start().await;
    let before = config(&world).await;
    let wider = [("APP_EVENTS_MAX_MIB", "512"), ("APP_EVENTS_MAX_AGE_D", "60")];
    migrate(&world, &[], &wider).await;
    let after = config(&world).await;
    assert_eq!((after.max_bytes, after.max_age), (512 << 20, 60 * DAY));
    migrate(&world, &["--narrow"], &[("APP_EVENTS_MAX_AGE_D", "30")]).await;
    assert_eq!(config(&world).await, before);
}

#[tokio::test]
async fn migrate_brings_the_guards_in_order() {
    let world = with_room().await;
    let wanted = config(&world).await;
    assert!(!wanted.deny_purge && wanted.deny_delete && wanted.storage == StorageType::File);
    let mut edited = widened(wanted.clone());
    edited.discard = DiscardPolicy::Old;
    edited.subjects = vec!["plays.*".to_owned(), "further.*".to_owned()];
    edited.max_messages_per_subject = 7;
    (edited.no_ack, edited.max_message_size, edited.allow_rollup) = (true, 700, true);
    edited.subject_transform = None;
    world
        .jetstream
        .update_stream(edited.clone())
        .await
        .expect("an edit");
    migrate(&world, &[], &[]).await;
    let after = config(&world).await;
    assert_eq!(after.discard, DiscardPolicy::New);
    assert_eq!(after.subjects, ["plays.*", "further.*", "playlists.*"]);
    assert_eq!(after.max_messages_per_subject, -1);
    assert_eq!(after.max_message_size, -1);
    assert!(!after.no_ack && !after.allow_rollup);
    assert_eq!(after.subject_transform, wanted.subject_transform);
    assert_eq!(after.republish, edited.republish);
    assert_eq!(after.max_bytes, edited.max_bytes);
}

/// The stream has no transform: nothing is folded, nothing becomes a dead letter, and the log names the command that
/// repairs it.
#[tokio::test]
async fn a_stream_without_its_transform_stops_the_fold() {
    let world = World::builder().workers(0).start().await;
    let mut plain = config(&world).await;
    plain.subject_transform = None;
    world.jetstream.update_stream(plain).await.expect("an edit");
    world.publish(&[saved("s1", "pl_1", "auth0|ann")]).await;
    world.publish(&plays("before", "pl_1", 0..50)).await;
    let worker = world.spawn_worker_with(&[]);
    let tells = async || {
        let ready = worker.get("/readyz/fold_app_events").await;
        ready.is_some_and(|(status, why)| status == 503 && why.contains("rolekeeper migrate"))
    };
    world
        .eventually("the fold names the command that repairs it", tells)
        .await;
    assert_eq!(world.number("SELECT count(*) FROM playlists").await, Some(0));
    migrate(&world, &[], &[]).await;
    // Earlier messages have the id as token, later ones the partition.
    world.publish(&plays("after", "pl_1", 0..50)).await;
    world.settled().await;
    assert_eq!(world.number("SELECT count(*) FROM dead_letters").await, Some(0));
}

/// The worker's partition of an id equals the one that nats-server puts into the subject.
#[tokio::test]
async fn partitions_are_those_of_nats_server() {
    let world = World::builder().workers(0).start().await;
    let mut ids: Vec<String> = (0..3_000).map(|n| format!("pl_{n}")).collect();
    ids.extend((0..64).map(|n| n.to_string()));
    ids.extend(
        [
            "-",
            "_",
            "Z",
            "a-b_C",
            &"x".repeat(64),
            "01JD9ZK4ABCDEFGHJKMNPQRSTV",
        ]
        .map(str::to_owned),
    );
    let mut all = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        all.extend(plays(&format!("n{n}"), id, 0..1));
    }
    world.publish(&all).await;
    let stream = world.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
    let mut seen = std::collections::BTreeSet::new();
    for (seq, id) in (1..).zip(&ids) {
        let stored = stream.get_raw_message(seq).await.expect("a message");
        let partition = rolekeeper_domain::event::partition(id);
        assert_eq!(stored.subject.as_str(), format!("plays.{partition}"), "{id}");
        seen.insert(partition);
    }
    assert_eq!(seen.len(), 64);
    world.start_worker().await;
    world.settled().await;
}
