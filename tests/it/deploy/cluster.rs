//! Three nats-servers with `deploy/nats/cluster.conf` and the passwords of `deploy/compose/secrets.sh`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rolekeeper_sandbox::servers::folder::{self, Folder};
use rolekeeper_sandbox::servers::{Process, free_port};
use tempfile::TempDir;

use crate::world::deployed;
use crate::world::nats_options::{migrate, works};
use crate::world::{APP_EVENTS, World};

/// Longest time to an election, on a busy machine too.
const ELECTED_WITHIN: Duration = Duration::from_mins(1);

/// The variables of the servers' environment.
async fn passwords() -> Vec<(String, String)> {
    let secrets = TempDir::new().expect("a folder");
    let mut command = tokio::process::Command::new(deployed("compose/secrets.sh"));
    command
        .env("SECRETS_DIR", secrets.path())
        .env("AUTH0_CLIENT_SECRET", "secret");
    let made = command.output().await.expect("it runs");
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read_to_string(secrets.path().join("nats_env")).expect("a file of passwords");
    let lines = text.lines().map(|line| line.split_once('=').expect("a variable"));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect()
}

/// Started servers, and the ports of their clients.
struct Cluster {
    servers: Vec<Process>,
    ports: Vec<u16>,
    _folder: Folder,
}

impl Cluster {
    fn start(passwords: &[(String, String)]) -> Self {
        let folder = Folder::new("cluster").expect("a folder");
        let [ports, routes] = [(); 2].map(|()| [(); 3].map(|()| free_port().expect("a free port")));
        let mut servers = vec![];
        for n in 0..3 {
            let binary = std::env::var("NATS_SERVER_BIN").expect("the checks set it");
            let mut command = folder.command(&format!("nats-{n}"), Path::new(&binary), "KILL");
            command.arg("--config").arg(deployed("nats/cluster.conf"));
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .env("NATS_HOST", "127.0.0.1");
            command.env("NATS_SERVER_NAME", format!("nats-{n}"));
            command.env("NATS_STORE_DIR", folder.path().join(format!("store-{n}")));
            command.env("NATS_PORT", ports[n].to_string());
            command.env("NATS_CLUSTER_PORT", routes[n].to_string());
            for (name, value) in passwords {
                let to = |value: String, n: usize| {
                    value.replace(
                        &format!("nats-{}:6222", n + 1),
                        &format!("127.0.0.1:{}", routes[n]),
                    )
                };
                command.env(name, (0..3).fold(value.clone(), to));
            }
            servers.push(folder::spawn(command).expect("sh starts"));
        }
        Self {
            servers,
            ports: ports.into(),
            _folder: folder,
        }
    }

    fn url(&self, user: &str) -> String {
        let urls = self
            .ports
            .iter()
            .map(|port| format!("nats://{user}127.0.0.1:{port}"));
        urls.collect::<Vec<_>>().join(",")
    }
}

#[tokio::test]
async fn a_cluster_of_three_keeps_working_without_one() {
    let world = World::builder().workers(0).start().await;
    let passwords = passwords().await;
    let password = passwords.iter().find(|(name, _)| name == "NATS_MIGRATE_PASSWORD");
    let (user, password) = ("rolekeeper_migrate", &password.expect("a password").1);
    let mut cluster = Cluster::start(&passwords);
    let url = cluster.url(&format!("{user}:{password}@"));
    let env = [("NATS_URL", url.as_str()), ("STREAM_REPLICAS", "3")];
    let formed = async || migrate(&world, &env).await.0;
    let leader = "the cluster has a leader";
    world.eventually_within(ELECTED_WITHIN, leader, formed).await;
    let login = async_nats::ConnectOptions::with_user_and_password(user.into(), password.clone());
    let servers = cluster.url("");
    let client = login
        .connect(servers.split(',').collect::<Vec<_>>())
        .await
        .expect("a server");
    let stream = async_nats::jetstream::new(client)
        .get_stream(APP_EVENTS)
        .await
        .expect("the stream");
    assert_eq!(stream.cached_info().config.num_replicas, 3);
    cluster.servers[2]
        .signal(nix::sys::signal::Signal::SIGKILL)
        .expect("a child of ours");
    // The killed server may have led: until the others have elected another one, nothing responds.
    world.eventually_within(ELECTED_WITHIN, leader, formed).await;
    works(&world, &env).await;
}
