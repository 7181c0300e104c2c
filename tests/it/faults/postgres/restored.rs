//! F59: Postgres restored from a backup; ROLE_CHANGES restored or made again: reported by an error in the log and a metric; roles granted
//! since the backup are adopted; each missing announcement is reported.

use std::path::PathBuf;
use std::process::Command;

use rolekeeper_sandbox::servers::{Postgres, PostgresStop};

use crate::world::events::{plays, retraction, saved};
use crate::world::oracle::ROLE;
use crate::world::{World, text};

const FORGOTTEN: &str = "rolekeeper_role_changes_forgotten";
const HELD: &str = r#"rolekeeper_work_queue_users{state="held"}"#;

fn user(n: u32) -> String {
    format!("auth0|u{n}")
}

async fn earn(world: &World, numbers: std::ops::Range<u32>) {
    for n in numbers.clone() {
        world.seed_user(&user(n), &[]);
        let list = format!("pl_{n}");
        world.publish(&[saved(&format!("s{n}"), &list, &user(n))]).await;
        world.publish(&plays(&format!("p{n}"), &list, 0..100)).await;
    }
    let told = "SELECT count(DISTINCT user_id) FROM role_changes WHERE announced_at IS NOT NULL";
    world
        .eventually("all are announced", async || {
            world.number(told).await == Some(numbers.end.into())
        })
        .await;
}

/// One retraction for each of these users' playlists.
async fn fall(world: &World, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let retraction = retraction(&format!("r{n}"), &format!("p{n}-7"), &format!("pl_{n}"));
        world.publish(&[retraction]).await;
    }
}

fn holders(world: &World, numbers: std::ops::Range<u32>) -> usize {
    let holds = |n: &u32| world.roles(&user(*n)).contains(&ROLE.to_owned());
    numbers.filter(holds).count()
}

/// Copies the files of a stopped server; returns the path of the copy.
fn copy(postgres: &Postgres) -> PathBuf {
    let to = postgres.data_dir().with_file_name("backup");
    let done = Command::new("cp")
        .arg("-a")
        .arg(postgres.data_dir())
        .arg(&to)
        .status();
    assert!(done.expect("cp runs").success());
    to
}

async fn back_up(world: &World) -> PathBuf {
    let mut postgres = world.postgres().await;
    postgres.stop(PostgresStop::Fast).await.expect("it stops");
    let backup = copy(&postgres);
    postgres.start_again().await.expect("it starts again");
    backup
}

/// Restores the copy; `meanwhile` happens while Postgres is away.
async fn restore(world: &World, backup: &PathBuf, meanwhile: impl Future<Output = ()>) {
    let mut postgres = world.postgres().await;
    postgres.stop(PostgresStop::Fast).await.expect("it stops");
    meanwhile.await;
    std::fs::remove_dir_all(postgres.data_dir()).expect("the data goes");
    std::fs::rename(backup, postgres.data_dir()).expect("the copy takes its place");
    postgres.start_again().await.expect("it starts again");
}

#[tokio::test]
async fn f59_roles_granted_since_the_backup_are_ours_again() {
    let world = World::builder().own_postgres().start().await;
    earn(&world, 0..2).await;
    let backup = back_up(&world).await;
    earn(&world, 2..12).await;
    restore(&world, &backup, fall(&world, 2..7)).await;

    let worker = world.worker();
    world
        .eventually("the metric shows it", async || {
            worker.count(FORGOTTEN).await == Some(10)
        })
        .await;
    let tells = |line: &String| line.contains("10 role changes") && line.contains("restored from a backup");
    assert!(worker.messages().iter().any(tells));
    world
        .eventually("users below the threshold lose the role", async || {
            holders(&world, 2..7) == 0
        })
        .await;
    assert_eq!((holders(&world, 0..2), holders(&world, 7..12)), (2, 5));
    assert_eq!(world.patches(), 12 + 5, "no earned role was revoked");
    assert_eq!(
        world.number("SELECT count(*) FROM forgotten_holders").await,
        Some(0)
    );

    let refused = world.command(&["resume"]).await;
    assert!(
        !refused.status.success() && text(&refused).contains("--why"),
        "{}",
        text(&refused)
    );
    assert!(
        world
            .command(&["resume", "--why", "restored"])
            .await
            .status
            .success()
    );
    world
        .eventually("the report ends", async || {
            worker.count(FORGOTTEN).await == Some(0)
        })
        .await;
}

#[tokio::test]
async fn f59_an_empty_database_takes_no_role_away_until_told() {
    let world = World::builder().own_postgres().start().await;
    let backup = back_up(&world).await;
    earn(&world, 0..2).await;
    restore(&world, &backup, fall(&world, 0..1)).await;
    let worker = world.worker();
    world
        .eventually("the revoke is held", async || worker.count(HELD).await == Some(1))
        .await;
    assert_eq!(worker.count(FORGOTTEN).await, Some(2));
    assert_eq!(holders(&world, 0..2), 2);
    worker.kill9().await;
    world.start_worker().await;
    let resumed = world.command(&["resume", "--why", "it is the right one"]).await;
    assert!(resumed.status.success(), "{}", text(&resumed));
    world
        .eventually("the role is revoked", async || holders(&world, 0..1) == 0)
        .await;
    assert_eq!(holders(&world, 1..2), 1);
}
