//! A PgBouncer between the worker and Postgres.
//!
//! Owns its process and settings. Must never listen beyond loopback.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use rolekeeper_sandbox::servers::Process;
use rolekeeper_sandbox::servers::folder::{self, Folder};

use crate::world::poll;

/// Longest time until it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// A running PgBouncer; ends with its folder.
#[derive(Debug)]
pub(crate) struct Pooler {
    process: Process,
    port: u16,
    _folder: Folder,
}

impl Pooler {
    /// Starts one in front of the Postgres at this port, with `mode` as its `pool_mode`.
    pub(crate) async fn start(postgres_port: u16, mode: &str) -> Self {
        let folder = Folder::new("pgbouncer").expect("a folder");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let config = folder.path().join("pgbouncer.ini");
        // Started by root, it requires another user to switch to.
        let user = if nix::unistd::Uid::effective().is_root() {
            "user = nobody\n"
        } else {
            ""
        };
        let lines = format!(
            "[databases]\n* = host=127.0.0.1 port={postgres_port} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n{user}\
             default_pool_size = 50\nserver_idle_timeout = 30\n"
        );
        fs::write(&config, lines).expect("its settings");
        let mut command = folder.command("pgbouncer", Path::new("/usr/sbin/pgbouncer"), "KILL");
        command.arg(&config);
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        let process = folder::spawn(command).expect("pgbouncer starts");
        let listens = async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok();
        let listening = poll(STARTS_WITHIN, listens).await;
        assert!(
            listening.is_some(),
            "{}",
            fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        );
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// The address of a database behind it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.signal(Signal::SIGKILL);
    }
}
