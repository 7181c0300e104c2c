//! Three nats-servers as one cluster, with streams of three replicas. Each way between two of them, and from workers to each of
//! them, goes through a proxy of its own.
//!
//! Owns their processes, ports and stores, and which of them can be reached. Must never kill a server of another test.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream;
use nix::sys::signal::Signal;
use rolekeeper_sandbox::servers::folder::{self, Folder};
use rolekeeper_sandbox::servers::{Process, free_port};

use super::publish::IN_FLIGHT;
use super::{APP_EVENTS, Builder, World};
use crate::world::proxy::Proxy;

/// Longest time to an election, on a busy machine too.
const ELECTED_WITHIN: Duration = Duration::from_mins(1);
/// Longest time to the end of a server.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
const SERVERS: usize = 3;

/// A server of the cluster, running or not.
struct Server {
    process: Option<Process>,
    port: u16,
    /// From workers to it.
    door: Proxy,
    /// From the other servers to it, in their order.
    ways: Vec<Proxy>,
}

/// The servers.
pub(crate) struct Cluster {
    servers: Vec<Server>,
    folder: Folder,
}

/// A world without workers, whose streams are in a new cluster.
pub(crate) async fn world(builder: Builder) -> (World, Cluster) {
    let cluster = Cluster::start().await;
    let mut world = builder.workers(0).start().await;
    for (name, value) in [("NATS_URL", cluster.url()), ("STREAM_REPLICAS", "3".to_owned())] {
        world.env.push((name.to_owned(), value));
    }
    let migrated = async || world.command(&["migrate"]).await.status.success();
    world
        .eventually_within(ELECTED_WITHIN, "the cluster has a leader", migrated)
        .await;
    world.jetstream = cluster.jetstream(&[0, 1, 2]).await;
    (world, cluster)
}

impl Cluster {
    async fn start() -> Self {
        let folder = Folder::new("cluster").expect("a folder");
        let [ports, routes] = [(); 2].map(|()| [(); SERVERS].map(|()| free_port().expect("a free port")));
        let mut servers = vec![];
        for to in 0..SERVERS {
            let mut ways = vec![];
            for _ in 0..SERVERS {
                ways.push(Proxy::start(([127, 0, 0, 1], routes[to]).into()).await);
            }
            servers.push(Server {
                process: None,
                port: ports[to],
                door: Proxy::start(([127, 0, 0, 1], ports[to]).into()).await,
                ways,
            });
        }
        let mut cluster = Self { servers, folder };
        for (n, route) in routes.into_iter().enumerate() {
            cluster.configure(n, route);
            cluster.start_again(n);
        }
        cluster
    }

    fn configure(&self, n: usize, route: u16) {
        let others = (0..SERVERS).filter(|other| *other != n);
        let to = others.map(|other| format!("\"nats://127.0.0.1:{}\"", self.servers[other].ways[n].port()));
        // A port without a listener: the servers know each other by their routes alone.
        let nowhere = free_port().expect("a free port");
        let text = format!(
            "server_name: \"n{n}\"\nlisten: \"127.0.0.1:{}\"\njetstream {{ store_dir: \"{}\" }}\n\
             cluster {{ name: \"story\", listen: \"127.0.0.1:{route}\", advertise: \"127.0.0.1:{nowhere}\", no_advertise: true, routes: [{}] }}\n",
            self.servers[n].port,
            self.store(n).display(),
            to.collect::<Vec<_>>().join(", ")
        );
        std::fs::write(self.config(n), text).expect("a temporary file");
    }

    fn config(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("config-{n}"))
    }

    /// The folder of a server's streams.
    pub(crate) fn store(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("store-{n}"))
    }

    /// Starts a server that does not run.
    pub(crate) fn start_again(&mut self, n: usize) {
        let binary = std::env::var("NATS_SERVER_BIN").expect("the checks set it");
        let mut command = self
            .folder
            .command(&format!("nats-{n}"), Path::new(&binary), "KILL");
        command.arg("--config").arg(self.config(n));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.servers[n].process = Some(folder::spawn(command).expect("sh starts"));
    }

    /// Ends a server, and waits for its end.
    pub(crate) async fn end(&mut self, n: usize, signal: Signal) {
        let mut process = self.servers[n].process.take().expect("it runs");
        process.signal(signal).expect("a child of ours");
        process.wait(ENDS_WITHIN).await.expect("it ends");
    }

    /// The address for workers: the doors of all servers.
    pub(crate) fn url(&self) -> String {
        let urls = self.servers.iter();
        let urls = urls.map(|server| format!("nats://127.0.0.1:{}", server.door.port()));
        urls.collect::<Vec<_>>().join(",")
    }

    /// A connection of the test to some servers, past any proxy.
    pub(crate) async fn jetstream(&self, to: &[usize]) -> jetstream::Context {
        let urls = to.iter();
        let urls = urls.map(|n| format!("nats://127.0.0.1:{}", self.servers[*n].port));
        let client = ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .connect(urls.collect::<Vec<_>>());
        jetstream::ContextBuilder::new()
            .timeout(Duration::from_secs(5))
            .max_ack_inflight(2 * IN_FLIGHT)
            .build(client.await.expect("a server responds"))
    }

    /// Nothing passes to the server or from it any more: connections are reset.
    pub(crate) fn cut_off(&self, n: usize) {
        for proxy in self.around(n) {
            proxy.refuse();
        }
    }

    /// The end of that.
    pub(crate) fn heal(&self, n: usize) {
        for proxy in self.around(n) {
            proxy.restore();
        }
    }

    fn around(&self, n: usize) -> impl Iterator<Item = &Proxy> {
        let own = &self.servers[n];
        let from_it = self.servers.iter().map(move |other| &other.ways[n]);
        own.ways.iter().chain([&own.door]).chain(from_it)
    }
}

impl World {
    /// Waits until APP_EVENTS has a leader, and as many other servers that have all its messages; returns the leader.
    pub(crate) async fn led(&self, followers: usize) -> usize {
        let mut leader = None;
        let led = async || {
            leader = self.leader(followers).await;
            leader.is_some()
        };
        self.eventually_within(ELECTED_WITHIN, "the stream has a leader", led)
            .await;
        leader.expect("it has one")
    }

    async fn leader(&self, followers: usize) -> Option<usize> {
        let stream = self.jetstream.get_stream(APP_EVENTS).await.ok()?;
        let cluster = stream.cached_info().cluster.clone()?;
        let current = cluster
            .replicas
            .iter()
            .filter(|replica| replica.current && !replica.offline);
        if current.count() < followers {
            return None;
        }
        cluster.leader?.strip_prefix('n')?.parse().ok()
    }
}
