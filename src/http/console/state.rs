//! The parts of the console that its handlers share.
//!
//! Owns the list of them. Must never hold a connection that can write, except for the acts.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::access::Access;
use crate::config::ConsoleConfig;
use crate::flow::count_history::CountReads;
use crate::flow::releases::Releases;
use crate::store::Store;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::view::pipe::Pipe;

/// Dependencies of the console.
#[derive(Debug)]
pub struct Parts {
    /// Its tokens.
    pub config: ConsoleConfig,
    /// For pages.
    pub read: Store,
    /// The newest reading of the pipe.
    pub pipe: watch::Receiver<Option<Arc<Pipe>>>,
    /// For acts.
    pub releases: Releases,
    /// For plots of counts.
    pub counts: CountReads,
    /// Roles that are never granted.
    pub forbidden: ForbiddenRoles,
    /// Most connections that wait for changes at once; the others serve metrics and pages.
    pub watchers: usize,
    /// Most other requests in progress at once.
    pub requests: usize,
}

/// The console. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Console {
    pub(super) access: Arc<Access>,
    pub(super) read: Store,
    /// In an `Arc`, since a clone of the receiver itself counts as a console that is open.
    pub(super) pipe: Arc<watch::Receiver<Option<Arc<Pipe>>>>,
    pub(super) releases: Releases,
    pub(super) counts: CountReads,
    pub(super) forbidden: Arc<ForbiddenRoles>,
    pub(super) watchers: Arc<Semaphore>,
    pub(super) requests: Arc<Semaphore>,
}

impl Console {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            access: Arc::new(Access::new(parts.config)),
            read: parts.read,
            pipe: Arc::new(parts.pipe),
            releases: parts.releases,
            counts: parts.counts,
            forbidden: Arc::new(parts.forbidden),
            watchers: Arc::new(Semaphore::new(parts.watchers)),
            requests: Arc::new(Semaphore::new(parts.requests)),
        }
    }
}
