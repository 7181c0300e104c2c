//! One state of the model: stream, tables, both folds, and what an operator is about to do.
//!
//! Owns what a trace shows of a state. Must never hold what a step does not need: each field multiplies the states.

use std::fmt;

use rolekeeper_domain::stream_loss::Suspicion;

use super::store::{Cursor, Store};
use super::stream::{Message, Stream};

/// The fold of one worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fold {
    /// It has not started, or its process ended.
    Idle,
    /// Its rules were in force.
    Checked {
        /// These rules.
        rules: u8,
    },
    /// It has read the cursor.
    Opened {
        /// Its rules.
        rules: u8,
        /// The cursor as it was read.
        cursor: Cursor,
    },
    /// It has a reader, and has not compared the stream with the cursor yet.
    Attached {
        /// Its rules.
        rules: u8,
        /// The cursor as it was read.
        cursor: Cursor,
        /// The reader's stream still exists.
        alive: bool,
    },
    /// It takes deliveries.
    Reading {
        /// Its rules.
        rules: u8,
        /// The cursor as it moved it last.
        cursor: Cursor,
        /// Sequence of the newest delivery.
        seen: u64,
        /// Messages that are not committed.
        batch: Vec<(u64, Message)>,
        /// The reader's stream still exists.
        alive: bool,
    },
    /// It suspects a loss.
    Doubting {
        /// The cursor as it moved it last.
        cursor: Cursor,
        /// The result of the checks so far.
        suspicion: Suspicion,
    },
}

/// An act of an operator that has read what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// `accept-stream`.
    Accept {
        /// The cursor as it was read.
        from: Cursor,
        /// Time at which the stream was created.
        created_ns: i64,
        /// The fold continues behind this sequence.
        behind: u64,
    },
    /// `skip`.
    Skip {
        /// The cursor as it was read.
        from: Cursor,
        /// The message right behind it.
        message: (u64, Message),
    },
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Left {
    /// Events to publish.
    pub events: u8,
    /// Losses of messages.
    pub damages: u8,
    /// Changes of the rules.
    pub rules: u8,
    /// Checks of a stream whose new leader has not read all its messages.
    pub stale: u8,
    /// Messages that an operator skips.
    pub skips: u8,
}

/// Faults that no step may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one flag for each property")]
pub struct Flaws {
    /// The cursor moved by a fold while a loss stood.
    pub behind_loss: bool,
    /// Counts were committed under rules that were not in force.
    pub other_rules: bool,
    /// A fold reported that nothing waits, while a stored message before its cursor had no effect.
    pub missed: bool,
    /// A loss was recorded of a stream that had all messages.
    pub false_loss: bool,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The stream.
    pub stream: Stream,
    /// The tables.
    pub store: Store,
    /// The folds of two workers. Each may believe that it holds the lock.
    pub folds: [Fold; 2],
    /// The act that an operator is about to do.
    pub act: Option<Act>,
    /// The stream's clock.
    pub now: i64,
    /// The steps that may still happen.
    pub left: Left,
    /// The faults so far.
    pub flaws: Flaws,
}

impl State {
    /// The first state.
    #[must_use]
    pub fn first(left: Left) -> Self {
        Self {
            stream: Stream::new(1),
            store: Store::default(),
            folds: [Fold::Idle, Fold::Idle],
            act: None,
            now: 1,
            left,
            flaws: Flaws::default(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream, store, folds, ..
        } = self;
        let held: Vec<u64> = stream.messages.iter().map(|(seq, _)| *seq).collect();
        write!(f, "stream {} holds {held:?}; ", stream.created_ns)?;
        match &store.cursor {
            None => write!(f, "no cursor")?,
            Some(at) => write!(
                f,
                "cursor {} of stream {}, epoch {}",
                at.last_seq, at.created_ns, at.epoch
            )?,
        }
        let loss = store.loss.map_or("none", |kind| kind.as_str());
        write!(
            f,
            "; loss: {loss}; counted {:?}, dead letters {:?}",
            store.counted, store.letters
        )?;
        for (name, fold) in ["A", "B"].iter().zip(folds) {
            write!(f, "; fold {name} {}", shown(fold))?;
        }
        Ok(())
    }
}

fn shown(fold: &Fold) -> String {
    match fold {
        Fold::Idle => "idle".to_owned(),
        Fold::Checked { .. } => "starting".to_owned(),
        Fold::Opened { cursor, .. } | Fold::Attached { cursor, .. } => {
            format!("opening at {}", cursor.last_seq)
        }
        Fold::Reading { cursor, batch, .. } => {
            let batch: Vec<u64> = batch.iter().map(|(seq, _)| *seq).collect();
            format!("reading at {} with {batch:?}", cursor.last_seq)
        }
        Fold::Doubting { cursor, .. } => format!("suspects a loss at {}", cursor.last_seq),
    }
}
