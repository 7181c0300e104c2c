//! How many files the process may open, and how many of them connections may take.
//!
//! Owns the shares. Must never let clients take the files that Postgres, NATS and Auth0 need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{info, warn};

/// Most connections of the public listener: with what deliveries may have in flight together, they stay below what the bus
/// has in flight at once.
const MOST_PUBLIC: u64 = 1_024;
/// Most connections of the ops listener.
const MOST_OPS: u64 = 64;
/// Below that the share of each part is small.
const FEW_FILES: u64 = 1_024;

/// How many connections each listener may hold.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// The public listener.
    pub public: usize,
    /// The ops listener.
    pub ops: usize,
}

impl Connections {
    /// Raises the limit of open files as far as the system lets the process, and shares it out.
    #[must_use]
    pub fn share_out() -> Self {
        let files = raised();
        if files < FEW_FILES {
            warn!(
                files,
                "the limit of open files is low: raise it (`ulimit -n`, `LimitNOFILE=`) to {FEW_FILES} or more"
            );
        }
        let shares = Self::of(files);
        info!(
            files,
            public = shares.public,
            ops = shares.ops,
            "open files, and connections of each listener"
        );
        shares
    }

    fn of(files: u64) -> Self {
        let share = |part: u64, most: u64| usize::try_from((files / part).clamp(4, most)).unwrap_or(4);
        Self {
            public: share(2, MOST_PUBLIC),
            ops: share(16, MOST_OPS),
        }
    }
}

/// The limit of open files, raised to the hard limit.
fn raised() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return FEW_FILES;
    };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(why) => {
            warn!("the limit of open files stays at {soft}: {why}");
            soft
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Connections;

    #[test]
    fn clients_take_at_most_nine_sixteenths_of_the_files() {
        for files in [64, 256, 1_024, 4_096, 1 << 20] {
            let Connections { public, ops } = Connections::of(files);
            assert!((public + ops) as u64 * 16 <= files * 9, "{files}");
            assert!(public >= 4 && ops >= 4, "{files}");
        }
    }
}
