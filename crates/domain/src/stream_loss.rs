//! The losses of a stream: their kinds, when one is certain, and where the fold continues after it.
//!
//! Owns the texts of the kinds in the table. Must never take one check for proof: a stream that is being restored, or a
//! new leader that has not read all its messages, looks like a loss for a while. Pure.

/// Checks in a row that must agree before a loss is recorded.
const CONFIRMATIONS: u32 = 3;

/// Kind of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// The stream was deleted and created again.
    Recreated,
    /// The newest message lies before the cursor: an older copy was restored.
    Rewound,
    /// The stream was emptied beyond the cursor.
    Purged,
    /// Retention, or a partial purge, removed messages that were not folded yet.
    Overtaken,
    /// Messages in the middle are missing.
    Hole,
    /// The message at the cursor is not the folded one.
    Replaced,
}

impl LossKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Recreated,
        Self::Rewound,
        Self::Purged,
        Self::Overtaken,
        Self::Hole,
        Self::Replaced,
    ];

    /// The value in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recreated => "recreated",
            Self::Rewound => "rewound",
            Self::Purged => "purged",
            Self::Overtaken => "overtaken",
            Self::Hole => "hole",
            Self::Replaced => "replaced",
        }
    }

    /// The kind with this value in the table.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A loss, and its description for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLoss {
    /// Its kind.
    pub kind: LossKind,
    /// The expected and the actual state.
    pub detail: String,
}

/// A loss that is suspected, and how many checks in a row found it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Suspicion {
    kind: Option<LossKind>,
    agree: u32,
}

impl Suspicion {
    /// Takes the loss that one more check found. Returns whether enough checks in a row agree to record it.
    pub fn is_certain(&mut self, kind: LossKind) -> bool {
        self.agree = if self.kind == Some(kind) {
            self.agree + 1
        } else {
            1
        };
        self.kind = Some(kind);
        self.agree == CONFIRMATIONS
    }
}

/// The position of the first message that was certainly not folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfolded {
    /// The first message with this sequence or a higher one.
    Seq(u64),
    /// The first message that the stream stored after this time, Unix nanoseconds.
    StoredAfter(i64),
}

/// Where the fold continues once the operator has accepted a loss of this kind. `last_seq` is the last folded sequence,
/// and `newest_ns` the store time of the newest message ever folded.
#[must_use]
pub fn unfolded(kind: Option<LossKind>, last_seq: u64, newest_ns: i64) -> Unfolded {
    match kind {
        // This is another stream: everything in it is new.
        Some(LossKind::Recreated) => Unfolded::Seq(1),
        // The stream holds some of the same events under sequences that prove nothing. A message stored after the newest
        // folded one is new.
        Some(LossKind::Rewound | LossKind::Replaced) => Unfolded::StoredAfter(newest_ns),
        Some(LossKind::Purged | LossKind::Overtaken | LossKind::Hole) | None => Unfolded::Seq(last_seq + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_was_written() {
        for kind in LossKind::ALL {
            assert_eq!(LossKind::of_text(kind.as_str()), Some(kind));
        }
        assert_eq!(LossKind::of_text("other"), None);
    }

    #[test]
    fn a_loss_is_certain_after_three_equal_checks_in_a_row() {
        let mut suspicion = Suspicion::default();
        let checks = [
            LossKind::Hole,
            LossKind::Hole,
            LossKind::Overtaken,
            LossKind::Overtaken,
            LossKind::Overtaken,
        ];
        let certain = checks.map(|kind| suspicion.is_certain(kind));
        assert_eq!(certain, [false, false, false, false, true]);
    }

    #[test]
    fn the_fold_continues_at_the_first_unfolded_message() {
        for (kind, expected) in [
            (Some(LossKind::Recreated), Unfolded::Seq(1)),
            (Some(LossKind::Rewound), Unfolded::StoredAfter(90)),
            (Some(LossKind::Replaced), Unfolded::StoredAfter(90)),
            (Some(LossKind::Purged), Unfolded::Seq(6)),
            (Some(LossKind::Overtaken), Unfolded::Seq(6)),
            (Some(LossKind::Hole), Unfolded::Seq(6)),
            (None, Unfolded::Seq(6)),
        ] {
            assert_eq!(unfolded(kind, 5, 90), expected, "{kind:?}");
        }
    }
}
