//! Files that add to the counts, in any number of runs.

use super::{File, PLAYS, imported, play, plays};
use crate::world::events::{self, deleted, saved};
use crate::world::rules::{RulesFile, rule};
use crate::world::{World, user};

#[tokio::test]
async fn each_line_counts_once_in_any_number_of_runs() {
    let world = World::start().await;
    world.played("ann", 10).await;
    world.count_is("the fold has counted", PLAYS, 10).await;
    let count = "{\"playlist_id\":\"pl_ann\",\"plays\":20}\n";
    let file = File::new(&(plays("i", "pl_ann", 30) + "\n" + count));
    let (code, said) = imported(&world, &[&file.path]).await;
    assert!(
        code == Some(0) && said.contains("lines counted: 31; plays added: 50"),
        "{said}"
    );
    let copy = file.folder.path().join("copy").display().to_string();
    std::fs::copy(&file.path, &copy).expect("a copy");
    for path in [&file.path, &copy] {
        let (code, said) = imported(&world, &[path, "--release"]).await;
        assert!(
            code == Some(0) && said.contains("nothing is counted again"),
            "{said}"
        );
    }
    assert_eq!(world.number(PLAYS).await, Some(60));
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_a_line() {
    let world = World::start().await;
    for lines in [plays("i", "pl_1", 20), "playlist_id,plays\npl_1,7\n".to_owned()] {
        let (code, said) = imported(&world, &[&File::new(&format!("\u{feff}{lines}")).path]).await;
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(world.number(PLAYS).await, Some(27));
}

#[tokio::test]
async fn a_play_of_two_files_counts_once_and_a_count_twice() {
    let world = World::start().await;
    let first = File::new(&plays("i", "pl_1", 20));
    let second = File::new(&(plays("i", "pl_1", 25) + &plays("i", "pl_1", 3)));
    imported(&world, &[&first.path]).await;
    let (code, said) = imported(&world, &[&second.path]).await;
    let known = "lines counted: 5; plays added: 5; lines whose event_id had counted before: 23";
    assert!(code == Some(0) && said.contains(known), "{said}");
    for lines in [
        "\"plays\",\"playlist_id\"\r\n\"7\",\"pl_1\"\r\n",
        "playlist_id,plays\npl_1,7\n",
    ] {
        imported(&world, &[&File::new(lines).path]).await;
    }
    assert_eq!(world.number(PLAYS).await, Some(39));
}

#[tokio::test]
async fn a_play_that_the_stream_had_counts_once_with_a_dedup_window() {
    let world = World::builder().env("DEDUP_WINDOW", "1h").start().await;
    world.played("ann", 10).await;
    world.count_is("the fold has counted", PLAYS, 10).await;
    let file = File::new(&plays("ann", "pl_ann", 12));
    let (_, said) = imported(&world, &[&file.path]).await;
    assert!(
        said.contains("lines whose event_id had counted before: 10"),
        "{said}"
    );
    assert_eq!(world.number(PLAYS).await, Some(12));
}

#[tokio::test]
async fn only_the_present_life_of_a_playlist_takes_plays() {
    let world = World::start().await;
    let ann = user("ann");
    let gone = [saved("s1", "pl_gone", &ann), deleted("d1", "pl_gone")];
    let again = [
        saved("s2", "pl_ann", &ann),
        deleted("d2", "pl_ann"),
        saved("s3", "pl_ann", &ann),
    ];
    world.publish(&[&gone[..], &again].concat()).await;
    world.settled().await;
    let late = play("late", "pl_ann", "2999-01-01T00:00:00Z");
    let lines = plays("i", "pl_ann", 3) + &late + "{\"playlist_id\":\"pl_gone\",\"plays\":9}\n";
    let (_, said) = imported(&world, &[&File::new(&lines).path]).await;
    assert!(
        said.contains("lines counted: 1; plays added: 1; lines without an effect"),
        "{said}"
    );
    assert!(said.contains("life of a playlist: 4"), "{said}");
    assert_eq!(world.number(PLAYS).await, Some(1));
}

#[tokio::test]
async fn the_fold_counts_beside_an_import() {
    let world = World::start().await;
    world.played("ann", 0).await;
    world.settled().await;
    let file = File::new(&plays("i", "pl_ann", 10_000));
    let stream = events::plays("live", "pl_ann", 0..3_000);
    let import = [file.path.as_str(), "--release"];
    let (import, ()) = tokio::join!(imported(&world, &import), world.publish(&stream));
    assert_eq!(import.0, Some(0), "{}", import.1);
    world.count_is("all are counted", PLAYS, 13_000).await;
    world.holders_are("she has earned it", &["ann"], &["ann"]).await;
}

#[tokio::test]
async fn totals_of_all_playlists_include_imported_plays() {
    let rules = RulesFile::new(&rule("playlist_editor", 100, 90, "of = \"all_playlists\""));
    let path = rules.path().display().to_string();
    let world = World::builder().env("RULES_FILE", path).start().await;
    for name in ["ann", "bob"] {
        world.played(name, 40).await;
    }
    world.settled().await;
    let file = File::of_counts(&[("pl_ann", 30), ("pl_bob", 60), ("pl_none", 500)]);
    let (code, said) = imported(&world, &[&file.path, "--release"]).await;
    assert_eq!(code, Some(0), "{said}");
    world.holders_are("he has 100", &["ann", "bob"], &["bob"]).await;
    let totals = "SELECT count(*) FROM owner_totals t WHERE plays <> (SELECT sum(plays) FROM playlists WHERE owner_id = t.user_id)";
    assert_eq!(world.number(totals).await, Some(0));
}
