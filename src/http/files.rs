//! The limit of open files of the process, and the share of it for connections.
//!
//! Owns the shares. Must never let clients take the files that Postgres, NATS and Auth0 need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::{info, warn};

/// Most connections of the public listener: the messages that all deliveries together may have in flight stay below the limit
/// of the bus.
const MOST_PUBLIC: u64 = 1_024;
/// Most connections of the ops listener.
const MOST_OPS: u64 = 64;
/// Limit of open files below which a warning is logged, since each share is small.
const FEW_FILES: u64 = 1_024;

/// Most connections of each listener.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// The public listener.
    pub public: usize,
    /// The ops listener.
    pub ops: usize,
}

impl Connections {
    /// Raises the limit of open files as far as the system permits, and divides it.
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
            "limit of open files, and most connections of each listener"
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

/// Raises the limit of open files to the hard limit, and returns it.
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
