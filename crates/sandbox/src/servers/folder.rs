//! Temporary folders that go, with the processes started in them, when their owner goes.
//!
//! Every owner (this process) has one home folder and one watcher: a `sh` in a process group of its own
//! that waits for the end of a pipe only the owner holds. However the owner ends, the pipe closes, and the
//! watcher ends what still runs and removes the home. Must never signal a process that merely got the
//! number of one of ours: a pid counts only with the start time noted beside it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use nix::unistd::{Gid, Uid};

use super::process::Process;

/// Shell function that ends what runs in a folder and removes it; used by the watcher and by drop alike.
///
/// A note `<name>.pid` reads `<pid> <start time> <signal>`. The process gets that signal, ten seconds to
/// go, then SIGKILL. A Postgres that was killed leaves the System V segment that guards its data folder;
/// line 7 of `postmaster.pid` names it. `rm` repeats because children of a killed process may still write.
const CLEAN: &str = r#"
running() {
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    set -- "$1" "$2" ${line##*) }
    [ "$3" != Z ] && [ "${22}" = "$2" ]
}
clean() {
    for note in "$1"/*.pid; do
        [ -e "$note" ] || continue
        read -r pid start signal <"$note" || continue
        running "$pid" "$start" || continue
        kill -s "$signal" "$pid"
        tries=0
        while running "$pid" "$start" && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
        running "$pid" "$start" && kill -s KILL "$pid"
    done
    segment=$(sed -n '7s/^ *[0-9]* *//p' "$1/data/postmaster.pid")
    [ -z "$segment" ] || ipcrm -m $segment
    tries=0
    until rm -rf "$1" || [ $tries -ge 100 ]; do sleep 0.05; tries=$((tries + 1)); done
}
"#;

/// What the watcher runs: wait for the end of the pipe, forbid new starts, end what runs, go.
const WATCH: &str = r#"
trap '' HUP INT TERM
while read -r _; do :; done
: >"$1/closing"
for folder in "$1"/*/; do [ -d "$folder" ] && clean "${folder%/}" & done
wait
clean "$1"
"#;

/// What a process of ours starts as: it notes itself before it turns into `$@`, so that there is no moment
/// at which it runs and nobody could find it. It gives up if the watcher is already cleaning.
const LAUNCH: &str = r#"
read -r line <"/proc/$$/stat" || exit 1
start=$(set -- ${line##*) }; echo "${20}")
echo "$$ $start $2" >"$1" || exit 1
[ ! -e "$3" ] || exit 1
shift 3
exec "$@"
"#;

/// The owner's home folder with its watcher; lives as long as the process.
static HOME: Mutex<Option<Home>> = Mutex::new(None);

struct Home {
    path: PathBuf,
    /// Holds the writing end of the watcher's pipe. Never waited for: it ends after us.
    _watcher: Child,
}

impl Home {
    fn open() -> anyhow::Result<Self> {
        let path = tempfile::Builder::new().prefix("rolekeeper-").tempdir()?.keep();
        // Others may pass through but not look: a server that runs as another user has to reach its folder.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
        let watcher = Command::new("sh")
            .args(["-c", &format!("{CLEAN}{WATCH}"), "rolekeeper-watcher"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the watcher (sh)")?;
        Ok(Self {
            path,
            _watcher: watcher,
        })
    }
}

/// A temporary folder and whatever runs in it. Dropped, the processes are ended and the folder removed.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    closing: PathBuf,
}

impl Folder {
    /// Makes a folder whose name starts with `name`, in the owner's home.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let mut held = HOME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let home = match held.take() {
            Some(home) => home,
            None => Home::open().context("cannot make a temporary folder")?,
        };
        let home = &held.insert(home).path;
        let path = home.join(format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(Self {
            path,
            closing: home.join("closing"),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Hands the folder itself, not yet its content, to another user.
    pub fn give_to(&self, user: Uid, group: Gid) -> anyhow::Result<()> {
        chown(&self.path, Some(user.as_raw()), Some(group.as_raw())).context("cannot hand over a folder")
    }

    /// A command that runs `program` here, in a process group of its own (so that Ctrl-C at a terminal
    /// reaches the owner only). `name` tells the folder's processes apart; `last_signal` (`TERM`, `QUIT`,
    /// `KILL`) is what asks it to end when the folder goes. Add arguments, then give it to [`spawn`].
    #[must_use]
    pub fn command(&self, name: &str, program: &Path, last_signal: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "rolekeeper-launch"]);
        command
            .arg(self.path.join(format!("{name}.pid")))
            .arg(last_signal)
            .arg(&self.closing);
        command
            .arg(program)
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .process_group(0);
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let clean = format!("{CLEAN}\nclean \"$1\"");
        // Nobody to tell should it fail; the watcher tries again at the owner's end.
        let _ = Command::new("sh")
            .args(["-c", &clean, "rolekeeper-clean"])
            .arg(&self.path)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Starts a command made by [`Folder::command`].
pub fn spawn(mut command: Command) -> anyhow::Result<Process> {
    Ok(Process::new(command.spawn().context("cannot start sh")?))
}
