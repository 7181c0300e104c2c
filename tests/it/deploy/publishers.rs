//! The example publishers, with the permissions of an app server: they keep an event until the stream has it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::world::events::{Sent, plays, saved};
use crate::world::nats_options::file;
use crate::world::{ANN, PASSWORD, World};

/// Acknowledgements before nats-server is killed.
const BEFORE_THE_KILL: usize = 20;
const LINE_WITHIN: Duration = Duration::from_secs(40);

/// A publisher in one language.
struct Publisher {
    child: Child,
    acks: Lines<BufReader<ChildStdout>>,
}

impl Publisher {
    fn start(mut command: Command, outbox: &str, url: &str) -> Self {
        command.arg(outbox).kill_on_drop(true).stdout(Stdio::piped());
        command.envs([
            ("NATS_URL", url),
            ("NATS_USER", "app"),
            ("NATS_PASSWORD", PASSWORD),
        ]);
        let mut child = command.spawn().expect("scripts/install.sh test installs it");
        let acks = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, acks }
    }

    /// The next acknowledgement: event id, sequence, and whether it was stored before. None at the end.
    async fn ack(&mut self) -> Option<(String, u64, bool)> {
        let line = tokio::time::timeout(LINE_WITHIN, self.acks.next_line()).await;
        let line = line.expect("a line in time").expect("UTF-8")?;
        let mut words = line.splitn(3, ' ');
        let id = words.next()?.to_owned();
        let seq = words.next()?.parse().expect("a sequence");
        Some((id, seq, words.next()? == "stored before"))
    }

    async fn acks(&mut self, most: usize) -> Vec<(String, u64, bool)> {
        let mut acks = vec![];
        while acks.len() < most
            && let Some(ack) = self.ack().await
        {
            acks.push(ack);
        }
        acks
    }

    async fn ends(mut self) {
        let status = tokio::time::timeout(LINE_WITHIN, self.child.wait()).await;
        assert!(status.expect("it ends").expect("a child of ours").success());
    }
}

fn tools(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools").join(path)
}

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/publish")
        .join(path)
}

/// Node looks for packages beside the program.
fn node(folder: &TempDir) -> Command {
    let program = folder.path().join("publish.mjs");
    std::fs::copy(example("publish.mjs"), &program).expect("a copy");
    let modules = tools("checks/node/node_modules");
    std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).expect("a link");
    let mut command = Command::new("node");
    command.arg(program);
    command
}

fn python(_folder: &TempDir) -> Command {
    let mut command = Command::new(tools("checks/python/bin/python"));
    command.arg(example("publish.py"));
    command
}

/// Debian's package of the client is for builds without modules.
fn go(folder: &TempDir) -> Command {
    let program = folder.path().join("publish");
    let mut build = std::process::Command::new("go");
    build
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(example("publish.go"));
    build.envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode")]);
    build.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"));
    let built = build.status().expect("scripts/install.sh test installs it");
    assert!(built.success());
    Command::new(program)
}

/// Cargo builds examples with all tests, and not with the integration tests alone.
fn rust(_folder: &TempDir) -> Command {
    let this = std::env::current_exe().expect("this test");
    let built = this
        .ancestors()
        .nth(2)
        .expect("a folder of the build")
        .join("examples/publish");
    assert!(built.is_file(), "run `cargo build --example publish` first");
    Command::new(built)
}

/// The events of a user who earns the role.
fn events(user: &str, playlist: &str) -> Vec<Sent> {
    let save = saved(&format!("s-{playlist}"), playlist, user);
    [vec![save], plays(&format!("p-{playlist}"), playlist, 0..100)].concat()
}

/// Publishes an outbox while nats-server is killed and started again, then once more as a whole.
async fn publishes(command: fn(&TempDir) -> Command) {
    let world = World::builder().least_rights().start().await;
    world.seed_user(ANN, &[]);
    let (folder, sent) = (tempfile::tempdir().expect("a folder"), events(ANN, "pl_1"));
    let lines: Vec<_> = sent
        .iter()
        .map(|event| String::from_utf8_lossy(&event.payload))
        .collect();
    let outbox = file(&folder, "outbox.ndjson", &lines.join("\n"));
    let url = world.nats.lock().await.url();
    let mut publisher = Publisher::start(command(&folder), &outbox, &url);
    let mut acks = publisher.acks(BEFORE_THE_KILL).await;
    let mut nats = world.nats.lock().await;
    nats.kill().await.expect("nats-server ends");
    nats.start_again().await.expect("nats-server starts");
    drop(nats);
    acks.extend(publisher.acks(usize::MAX).await);
    publisher.ends().await;
    let ids: Vec<_> = acks.iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, sent.iter().map(|event| &event.id).collect::<Vec<_>>());
    for ((_, seq, _), event) in acks.iter().zip(&sent) {
        world.oracle().stored(*seq, event.clone());
    }
    let own = tempfile::tempdir().expect("a folder");
    let mut again = Publisher::start(command(&own), &outbox, &url);
    let repeats = again.acks(usize::MAX).await;
    assert!(repeats.len() == sent.len() && repeats.iter().all(|(.., before)| *before));
    world.settled().await;
    assert_eq!(world.patches(), 1);
}

#[tokio::test]
async fn the_node_publisher_keeps_an_event_until_it_is_stored() {
    publishes(node).await;
}

#[tokio::test]
async fn the_python_publisher_keeps_an_event_until_it_is_stored() {
    publishes(python).await;
}

#[tokio::test]
async fn the_go_publisher_keeps_an_event_until_it_is_stored() {
    publishes(go).await;
}

#[tokio::test]
async fn the_rust_publisher_keeps_an_event_until_it_is_stored() {
    publishes(rust).await;
}
