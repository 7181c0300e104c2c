//! The present counts, owners and links, as Postgres had them at one moment.
//!
//! Must never hold the transaction while the stream is read.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::error::SimulateError;
use crate::bus::{APP_EVENTS, Room};
use crate::store::{Cursor, Store, StoreError, history};
use rolekeeper_domain::date::of_unix_ns;
use rolekeeper_domain::replay::History;

/// Newest acts that are searched.
const ACTS: i64 = 10_000;

/// The present state.
pub(super) struct Present {
    /// The playlists.
    pub(super) history: History,
    /// Primaries of linked ids.
    pub(super) links: HashMap<String, String>,
    pub(super) cursor: Option<Cursor>,
    /// Messages that parse, but were not counted, with the reason.
    pub(super) dead: HashMap<u64, String>,
    /// Nothing was counted before the first replayed message.
    pub(super) from_start: bool,
    /// A time at which all messages before the first replayed one were counted; none where it is not known.
    pub(super) all_before_at: Option<OffsetDateTime>,
    /// Counts below 0 were set to 0 since the first message to replay, or the acts do not reach back to it.
    pub(super) forgiven: bool,
}

impl Present {
    /// Reads it. `first`: sequence and store time of the first message to replay.
    pub(super) async fn read(
        store: &Store,
        room: &Room,
        first: Option<(u64, i64)>,
    ) -> Result<Self, SimulateError> {
        let mut tx = store.begin_to_read().await?;
        let cursor = history::cursor(&mut tx, APP_EVENTS).await?;
        if cursor.is_some_and(|cursor| cursor.created_ns != room.state.created_ns) {
            return Err(SimulateError::OtherStream);
        }
        let never_set = cursor.is_none_or(|cursor| cursor.epoch == 1);
        let from_start = never_set && first.is_some_and(|(seq, _)| seq == 1);
        let mut history = History::new(from_start);
        let mut after = String::new();
        loop {
            let slice = history::playlists(&mut tx, &after).await?;
            let Some(last) = slice.last() else { break };
            after.clone_from(&last.id);
            for one in slice {
                history.know(one.id, one.playlist, one.saved_again_ns);
            }
        }
        let mut links = HashMap::new();
        after.clear();
        loop {
            let slice = history::links(&mut tx, &after).await?;
            let Some((last, _)) = slice.last() else { break };
            after.clone_from(last);
            links.extend(slice);
        }
        let dead = match first {
            Some((seq, stored_ns)) => {
                let since = of_unix_ns(stored_ns);
                history::dead_letters(&mut tx, APP_EVENTS, seq.cast_signed(), since).await?
            }
            None => HashMap::new(),
        };
        let all_before_at = match first {
            Some((1, _)) => Some(OffsetDateTime::UNIX_EPOCH),
            Some((seq, _)) => {
                let stream = (APP_EVENTS, room.state.created_ns);
                history::counted_up_to(&mut tx, stream, seq.cast_signed()).await?
            }
            None => None,
        };
        tx.commit().await.map_err(StoreError::from)?;
        let forgiven = match first {
            Some((_, stored_ns)) => forgiven(store, of_unix_ns(stored_ns)).await?,
            None => false,
        };
        Ok(Self {
            history,
            links,
            cursor,
            dead,
            from_start,
            all_before_at,
            forgiven,
        })
    }
}

/// Whether counts below 0 may have been set to 0 since then.
async fn forgiven(store: &Store, since: OffsetDateTime) -> Result<bool, StoreError> {
    let acts = store.acts(ACTS).await?;
    let is_cut =
        i64::try_from(acts.len()) == Ok(ACTS) && acts.last().is_some_and(|oldest| oldest.at >= since);
    let mut later = acts.iter().filter(|act| act.at >= since);
    Ok(is_cut || later.any(|act| act.command == "forgive"))
}
