//! Temporary folders that are removed, with the processes started in them, when their owner ends.
//!
//! Every owner (this process) has one home folder and one watcher: a `sh` in a separate process group that waits for the end
//! of a pipe that only the owner holds. However the owner ends, the pipe closes, and the watcher ends the remaining processes
//! and removes the home folder. Must never signal a process that only reused the pid of one of ours: a pid counts only
//! together with the start time noted beside it.

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

/// Shell function that ends the processes of a folder and removes it; the watcher and drop use it.
///
/// A note `<name>.pid` contains `<pid> <start time> <signal>`. The process gets that signal, and SIGKILL after ten seconds.
/// A killed Postgres leaves the System V segment that guards its data folder; line 7 of `postmaster.pid` names it. `rm` is
/// repeated because children of a killed process may still write.
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

/// Script of the watcher: waits for the end of the pipe, forbids new starts, ends the running processes, exits.
const WATCH: &str = r#"
trap '' HUP INT TERM
while read -r _; do :; done
: >"$1/closing"
for folder in "$1"/*/; do [ -d "$folder" ] && clean "${folder%/}" & done
wait
clean "$1"
"#;

/// Script as which each process starts: it notes its pid before it becomes `$@`, so that the watcher can always find it. It
/// exits if the watcher is already cleaning up.
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
    /// Holds the writing end of the watcher's pipe. It is never waited for: it ends after this process.
    _watcher: Child,
}

impl Home {
    fn open() -> anyhow::Result<Self> {
        let path = tempfile::Builder::new().prefix("rolekeeper-").tempdir()?.keep();
        // Other users may enter the folder, but not list it: a server that runs as another user must reach its own folder.
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

/// A temporary folder and the processes in it. On drop, the processes are ended and the folder is removed.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    closing: PathBuf,
}

impl Folder {
    /// Creates a folder whose name starts with `name`, in the owner's home folder.
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

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the owner of the folder itself, without its content, to another user.
    pub fn give_to(&self, user: Uid, group: Gid) -> anyhow::Result<()> {
        chown(&self.path, Some(user.as_raw()), Some(group.as_raw())).context("cannot hand over a folder")
    }

    /// Returns a command that runs `program` here, in a separate process group (so that Ctrl-C at a terminal reaches only the
    /// owner). `name` distinguishes the folder's processes; `last_signal` (`TERM`, `QUIT`, `KILL`) is the signal that ends it
    /// when the folder is removed. The caller adds arguments and passes it to [`spawn`].
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
        // A failure cannot be reported from here; the watcher retries when the owner ends.
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
