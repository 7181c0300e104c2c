//! The steps of one fold, in the order of `src/flow/fold/run.rs`, `loss.rs` and `commit.rs`.
//!
//! Owns what a step reads and writes. Must never judge a sequence, a stream or a suspicion: the domain does.

use rolekeeper_domain::sequence_check::{self, SequenceCheck};
use rolekeeper_domain::stream_loss::{StreamLoss, Suspicion};

use super::action::{Commit, Step};
use super::events::{Events, Taken};
use super::state::{Fold, State};
use super::store::{Cursor, Move};
use super::stream::{Message, Stream};

/// The steps that a fold can make in this state.
pub(super) fn steps(state: &State, which: usize, largest: usize, steps: &mut Vec<Step>) {
    match &state.folds[which] {
        Fold::Idle => steps.push(Step::CheckRules),
        Fold::Checked { .. } => steps.extend([Step::Crash, Step::ReadCursor]),
        Fold::Opened { .. } => steps.extend([Step::Crash, Step::OpenReader]),
        Fold::Attached { .. } => steps.extend([Step::Crash, Step::Judge]),
        Fold::Reading {
            batch, alive, seen, ..
        } => {
            steps.push(Step::Crash);
            if *alive && batch.len() < largest {
                steps.extend([Step::Deliver, Step::Miss]);
            }
            if !batch.is_empty() {
                let ends = [Commit::Done, Commit::AnswerLost, Commit::CutOff];
                steps.extend(ends.map(Step::Commit));
            } else if *alive && state.stream.from(seen + 1).is_none() {
                steps.push(Step::Poll);
            }
        }
        Fold::Doubting { .. } => {
            steps.extend([Step::Crash, Step::Check]);
            if state.left.stale > 0 {
                steps.push(Step::CheckStale);
            }
        }
    }
}

/// Makes one step of a fold; none if it is not possible.
pub(super) fn step(state: &mut State, which: usize, step: Step, events: &Events) -> Option<()> {
    let fold = std::mem::replace(&mut state.folds[which], Fold::Idle);
    state.folds[which] = match (step, fold) {
        (Step::CheckRules, _) => Fold::Checked {
            rules: state.store.rules,
        },
        (Step::ReadCursor, Fold::Checked { rules }) => {
            let start = state.stream.extent().start();
            state.store.first_cursor(start.created_ns, start.last_seq);
            let cursor = state.store.cursor?;
            Fold::Opened { rules, cursor }
        }
        // Read after the cursor: a loss that is recorded later changes the cursor.
        (Step::OpenReader, Fold::Opened { rules, cursor }) if state.store.loss.is_none() => Fold::Attached {
            rules,
            cursor,
            alive: true,
        },
        (Step::Crash, _) | (Step::OpenReader, Fold::Opened { .. }) => Fold::Idle,
        (Step::Judge, Fold::Attached { rules, cursor, alive }) => {
            if judge(&cursor, &state.stream).is_some() {
                doubting(cursor)
            } else {
                Fold::Reading {
                    rules,
                    cursor,
                    seen: cursor.last_seq,
                    batch: vec![],
                    alive,
                }
            }
        }
        (Step::Deliver | Step::Miss, fold @ Fold::Reading { .. }) => deliver(state, step, fold)?,
        (Step::Commit(end), fold @ Fold::Reading { .. }) => commit(state, end, fold, events)?,
        (Step::Poll, Fold::Reading { cursor, .. }) if state.stream.last_seq > cursor.last_seq => {
            doubting(cursor)
        }
        (Step::Poll, fold @ Fold::Reading { .. }) => {
            // It reports that no message waits.
            let missed = |(seq, message): &(u64, Message)| {
                let event = usize::from(message.event);
                *seq <= state.stream.last_seq
                    && state.store.counted[event] == 0
                    && state.store.letters[event] == 0
            };
            state.flaws.missed |= state.stream.messages.iter().any(missed);
            fold
        }
        (Step::Check | Step::CheckStale, Fold::Doubting { cursor, suspicion }) => {
            check(state, step, cursor, suspicion)?
        }
        _ => return None,
    };
    Some(())
}

fn doubting(cursor: Cursor) -> Fold {
    Fold::Doubting {
        cursor,
        suspicion: Suspicion::default(),
    }
}

/// `Leadership::judge`: by the cursor's own message, and by the stream's state.
pub(super) fn judge(cursor: &Cursor, stream: &Stream) -> Option<StreamLoss> {
    let (folded, extent) = (cursor.folded(), stream.extent());
    if let Err(lost) = folded.judge(&extent) {
        return Some(lost);
    }
    let at_cursor = folded.comparable(&extent).and_then(|last| stream.at(last));
    at_cursor.and_then(|stored| folded.replaced(stored.stored_ns))
}

/// `Leadership::judge_all`: the messages behind the cursor too.
fn judge_all(cursor: &Cursor, stream: &Stream) -> Option<StreamLoss> {
    if let Some(lost) = judge(cursor, stream) {
        return Some(lost);
    }
    let extent = stream.extent();
    let expected = cursor.folded().next(&extent)?;
    let first = stream.from(expected).map(|(seq, _)| seq);
    sequence_check::missing(expected, first, &extent)
}

/// Takes a delivery. A gap ends the reader once the batch is committed, and is doubted.
fn deliver(state: &State, step: Step, fold: Fold) -> Option<Fold> {
    let Fold::Reading {
        rules,
        cursor,
        seen,
        mut batch,
        alive,
    } = fold
    else {
        return None;
    };
    let next = state.stream.from(seen + 1)?;
    let (seq, message) = match step {
        Step::Miss => state.stream.from(next.0 + 1)?,
        _ => next,
    };
    let mut check = SequenceCheck::new(&sequence_check::Folded {
        last_seq: seen,
        ..cursor.folded()
    });
    if check.delivery(seq).is_err() {
        return Some(doubting(cursor));
    }
    batch.push((seq, message));
    Some(Fold::Reading {
        rules,
        cursor,
        seen: seq,
        batch,
        alive,
    })
}

/// Commits the batch: the cursor first, then the facts that it explains, in one transaction.
fn commit(state: &mut State, end: Commit, fold: Fold, events: &Events) -> Option<Fold> {
    let Fold::Reading {
        rules,
        cursor,
        seen,
        batch,
        alive,
    } = fold
    else {
        return None;
    };
    let (last_seq, last) = *batch.last()?;
    let facts: Vec<(u8, Taken)> = batch
        .iter()
        .map(|(_, message)| (message.event, events.taken(message.event)))
        .collect();
    let to = Move {
        from: cursor,
        last_seq,
        last_stored_ns: last.stored_ns,
        rules,
    };
    let mut tx = state.store.clone();
    if !tx.advance(&to) {
        return Some(Fold::Idle);
    }
    tx.facts(&facts);
    let counted = batch
        .iter()
        .filter_map(|(_, message)| events.event(message.event).cloned());
    tx.playlist.take(counted.collect());
    if end == Commit::CutOff {
        return Some(Fold::Idle);
    }
    state.store = tx;
    state.flaws.behind_loss |= state.store.loss.is_some();
    state.flaws.other_rules |= state.store.rules != rules;
    let cursor = Cursor {
        last_seq,
        last_stored_ns: last.stored_ns,
        ..cursor
    };
    Some(match end {
        Commit::Done => Fold::Reading {
            rules,
            cursor,
            seen,
            batch: vec![],
            alive,
        },
        _ => Fold::Idle,
    })
}

/// Checks a suspected loss once more, and records it when the domain calls it certain.
fn check(state: &mut State, step: Step, cursor: Cursor, mut suspicion: Suspicion) -> Option<Fold> {
    let mut seen = state.stream.clone();
    if step == Step::CheckStale {
        state.left.stale = state.left.stale.checked_sub(1)?;
        seen.messages.pop()?;
        seen.last_seq -= 1;
    }
    let Some(loss) = judge_all(&cursor, &seen) else {
        return Some(Fold::Idle);
    };
    if !suspicion.is_certain(loss.kind) {
        return Some(Fold::Doubting { cursor, suspicion });
    }
    if state.store.report_loss(&cursor, loss.kind) {
        state.flaws.false_loss |= judge_all(&cursor, &state.stream).is_none();
    }
    Some(Fold::Idle)
}
