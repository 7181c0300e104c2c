//! The parts of the console: its pages, the watch of the pipe, and the releases that operators begin there.
//!
//! Owns their wiring. Must never run any of them without a token.

use crate::config::ConsoleConfig;
use crate::flow::count_history::CountReads;
use crate::flow::pipe::PipeWatch;
use crate::flow::releases::Releases;
use crate::http::console::Parts;
use rolekeeper_domain::forbidden::ForbiddenRoles;

use super::shared::Shared;

/// Share of the ops listener's connections that may wait for changes.
const WATCHERS: usize = 2;
/// One connection in so many may have another request in progress; the rest is for probes and the scrape.
const REQUESTS: usize = 4;

/// Starts what the console shows, and returns what its routes need.
pub(super) fn console(
    shared: &Shared,
    config: ConsoleConfig,
    forbidden: ForbiddenRoles,
    connections: usize,
) -> Parts {
    let lifecycle = &shared.lifecycle;
    let read = shared.store.for_console();
    let watch = PipeWatch::new(read.clone(), shared.bus.clone());
    let releases = Releases::new(shared.store.for_ops(), lifecycle.stopping());
    let parts = Parts {
        config,
        read,
        pipe: watch.subscribe(),
        releases: releases.clone(),
        counts: CountReads::new(shared.bus.clone()),
        forbidden,
        watchers: connections / WATCHERS,
        requests: (connections / REQUESTS).max(1),
    };
    lifecycle.spawn("console", watch.run(lifecycle.stopping()));
    lifecycle.spawn("releases", releases.run());
    parts
}
