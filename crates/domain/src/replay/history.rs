//! The playlists before the first kept event, from their present state and the events since.
//!
//! Owns what follows: a count that was never set to 0 since is the present one minus the sum of the events. The count before a
//! deletion does not follow, since the deletion removed it; nor does the owner before the first saving.

use std::collections::HashMap;

use crate::ids::UserId;
use crate::tally::{Playlist, Step};

/// Count from which the fold of kept events begins: if it is still in the result, no deletion has removed it.
const MARK: i64 = 1 << 40;

/// The present playlists, and the sums of the kept events up to the cursor.
#[derive(Debug, Default)]
pub struct History {
    ids: HashMap<Box<str>, usize>,
    slots: Vec<Slot>,
    /// The stream still has its first message, and the counts began with it.
    from_start: bool,
}

#[derive(Debug, Default)]
struct Slot {
    now: Playlist,
    saved_again_ns: Option<i64>,
    /// Plays without retractions before the first event that saved or deleted it.
    sum: i64,
    /// It was played before that event.
    played: bool,
    run: Option<Box<Run>>,
}

/// The events of one playlist from the first one on that saved or deleted it, folded from a count of [`MARK`].
#[derive(Debug)]
struct Run {
    playlist: Playlist,
    /// It was deleted before the first event, and saved again by it.
    was_deleted: bool,
    /// The first owner that an event names.
    owner: Owner,
}

/// An owner that an event names; most are the present one, which needs no memory.
#[derive(Debug)]
enum Owner {
    None,
    Present,
    Other(Box<UserId<'static>>),
}

/// How much is known of a playlist before the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// All.
    Yes,
    /// The count is that of the messages and a number that no message tells.
    Shifted,
    /// Nothing up to its first deletion.
    AfterDeletion,
    /// Nothing: the present state does not follow from the events.
    No,
}

/// A playlist in a replay.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) playlist: Playlist,
    pub(super) known: Known,
    /// The person who owns it.
    pub(super) person: Option<usize>,
}

impl Kept {
    /// The plays for its owner; 0 where nothing of them is known.
    pub(super) fn counted(&self) -> i64 {
        match self.known {
            Known::Yes | Known::Shifted => self.playlist.share_of_owner(),
            Known::AfterDeletion | Known::No => 0,
        }
    }
}

/// The playlists before the first kept event, by the numbers of [`History::number`].
#[derive(Debug, Default)]
pub struct Starts {
    pub(super) playlists: Vec<Kept>,
    /// Playlists whose owner before the first saving is taken to be the one that it names.
    pub(super) owner_assumed: u64,
}

impl History {
    /// Begins without playlists. `from_start`: before the first kept event nothing was counted.
    #[must_use]
    pub fn new(from_start: bool) -> Self {
        Self {
            from_start,
            ..Self::default()
        }
    }

    /// Notes the present state of a playlist, and when it was last saved after a deletion.
    pub fn know(&mut self, id: String, now: Playlist, saved_again_ns: Option<i64>) {
        self.ids.insert(id.into_boxed_str(), self.slots.len());
        self.slots.push(Slot {
            now: Playlist { name: None, ..now },
            saved_again_ns,
            ..Slot::default()
        });
    }

    /// When the stream stored the message that saved the playlist after a deletion, if it was, Unix nanoseconds.
    #[must_use]
    pub fn saved_again_ns(&self, id: &str) -> Option<i64> {
        self.slots[*self.ids.get(id)?].saved_again_ns
    }

    /// The number of a playlist; one that is not known gets the next.
    pub fn number(&mut self, id: &str) -> usize {
        self.ids.get(id).copied().unwrap_or_else(|| {
            self.ids.insert(id.into(), self.slots.len());
            self.slots.push(Slot::default());
            self.slots.len() - 1
        })
    }

    /// Sums a change of the playlist with this number that the present state includes, in the stream's order.
    pub fn sum(&mut self, number: usize, step: &Step<'_>, stored_ns: i64) {
        self.slots[number].sum(step, stored_ns);
    }

    /// The playlists before the first summed event.
    #[must_use]
    pub fn into_starts(self) -> Starts {
        let (from_start, mut owner_assumed) = (self.from_start, 0);
        // In place: the list may be long.
        let playlists = self.slots.into_iter().map(|slot| {
            let has_run = slot.run.is_some();
            let (mut playlist, mut known) = slot.start();
            if from_start && has_run && known != Known::No {
                // Its first saving made it.
                (playlist.owner, known) = (None, Known::Yes);
            }
            if from_start && known == Known::Yes && playlist.plays != 0 {
                known = Known::Shifted;
            }
            owner_assumed += u64::from(has_run && playlist.owner.is_some() && known == Known::Yes);
            Kept {
                playlist,
                known,
                person: None,
            }
        });
        let playlists = playlists.collect();
        Starts {
            playlists,
            owner_assumed,
        }
    }
}

impl Slot {
    fn sum(&mut self, step: &Step<'_>, stored_ns: i64) {
        if let (None, Step::Add(delta)) = (&self.run, step) {
            self.sum += delta;
            self.played = true;
            return;
        }
        let names = match *step {
            Step::Save { owner, .. } => Some(owner),
            // The publisher deletes it in the name of its owner.
            Step::Delete { owner } => owner,
            Step::Add(_) => None,
        };
        let run = self.run.get_or_insert_with(|| {
            let was_deleted = self.saved_again_ns == Some(stored_ns);
            Box::new(Run {
                playlist: Playlist {
                    plays: if was_deleted { 0 } else { MARK + self.sum },
                    deleted: was_deleted,
                    owner: names.map(|owner| owner.clone().into_owned()),
                    name: None,
                },
                was_deleted,
                owner: Owner::None,
            })
        });
        if let (Owner::None, Some(owner)) = (&run.owner, names) {
            let owner = owner.clone().into_owned();
            run.owner = if self.now.owner.as_ref() == Some(&owner) {
                Owner::Present
            } else {
                Owner::Other(Box::new(owner))
            };
        }
        run.playlist.take(step);
        run.playlist.name = None;
    }

    /// The playlist before the events.
    fn start(self) -> (Playlist, Known) {
        let Self {
            now,
            sum,
            played,
            run,
            ..
        } = self;
        let of = |plays, deleted, owner| Playlist {
            plays,
            deleted,
            owner,
            name: None,
        };
        let Some(run) = run else {
            let plays = if now.deleted { 0 } else { now.plays - sum };
            return (of(plays, now.deleted, now.owner), Known::Yes);
        };
        let Run {
            playlist: after,
            was_deleted,
            owner,
        } = *run;
        let is_marked = after.plays >= MARK / 2;
        let follows = after.deleted == now.deleted
            && after.owner == now.owner
            && (is_marked || after.plays == now.plays);
        let owner = match owner {
            Owner::None => None,
            Owner::Present => now.owner.clone(),
            Owner::Other(owner) => Some(*owner),
        };
        let known = |known| if follows { known } else { Known::No };
        if was_deleted {
            return (of(0, true, owner), known(Known::Yes));
        }
        if is_marked {
            let plays = now.plays - (after.plays - MARK);
            // Otherwise the saving made the playlist.
            let existed = plays > 0 || played;
            return (of(plays, false, owner.filter(|_| existed)), known(Known::Yes));
        }
        (of(0, false, owner.or(now.owner)), known(Known::AfterDeletion))
    }
}
