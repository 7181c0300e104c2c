//! The reasons why a simulation ends without a result.
//!
//! Owns their texts.

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
    /// Messages were removed between the two passes.
    #[error("the stream was trimmed while it was read: run the command again")]
    Trimmed,
}
