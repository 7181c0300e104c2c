//! A rules file that changes while the worker runs.
//!
//! F23: a rule changes from 100 to 150 while the worker runs; a role leaves the rules file; a bad file: `plan` shows it, the brake holds a
//! mass of revokes, a bad file is refused and the rules in force stay.

use crate::world::World;
use crate::world::rules::{RulesFile, rule};

const REFUSED: &str = "rolekeeper_rules_refused";

#[tokio::test]
async fn f23_a_changed_file_is_taken_over_and_a_bad_one_refused() {
    let file = RulesFile::new(&rule("playlist_editor", 1, 1, ""));
    let world = World::builder()
        .env("RULES_FILE", file.path().display())
        .start()
        .await;
    let (both, two) = (["ann", "bob"], "two plays are not enough any more");
    world.played("ann", 2).await;
    world.played("bob", 3).await;
    world
        .holders_are("both are granted at one play", &both, &both)
        .await;

    file.write_as_is("[[rule]]\ngrant_at = \"many\"");
    world
        .eventually("the bad file is refused", async || {
            world.worker().count(REFUSED).await == Some(1)
        })
        .await;
    world.quiet().await;
    world.holders_are("the old rule stays", &both, &both).await;

    file.write(&rule("playlist_editor", 3, 3, ""));
    world.holders_are(two, &both, &["bob"]).await;
    world
        .eventually("the file is accepted", async || {
            world.worker().count(REFUSED).await == Some(0)
        })
        .await;
}
