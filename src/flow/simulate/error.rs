//! The reasons why a simulation ends without a result.
//!
//! Owns their texts.

use std::io;
use std::path::PathBuf;

use crate::bus::BusError;
use crate::flow::kept::KeptError;
use crate::store::StoreError;

/// The reason why a simulation failed.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// Postgres failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// JetStream failed.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The stream could not be read, or the stop was requested.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The counts belong to another stream.
    #[error(
        "the stream APP_EVENTS was created again since the fold counted, so the present counts do not follow from it: start a worker, \
         and accept the loss (`rolekeeper accept-stream`)"
    )]
    OtherStream,
    /// The first messages were removed between their look-up and the first read.
    #[error("the stream was trimmed while it was read: run the command again")]
    Trimmed,
    /// The temporary file failed.
    #[error(
        "the temporary file in {} failed: {why}. It takes up to 150 bytes for each message; set TMPDIR to a folder with room for it, or \
         replay fewer days (--history)",
        folder.display()
    )]
    Spool {
        /// Where the file is.
        folder: PathBuf,
        /// The error of the system.
        why: io::Error,
    },
}
