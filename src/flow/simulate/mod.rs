//! Replays the kept part of `APP_EVENTS` under proposed rules.
//!
//! Owns the two passes: over the stream, and over what the first one kept of it in a file. Must never write anything else: it reads
//! Postgres in transactions that cannot write, and the stream with a consumer that ends with the pass.

mod erased;
mod error;
mod not_known;
mod pass;
mod present;
mod spool;
mod voids;

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::bus::{APP_EVENTS, Bus, From, Room};
use crate::flow::kept::{Kept, KeptError};
use crate::store::Store;
use erased::Erased;
pub use error::SimulateError;
use not_known::NotKnown;
use pass::Pass;
pub use pass::Window;
use present::Present;
use rolekeeper_domain::replay::{Place, Replay, Report};
use rolekeeper_domain::rule::Rules;
use rolekeeper_domain::tally::Step;
use spool::{Spool, Spooled};
use voids::Voids;

/// Tries after which a stream that is trimmed between two calls ends the command.
const TRIES: u32 = 3;
const DAY_NS: i64 = 86_400_000_000_000;
/// Users that are compared with the erased ones at once.
const ERASED_SLICE: usize = 1_000;
/// Events of the second pass between two looks at the stop.
const SLICE: u64 = 10_000;

/// A replay under proposed rules.
#[derive(Clone, Debug)]
pub struct Simulate<'a> {
    /// Where the counts are, for reading.
    pub store: &'a Store,
    /// Connection to the stream.
    pub bus: &'a Bus,
    /// The proposed rules.
    pub rules: &'a Rules,
    /// Days to replay; all that the stream keeps where it is none.
    pub days: Option<u32>,
    /// Ends the run.
    pub stop: CancellationToken,
}

/// The result of a simulation.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation<'r> {
    /// The replayed messages.
    pub history: Window,
    /// Users, crossings and changes.
    #[serde(flatten)]
    pub report: Report<'r>,
    /// Messages that are no event, or that the fold refused, by reason; they count nothing.
    pub dead_letters: BTreeMap<String, u64>,
    /// Facts that history does not tell, in sentences.
    pub not_known: Vec<String>,
}

impl<'r> Simulate<'r> {
    /// Runs both passes; `progress` is called with the messages that were read, and those to be read.
    ///
    /// # Errors
    /// Postgres or JetStream does not respond, the stream is not the folded one or was trimmed meanwhile, or the stop was requested.
    pub async fn run(&self, mut progress: impl FnMut(u64, u64)) -> Result<Simulation<'r>, SimulateError> {
        for _ in 0..TRIES {
            let room = self.bus.room(APP_EVENTS).await?;
            let first = self.first(&room).await?;
            match self.both(&room, first, &mut progress).await {
                Err(SimulateError::Trimmed) => {}
                done => return done,
            }
        }
        Err(SimulateError::Trimmed)
    }

    /// Runs both passes from the message with this sequence and store time on.
    async fn both(
        &self,
        room: &Room,
        first: Option<(u64, i64)>,
        progress: &mut impl FnMut(u64, u64),
    ) -> Result<Simulation<'r>, SimulateError> {
        let mut present = Present::read(self.store, room, first).await?;
        let Some((first, first_ns)) = first else {
            return Ok(self.ended(Report::default(), Pass::default(), &present));
        };
        let cursor = present.cursor.map_or(0, |cursor| cursor.last_seq.unsigned_abs());
        let extent = (first, room.state.last_seq.max(cursor));
        let all = 2 * room.state.messages.min(extent.1 + 1 - first);
        let mut voids = Voids::new(self.store, first_ns, present.all_before_at);
        let mut pass = Pass::default();
        let mut erased = Erased::new(self.store);
        let mut spool = Spool::new()?;
        let mut kept = Kept::new(self.bus, extent, self.stop.clone());
        let mut report = |read| progress(read, all);
        let looked_up = (&mut voids, &mut erased);
        let summed = sum(
            &mut kept,
            &mut present,
            looked_up,
            (&mut pass, &mut spool),
            &mut report,
        )
        .await;
        kept.close().await;
        summed?;
        if pass.window().first_seq.is_some_and(|seen| seen != first) {
            return Err(SimulateError::Trimmed);
        }
        let mut history = std::mem::take(&mut present.history);
        let doubtful: Vec<usize> = voids.doubtful().iter().map(|id| history.number(id)).collect();
        let links = std::mem::take(&mut present.links);
        let mut replay = Replay::new(self.rules, history.into_starts(), links, first_ns);
        if present.forgiven {
            replay.forgiven();
        }
        for playlist in doubtful {
            replay.doubt(playlist);
        }
        for user in erased.into_ids() {
            replay.leave_out(&user);
        }
        let read = pass.messages;
        let report = |replayed| progress(read + replayed, all);
        self.replay(spool.read()?, &mut replay, report).await?;
        let report = self.without_erased(replay.end(room.now_ns)).await?;
        Ok(self.ended(report, pass, &present))
    }

    /// The second pass: counts forward.
    async fn replay(
        &self,
        mut spooled: Spooled,
        replay: &mut Replay<'_>,
        mut progress: impl FnMut(u64),
    ) -> Result<(), SimulateError> {
        let mut replayed = 0;
        while spooled.next(|playlist, step, event| replay.take(playlist, step, event))? {
            replayed += 1;
            if replayed % SLICE == 0 {
                progress(replayed);
                tokio::task::yield_now().await;
                if self.stop.is_cancelled() {
                    return Err(KeptError::Interrupted.into());
                }
            }
        }
        Ok(())
    }

    /// The first message to replay, and when it was stored; none without one.
    async fn first(&self, room: &Room) -> Result<Option<(u64, i64)>, SimulateError> {
        let days = self.days.map(|days| i64::from(days).saturating_mul(DAY_NS));
        let from = match days {
            Some(days) => From::StoredAfter(room.now_ns.saturating_sub(days)),
            None => From::Seq(room.state.first_seq),
        };
        let waiting = self.bus.waiting(APP_EVENTS, from).await?;
        Ok(waiting.first.map(|first| (first.seq, first.stored_ns)))
    }

    /// Removes users who were erased during the run.
    async fn without_erased(&self, mut report: Report<'r>) -> Result<Report<'r>, SimulateError> {
        let mut erased = HashSet::new();
        for slice in report.users.chunks(ERASED_SLICE) {
            let ids: Vec<&str> = slice.iter().map(|user| user.user_id.as_str()).collect();
            erased.extend(self.store.erased_among(&ids).await?);
        }
        report.users.retain(|user| !erased.contains(&user.user_id));
        Ok(report)
    }

    fn ended(&self, report: Report<'r>, pass: Pass, present: &Present) -> Simulation<'r> {
        let window = pass.window();
        let not_known = NotKnown {
            window: &window,
            report: &report,
            rules: self.rules,
            cursor: present.cursor.as_ref(),
            from_start: present.from_start,
        };
        Simulation {
            not_known: not_known.sentences(),
            history: window,
            report,
            dead_letters: pass.dead,
        }
    }
}

/// The first pass: sums what the present counts include, and spools each event that counts.
async fn sum(
    kept: &mut Kept<'_>,
    present: &mut Present,
    (voids, erased): (&mut Voids<'_>, &mut Erased<'_>),
    (pass, spool): (&mut Pass, &mut Spool),
    progress: &mut impl FnMut(u64),
) -> Result<(), SimulateError> {
    let cursor = present.cursor.map_or(0, |cursor| cursor.last_seq.unsigned_abs());
    while let Some(batch) = kept.next().await? {
        let void = voids.find(&batch, &present.history).await?;
        for message in &batch {
            let Some(event) = pass.take(message, &present.dead) else {
                continue;
            };
            let Some(step) = Step::of(&event.kind) else {
                continue;
            };
            erased.note(&event);
            let (seq, stored_ns) = (message.seq, message.stored_ns);
            if void.contains(&seq) {
                continue;
            }
            let playlist = present.history.number(event.playlist.as_str());
            if seq <= cursor {
                present.history.sum(playlist, &step, stored_ns);
            }
            spool.add(playlist, &step, (event.id.as_str(), Place { seq, stored_ns }))?;
        }
        erased.find().await?;
        progress(pass.messages);
    }
    Ok(())
}
