//! The replicas of a stream, and whether they are in sync.
//!
//! Owns their reading. Must never change a stream.

use super::streams::parsed;
use super::{Bus, BusError};

/// The replicas of a stream.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// Number of copies of each message.
    pub number: usize,
    /// Whether the server is a part of a cluster.
    pub in_cluster: bool,
    /// Names of the servers whose copy is offline or behind.
    pub behind: Vec<String>,
}

impl Bus {
    /// Returns the replicas of a stream.
    ///
    /// # Errors
    /// The stream does not exist, or JetStream does not respond.
    pub async fn replicas(&self, stream: &str) -> Result<Replicas, BusError> {
        let info = self.info_if_there(stream).await?;
        let info = parsed(&info.ok_or_else(|| BusError::NoStream(stream.to_owned()))?)?;
        let cluster = info.cluster;
        let replicas = cluster.iter().flat_map(|cluster| &cluster.replicas);
        Ok(Replicas {
            number: info.config.num_replicas,
            in_cluster: cluster.as_ref().is_some_and(|cluster| cluster.name.is_some()),
            behind: replicas
                .filter(|peer| peer.offline || !peer.current)
                .map(|peer| peer.name.clone())
                .collect(),
        })
    }
}
