//! Servers and workers that tests start leave nothing behind, for any end of their owner.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::world::{World, poll};

/// The mark of the child that owns a world and gets killed.
const OWNER: &str = "ROLEKEEPER_TEST_OWNS_A_WORLD";

#[tokio::test]
async fn an_owner_that_is_killed_leaves_no_process_and_no_folder() {
    if std::env::var_os(OWNER).is_some() {
        own_a_world().await;
    }
    let this = std::env::current_exe().unwrap();
    let name = "sandbox::leftovers::an_owner_that_is_killed_leaves_no_process_and_no_folder";
    let mut owner = Command::new(this)
        .args(["--exact", name, "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let told = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.split_once("owns: ")?.1.to_owned()));
    let told = told.expect("the owner says what it owns");
    let mut words = told.split(' ');
    let home = PathBuf::from(words.next().unwrap());
    let pids: Vec<&str> = words.collect();
    let runs = |pid: &&&str| Path::new("/proc").join(pid).exists();
    assert_eq!(
        (pids.len(), pids.iter().filter(runs).count(), home.exists()),
        (3, 3, true)
    );

    owner.kill().unwrap();
    owner.wait().unwrap();
    let gone = poll(Duration::from_secs(40), async || {
        (pids.iter().filter(runs).count() == 0 && !home.exists()).then_some(())
    });
    assert!(
        gone.await.is_some(),
        "still there: {:?} {}",
        pids.iter().filter(runs),
        home.exists()
    );
}

/// Starts every server and a worker, reports it, and waits for the kill.
async fn own_a_world() {
    let world = World::builder().own_postgres().start().await;
    let (nats, postgres) = (world.nats.lock().await, world.postgres().await);
    let home = nats
        .store_dir()
        .ancestors()
        .nth(2)
        .expect("a folder in the home")
        .display()
        .to_string();
    let pids = (nats.pid().unwrap(), postgres.pid().unwrap(), world.worker().pid());
    let mut out = std::io::stdout();
    writeln!(out, "\nowns: {home} {} {} {}", pids.0, pids.1, pids.2).unwrap();
    out.flush().unwrap();
    std::future::pending::<()>().await;
}
