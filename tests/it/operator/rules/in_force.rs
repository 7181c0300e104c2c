//! F51: workers with older, newer, no and broken rules files come and go, also during a rolling change of versions: always a worker
//! active under the rules in force; never an older file over a newer one.

use crate::world::oracle::ROLE;
use crate::world::rules::{RulesFile, rule, rules_file, without_workers};

const REFUSED: &str = "rolekeeper_rules_refused";

/// Each worker is ready as soon as it starts, and uses the newest rules when it is alone.
#[tokio::test]
async fn f51_workers_of_all_files_work_under_the_newest_rules() {
    let world = without_workers().await;
    let (old, new, none, broken) = (
        rules_file(1, 5),
        rules_file(2, 2),
        rules_file(0, 9),
        rules_file(3, 1),
    );
    broken.write_as_is("[[rule");
    let first = world.worker_of(&old).await;
    world.line_in_force("its rules are in force", 5).await;
    let second = world.worker_of(&new).await;
    world.works_under(&first, 2).await;
    let mut last = second.clone();
    first.kill9().await;
    for (file, number) in [(&old, 1), (&none, 2), (&broken, 3), (&old, 4)] {
        let worker = world.worker_of(file).await;
        last.kill9().await;
        let name = format!("u{number}");
        world.played(&name, 2).await;
        world
            .holders_are("two plays are enough", &[&name], &[&name])
            .await;
        last = worker;
    }
    let worker = world.start_worker().await;
    last.kill9().await;
    world.works_under(&worker, 2).await;
    world.line_in_force("they are the newest still", 2).await;
}

#[tokio::test]
async fn f51_a_running_worker_takes_newer_rules_over_at_once() {
    let world = without_workers().await;
    let (old, new) = (rules_file(1, 1), rules_file(2, 3));
    let first = world.worker_of(&old).await;
    world.played("ann", 2).await;
    world.holders_are("one is enough", &["ann"], &["ann"]).await;
    world.worker_of(&new).await.kill9().await;
    world.works_under(&first, 2).await;
    world
        .holders_are("two are not enough any more", &["ann"], &[])
        .await;
    world
        .eventually("it is the active one", async || {
            first.is_active("fold_app_events").await && first.is_active("reconcile").await
        })
        .await;
    world.settled().await;
}

#[tokio::test]
async fn f51_other_content_under_the_same_version_is_refused_by_name() {
    let world = without_workers().await;
    let (first, second, same) = (rules_file(7, 4), rules_file(7, 5), rules_file(7, 4));
    world.worker_of(&first).await;
    let worker = world.worker_of(&second).await;
    assert_eq!(worker.count(REFUSED).await, Some(1));
    let said = worker.messages();
    assert!(
        said.iter().any(|line| line.contains("raise its version to 8")),
        "{said:?}"
    );
    assert_eq!(world.worker_of(&same).await.count(REFUSED).await, Some(0));
    second.write_as_is(&("version = 8\n".to_owned() + &rule(ROLE, 5, 5, "")));
    world.line_in_force("a higher version is put in force", 5).await;
    world.works_under(&worker, 8).await;
    assert_eq!(worker.count(REFUSED).await, Some(0));
}

/// A file without a version replaces the built-in rule, and no file without a version replaces that one.
#[tokio::test]
async fn f51_a_file_without_a_version_never_replaces_another() {
    let world = without_workers().await;
    world.start_worker().await;
    world.line_in_force("the built-in rule is", 100).await;
    let (first, second) = (rules_file(0, 4), rules_file(0, 5));
    world.worker_of(&first).await;
    world.line_in_force("the first file's is", 4).await;
    let refused = world.worker_of(&second).await;
    assert_eq!(refused.count(REFUSED).await, Some(1));
    world.start_worker().await;
    world.line_in_force("it stays", 4).await;
    second.write_as_is(&("version = 1\n".to_owned() + &rule(ROLE, 5, 5, "")));
    world.line_in_force("with a version it is put in force", 5).await;
}

/// While no rules are in force, a broken file must not make the built-in rule decide.
#[tokio::test]
async fn f51_a_first_start_waits_while_the_file_is_broken() {
    let world = without_workers().await;
    let broken = rules_file(1, 3);
    broken.write_as_is("[[rule");
    let path = broken.path().display().to_string();
    let worker = world.spawn_worker_with(&[("RULES_FILE", &path)]);
    world
        .eventually("it names the fault", async || {
            let ready = worker.get("/readyz").await;
            ready.is_some_and(|(status, text)| status == 503 && text.contains("RULES_FILE cannot be used"))
        })
        .await;
    assert_eq!(world.number("SELECT count(*) FROM rules_in_force").await, Some(0));
    broken.write_as_is(&("version = 4\n".to_owned() + &rule(ROLE, 3, 3, "")));
    world.line_in_force("the corrected file is in force", 3).await;
    world.works_under(&worker, 4).await;
}

#[tokio::test]
async fn f51_apply_says_what_changes_and_spares_older_workers() {
    let world = without_workers().await;
    world.start_worker().await;
    let (new, newer) = (rules_file(1, 50), rules_file(2, 60));
    let path = |file: &RulesFile| file.path().display().to_string();
    let (done, said) = world.rules(&["apply", &path(&new)]).await;
    assert!(
        done && said.contains("version 1 is in force, in place of 0"),
        "{said}"
    );
    assert!(
        said.contains("- playlist_editor: grant_at = 100")
            && said.contains("+ playlist_editor: grant_at = 50"),
        "{said}"
    );
    assert!(
        world
            .rules(&["apply", &path(&new)])
            .await
            .1
            .contains("nothing changed")
    );
    let older = "INSERT INTO workers (worker_id, name, release, rules_format, own_limits)
                 VALUES (gen_random_uuid(), 'old/1', '0.0.9', 0, '{}')";
    sqlx::query(older).execute(&world.db).await.expect("an insert");
    let (done, said) = world.rules(&["apply", &path(&newer)]).await;
    assert!(!done && said.contains("old/1 (release 0.0.9)"), "{said}");
    let (done, said) = world.rules(&["apply", &path(&newer), "--force"]).await;
    assert!(done, "{said}");
    let (_, shown) = world.rules(&["show"]).await;
    assert!(
        shown.contains("version = 2") && shown.contains("grant_at = 60"),
        "{shown}"
    );
    let gone = "UPDATE workers SET seen_at = now() - interval '2 days' WHERE name = 'old/1'";
    sqlx::query(gone).execute(&world.db).await.expect("an update");
    world
        .eventually("its row is removed", async || {
            world
                .number("SELECT count(*) FROM workers WHERE name = 'old/1'")
                .await
                == Some(0)
        })
        .await;
}
