//! Rules of a later release, and the writes of a worker of the release before.
//!
//! F51: workers with older, newer, no and broken rules files come and go, also during a rolling change of versions: always a worker
//! active under the rules in force; never an older file over a newer one.

use crate::world::rules::{rules_file, without_workers};

#[tokio::test]
async fn f51_a_worker_that_does_not_know_the_format_stands_back() {
    let world = without_workers().await;
    let worker = world.start_worker().await;
    let newer = "UPDATE rules_in_force SET format = 9, version = 4, needs_release = '7.0.0'";
    sqlx::query(newer).execute(&world.db).await.expect("an update");
    for worker in [&worker, &world.spawn_worker_with(&[])] {
        world
            .eventually("it names the release it needs", async || {
                let ready = worker.get("/readyz").await;
                ready.is_some_and(|(status, text)| {
                    status == 503 && text.contains("start release 7.0.0 or newer")
                })
            })
            .await;
    }
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    world
        .eventually("it holds no lock", async || world.number(locks).await == Some(0))
        .await;
    // Known rules under a higher version make it active again.
    let known = rules_file(5, 6);
    let (done, said) = world.rules(&["apply", &known.path().display().to_string()]).await;
    assert!(done, "{said}");
    world.works_under(&worker, 5).await;
}

/// A worker of the release before writes past the canonical form, which it does not know.
#[tokio::test]
async fn f51_what_the_release_before_writes_does_not_stand() {
    let world = without_workers().await;
    let new = rules_file(3, 2);
    let worker = world.worker_of(&new).await;
    let past = "UPDATE rules_in_force SET fingerprint = 'f', rules = '[]'";
    sqlx::query(past).execute(&world.db).await.expect("an update");
    world.played("ann", 2).await;
    world
        .holders_are("two are enough still", &["ann"], &["ann"])
        .await;
    world.works_under(&worker, 3).await;
    // The first worker of this release converts the rules that the one before had activated.
    let before = "UPDATE rules_in_force SET canonical = NULL, put_by = NULL, version = 0, fingerprint = 'f',
                  rules = '[{\"role\": \"playlist_editor\", \"of\": \"all_playlists\", \"grant_at\": 1, \"revoke_below\": 1,
                             \"min_hold\": \"0s\", \"grace\": \"1day\", \"revoke\": \"on\", \"manual\": \"restore\"}]'";
    worker.kill9().await;
    sqlx::query(before).execute(&world.db).await.expect("an update");
    let heir = world.start_worker().await;
    world.played("bob", 1).await;
    world.holders_are("one is enough", &["bob"], &["bob"]).await;
    let written = world.rows("SELECT canonical FROM rules_in_force").await;
    let written = written[0]["canonical"].as_str().expect("a text").to_owned();
    assert!(
        written.contains("grace = \"86400s\"") && !written.contains("manual"),
        "{written}"
    );
    assert!(heir.is_active("reconcile").await);
}
