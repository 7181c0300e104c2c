//! Commands that change counts and die behind an effect, and are run again: each event and each line counts once.

use std::fmt::Write as _;

use tempfile::TempDir;

use super::run::{Place, killed};
use super::table;
use crate::world::events::{plays, retraction};
use crate::world::nats_options::file;
use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, text};

const PLAYS: &str = "SELECT sum(plays)::bigint FROM playlists";
/// Lines of an imported file: more than two transactions take.
const LINES: i64 = 4_500;

/// A worker, and Ann with a play of her playlist.
async fn place() -> (Place, TempDir) {
    let place = Place::start(World::builder(), false).await;
    place.next_worker().await;
    place.world.played("ann", 1).await;
    place.world.settled().await;
    (place, tempfile::tempdir().expect("a folder"))
}

/// A file of past plays of Ann's playlist.
fn past(folder: &TempDir, name: &str) -> String {
    let mut lines = String::new();
    for n in 0..LINES {
        let _ = writeln!(
            lines,
            "{{\"event_id\":\"{name}-{n}\",\"playlist_id\":\"pl_ann\"}}"
        );
    }
    file(folder, name, &lines)
}

/// Kills the command at the point, and runs it again; returns its exit code and output then.
async fn again(place: &Place, point: &str, command: &[&str]) -> (Option<i32>, String) {
    killed(place, point, command).await.expect("the command dies");
    let output = place.world.command(command).await;
    (output.status.code(), text(&output))
}

#[tokio::test]
async fn kills_while_a_file_is_imported() {
    let (place, folder) = place().await;
    for (n, point) in (1..).zip(table::points_of("an import")) {
        let path = past(&folder, &format!("i{n}"));
        let (code, said) = again(&place, point, &["import", &path, "--release"]).await;
        assert_eq!(code, Some(0), "{point}: {said}");
        assert_eq!(place.world.number(PLAYS).await, Some(1 + n * LINES), "{point}");
        let held = "SELECT count(*) FROM import_users";
        assert_eq!(place.world.number(held).await, Some(0), "{point}");
        let ends = "SELECT count(*) FROM operator_acts WHERE outcome LIKE 'lines counted: 4500;%'";
        assert_eq!(place.world.number(ends).await, Some(n), "{point}");
    }
    place
        .world
        .holders_are("she has earned it", &["ann"], &["ann"])
        .await;
}

#[tokio::test]
async fn a_kill_while_an_import_is_released_early() {
    let (place, folder) = place().await;
    let path = past(&folder, "i");
    let counted = "flow::fold::import::lines_counted";
    killed(&place, counted, &["import", &path])
        .await
        .expect("it dies");
    let rows = place.world.rows("SELECT source FROM imports").await;
    let id = rows[0]["source"].as_str().expect("an id").to_owned();
    for point in table::points_of("an import that is released early") {
        let (code, said) = again(&place, point, &["import", "--release", &id]).await;
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(place.world.number(PLAYS).await, Some(2_001));
    place
        .world
        .holders_are("she has earned it", &["ann"], &["ann"])
        .await;
}

#[tokio::test]
async fn a_kill_while_counts_are_forgiven_leaves_an_act() {
    let (place, _folder) = place().await;
    let world = &place.world;
    for (n, point) in (1..).zip(table::points_of("forgiven counts")) {
        world.publish(&[retraction("r-1", "other-1", "pl_debt")]).await;
        world
            .count_is("it is below 0", "SELECT min(plays) FROM playlists", -1)
            .await;
        killed(&place, point, &["forgive", "--all", "--why", "a story"])
            .await
            .expect("it dies");
        assert_eq!(world.number("SELECT min(plays) FROM playlists").await, Some(0));
        let acts = "SELECT count(*) FROM operator_acts WHERE command = 'forgive'";
        assert_eq!(world.number(acts).await, Some(n));
    }
}

#[tokio::test]
async fn kills_while_a_skipped_message_is_counted_again() {
    let (place, _folder) = place().await;
    let world = &place.world;
    world.worker().sigterm(std::time::Duration::from_secs(20)).await;
    world.publish(&plays("late", "pl_ann", 0..1)).await;
    let seq = world.number("SELECT last_seq + 1 FROM stream_cursors WHERE stream = 'APP_EVENTS'");
    let seq = seq.await.expect("a cursor").to_string();
    let why = ["--why", "a story"];
    let [skipped, requeued, discarded] = table::points_of("a skipped message")[..] else {
        panic!("three points");
    };
    let (code, said) = again(
        &place,
        skipped,
        &[&["skip", "APP_EVENTS", &seq][..], &why].concat(),
    )
    .await;
    assert!(
        code == Some(1) && said.contains("directly after the cursor"),
        "{said}"
    );
    let letters = |what| [&["dead-letters", what, "APP_EVENTS", &seq][..], &why].concat();
    let (code, said) = again(&place, discarded, &letters("discard")).await;
    assert!(code == Some(0) && said.contains("handled before"), "{said}");
    let (code, said) = again(&place, requeued, &letters("requeue")).await;
    assert!(
        code == Some(0) && said.contains("handled before (folded)"),
        "{said}"
    );
    assert_eq!(world.number(PLAYS).await, Some(2));
}

#[tokio::test]
async fn kills_while_a_file_of_events_is_sent() {
    let (place, folder) = place().await;
    let events = plays("f", "pl_ann", 0..2_500);
    let lines: Vec<String> = events
        .iter()
        .map(|event| String::from_utf8_lossy(&event.payload).into_owned())
        .collect();
    let path = file(&folder, "events", &lines.join("\n"));
    for point in table::points_of("a file of events") {
        let (code, said) = again(&place, point, &["publish", &path]).await;
        assert!(
            code == Some(0) && said.contains("2500 lines stored, 1000 of them before"),
            "{said}"
        );
    }
    place.world.count_is("each counts once", PLAYS, 2_501).await;
}

#[tokio::test]
async fn kills_while_a_plan_is_applied() {
    let (place, folder) = place().await;
    let world = &place.world;
    world.told(&["pause", "--why", "a story"]).await;
    world.publish(&plays("more", "pl_ann", 0..120)).await;
    world.count_is("they are counted", PLAYS, 121).await;
    let plan = folder.path().join("a.plan").display().to_string();
    world.command(&["plan", "-o", &plan]).await;
    for point in table::points_of("an applied plan") {
        let (code, said) = again(&place, point, &["apply", &plan, "--why", "a story"]).await;
        assert!(code == Some(0) && said.contains("users enqueued: 1"), "{said}");
    }
    world.told(&["resume"]).await;
    world.holders_are("she has earned it", &["ann"], &["ann"]).await;
    world.settled().await;
}

/// Another client of Postgres changed counts; the next run may begin as soon as the dead one's hold has ended.
#[tokio::test]
async fn kills_while_wrong_counts_are_corrected() {
    let rules = RulesFile::new(&rule(ROLE, 100, 100, "of = \"all_playlists\""));
    let builder = World::builder().env("TRIM_FLOOR", "300ms");
    let place = Place::start(builder.env("RULES_FILE", rules.path().display()), true).await;
    place.next_worker().await;
    let world = &place.world;
    let bases = "SELECT count(*) FROM playlist_bases";
    world.count_is("each partition has a base", bases, 64).await;
    world.played("ann", 120).await;
    world.settled().await;
    let wrong = [
        "UPDATE playlists SET plays = plays + 7",
        "UPDATE owner_totals SET plays = plays + 7",
    ];
    let rebuild = ["rebuild", "--why", "a story"];
    for (point, change) in table::points_of("wrong counts").into_iter().zip(wrong) {
        world.run_sql(change).await;
        killed(&place, point, &rebuild).await.expect("the command dies");
        world.run_sql("UPDATE rebuild SET holds_until = now()").await;
        world.told(&rebuild).await;
        let wrong = place.wrong().await;
        assert!(wrong.is_empty(), "{point}: {}", wrong.join("\n"));
        assert_eq!(world.number("SELECT plays FROM owner_totals").await, Some(120));
    }
}
