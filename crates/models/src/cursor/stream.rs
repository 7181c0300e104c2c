//! A stream of JetStream, as far as a fold sees it.
//!
//! Owns what happens to stored messages: they are published, removed, or replaced with the whole stream. Must never give a sequence
//! of one stream to two messages, except where an older copy was restored.

use rolekeeper_domain::sequence_check::Extent;

/// A stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    /// Its event: the place in [`super::events::Events`].
    pub event: u8,
    /// Time at which the stream stored it.
    pub stored_ns: i64,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// Time at which it was created.
    pub created_ns: i64,
    /// Sequence of the newest message ever stored.
    pub last_seq: u64,
    /// The messages that it holds, in their order.
    pub messages: Vec<(u64, Message)>,
}

/// The ways in which a stream loses messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Damage {
    /// It is deleted and created again.
    Recreate,
    /// A copy from before the newest message is restored.
    Rewind,
    /// All messages are removed.
    Purge,
    /// Retention removes the oldest message.
    Expire,
    /// The newest message but one is removed.
    Hole,
    /// The newest message is removed.
    LastRemoved,
}

impl Damage {
    /// Every way.
    pub const ALL: [Self; 6] = [
        Self::Recreate,
        Self::Rewind,
        Self::Purge,
        Self::Expire,
        Self::Hole,
        Self::LastRemoved,
    ];

    /// Whether the stream is another one afterwards, so that no consumer survives.
    #[must_use]
    pub fn ends_readers(self) -> bool {
        matches!(self, Self::Recreate | Self::Rewind)
    }
}

impl Stream {
    /// An empty stream.
    #[must_use]
    pub fn new(created_ns: i64) -> Self {
        Self {
            created_ns,
            last_seq: 0,
            messages: vec![],
        }
    }

    /// The range of messages that it reports.
    #[must_use]
    pub fn extent(&self) -> Extent {
        let first = self.messages.first();
        Extent {
            created_ns: self.created_ns,
            first_seq: first.map_or(self.last_seq + 1, |(seq, _)| *seq),
            last_seq: self.last_seq,
            messages: self.messages.len() as u64,
        }
    }

    /// The message with this sequence.
    #[must_use]
    pub fn at(&self, seq: u64) -> Option<Message> {
        let found = self.messages.iter().find(|(at, _)| *at == seq);
        found.map(|(_, message)| *message)
    }

    /// The first message with this sequence or a higher one.
    #[must_use]
    pub fn from(&self, seq: u64) -> Option<(u64, Message)> {
        self.messages.iter().find(|(at, _)| *at >= seq).copied()
    }

    /// Sequence of the first message stored after this time.
    #[must_use]
    pub fn stored_after(&self, ns: i64) -> Option<u64> {
        let found = self.messages.iter().find(|(_, message)| message.stored_ns > ns);
        found.map(|(seq, _)| *seq)
    }

    /// Stores a message.
    pub fn publish(&mut self, message: Message) {
        self.last_seq += 1;
        self.messages.push((self.last_seq, message));
    }

    /// Loses messages; false if there is nothing to lose in this way.
    pub fn lose(&mut self, damage: Damage, now: i64) -> bool {
        let many = self.messages.len();
        match damage {
            Damage::Recreate => *self = Self::new(now),
            Damage::Rewind if self.at(self.last_seq).is_some() => {
                self.messages.pop();
                self.last_seq -= 1;
            }
            Damage::Purge if many > 0 => self.messages.clear(),
            Damage::Expire if many > 0 => drop(self.messages.remove(0)),
            Damage::Hole if many > 2 => drop(self.messages.remove(many - 2)),
            Damage::LastRemoved if many > 1 => drop(self.messages.pop()),
            _ => return false,
        }
        true
    }
}
