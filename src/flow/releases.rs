//! Releases and drops of held changes that operators begin in the console.
//!
//! Owns that one goes on after its request got a response, and that a stop ends it between two slices: another one then continues
//! it. Must never release changes that the operator did not see as held.

use std::time::Duration;

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::brakes::held_kind;
use crate::store::{Acted, Begun, Release, Step, Store, StoreError, Way};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::view::brakes::{Kind, UnderWay};

/// How long a request waits for the end. A release of one slice takes some hundredths of a second.
const WAIT: Duration = Duration::from_secs(2);

/// Releases and drops under way in this worker. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Releases {
    store: Store,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The result of a release or a drop.
#[derive(Debug)]
pub enum Outcome {
    /// It has ended; the number of users.
    Ended(u64),
    /// It goes on; the number of users is not known yet.
    GoesOn,
    /// Nothing was done: the brake is not engaged. The last release or drop of its changes, if one is stored.
    NotEngaged(Option<Box<Acted>>),
    /// Nothing was done: the brake was released and is engaged again since.
    EngagedAgain(OffsetDateTime),
    /// Nothing was done: another operator releases or drops these changes now.
    UnderWay(Option<UnderWay>),
}

impl Releases {
    /// None under way; the stop ends those that are.
    #[must_use]
    pub fn new(store: Store, stop: CancellationToken) -> Self {
        Self {
            store,
            tasks: TaskTracker::new(),
            stop,
        }
    }

    /// Waits for the stop, and then for the releases under way.
    ///
    /// # Errors
    /// None.
    pub async fn run(self) -> Result<(), StoreError> {
        self.stop.cancelled().await;
        self.tasks.close();
        self.tasks.wait().await;
        Ok(())
    }

    /// Releases or drops the held changes of a brake that the operator saw as engaged since `seen`.
    ///
    /// # Errors
    /// Postgres does not respond; what was done by then stays, and a repeat continues it.
    pub async fn begin(
        &self,
        kind: Kind,
        way: Way,
        seen: OffsetDateTime,
        act: Act,
    ) -> Result<Outcome, StoreError> {
        let held = held_kind(kind);
        match self.store.begin_release_seen(held, way, &act, seen).await? {
            Begun::NotEngaged => {
                let last = self.store.last_release(kind.word()).await?;
                Ok(Outcome::NotEngaged(last.map(Box::new)))
            }
            Begun::EngagedAgain(at) => Ok(Outcome::EngagedAgain(at)),
            Begun::UnderWay => Ok(Outcome::UnderWay(self.store.release_under_way(held).await?)),
            Begun::Begun(release) => {
                let task = self.tasks.spawn(self.clone().go_on(kind, *release));
                match tokio::time::timeout(WAIT, task).await {
                    Ok(Ok(users)) => users.map(|users| users.map_or(Outcome::GoesOn, Outcome::Ended)),
                    Ok(Err(_)) | Err(_) => Ok(Outcome::GoesOn),
                }
            }
        }
    }

    /// Goes on until the end; returns the number of users, or none if it was interrupted.
    async fn go_on(self, kind: Kind, mut release: Release) -> Result<Option<u64>, StoreError> {
        let (word, past) = (kind.word(), release.way.past());
        while !self.stop.is_cancelled() {
            match self.store.release_slice(&mut release).await {
                Ok(Step::More) => {}
                Ok(Step::Ended) => {
                    let users = release.users;
                    info!("console: {word}: {users} {} {past}", noun(users, "user", "users"));
                    return Ok(Some(users));
                }
                Ok(Step::TakenOver) => {
                    warn!("console: {word}: another operator has taken over");
                    return Ok(None);
                }
                Err(why) => {
                    let users = release.users;
                    warn!("console: {word}: interrupted after {users} users were {past}: {why}");
                    return Err(why);
                }
            }
        }
        Ok(None)
    }
}
