//! The version of the connected nats-server.
//!
//! Owns the minimum version. Must never judge a server that has not sent its version: a server that is not connected is
//! unknown, not too old.

use std::time::Duration;

use super::{Bus, BusError};

/// First version (major, minor) whose streams have a subject transform; older servers accept the setting and ignore it.
const OLDEST: (u64, u64) = (2, 10);
/// How often the worker checks for a connection while there is none.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Bus {
    /// Waits until a server is connected, without limit, and checks its version.
    ///
    /// # Errors
    /// The server is older than 2.10.
    pub async fn wait_for_supported_server(&self) -> Result<(), BusError> {
        while !self.is_connected() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.check_server()
    }

    /// Returns the version of the server that is connected, or was connected last.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// Checks the version of the server that is connected, or was connected last.
    ///
    /// # Errors
    /// The server is older than 2.10.
    pub fn check_server(&self) -> Result<(), BusError> {
        let version = self.server_version();
        if is_too_old(&version) {
            return Err(BusError::OldServer(version));
        }
        Ok(())
    }
}

/// Returns whether a version is too old. A version that cannot be parsed, such as a development build's, counts as new.
fn is_too_old(version: &str) -> bool {
    let mut parts = version.split('.').map(str::parse::<u64>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_2_10_are_too_old() {
        for old in ["2.9.10", "2.9.25", "1.4.1", "0.9.4", "2.2.0-beta.1"] {
            assert!(is_too_old(old), "{old}");
        }
        for new in ["2.10.0", "2.10.26", "2.15.1", "2.11.0-RC.1", "3.0.0", "", "dev"] {
            assert!(!is_too_old(new), "{new}");
        }
    }
}
