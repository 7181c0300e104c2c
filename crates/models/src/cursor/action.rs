//! The steps of the model, in words.
//!
//! Owns the text of a trace. Must never say what the model does not do.

use std::fmt;

use super::stream::Damage;

/// How a transaction of a fold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Commit {
    /// It was committed.
    Done,
    /// It was committed, and the response was lost.
    AnswerLost,
    /// The connection or the process ended before COMMIT.
    CutOff,
}

/// A step of one fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its process ends.
    Crash,
    /// It begins a leadership: its rules are in force.
    CheckRules,
    /// It reads the cursor.
    ReadCursor,
    /// It looks for an open loss, and opens a reader.
    OpenReader,
    /// It compares the stream with the cursor.
    Judge,
    /// The next message is delivered.
    Deliver,
    /// A delivery is lost, the one behind it arrives.
    Miss,
    /// It commits what was delivered.
    Commit(Commit),
    /// No message was delivered for a while: it asks the stream.
    Poll,
    /// It checks a suspected loss.
    Check,
    /// It checks a suspected loss, and the stream's new leader has not read its newest message.
    CheckStale,
}

/// A step of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A publisher's event is stored.
    Publish,
    /// The stream loses messages.
    Lose(Damage),
    /// Other rules come into force.
    PutRules,
    /// An operator reads what `accept-stream` needs.
    AcceptRead,
    /// An operator reads what `skip` needs.
    SkipRead,
    /// An operator's act is committed.
    Act,
    /// A fold's step.
    Fold(usize, Step),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_stream = |damage: &Damage| match damage {
            Damage::Recreate => "The stream is deleted and created again.",
            Damage::Rewind => "An older copy of the stream is restored, without the newest message.",
            Damage::Purge => "The stream is purged.",
            Damage::Expire => "The stream's retention removes the oldest message.",
            Damage::Hole => "A message in the middle of the stream is removed.",
            Damage::LastRemoved => "The newest message of the stream is removed.",
        };
        match self {
            Self::Publish => f.write_str("The stream stores one more message."),
            Self::Lose(damage) => f.write_str(of_stream(damage)),
            Self::PutRules => f.write_str("The operator puts other rules in force."),
            Self::AcceptRead => f.write_str(
                "The operator runs accept-stream, which reads the loss, the cursor and the stream.",
            ),
            Self::SkipRead => {
                f.write_str("The operator runs skip, which reads the cursor and the message behind it.")
            }
            Self::Act => f.write_str("The operator's command commits."),
            Self::Fold(which, step) => {
                let name = if *which == 0 { "A" } else { "B" };
                write!(f, "Fold {name} {}.", words(*step))
            }
        }
    }
}

fn words(step: Step) -> &'static str {
    match step {
        Step::Crash => "ends with its process",
        Step::CheckRules => "begins a leadership: its rules are in force",
        Step::ReadCursor => "reads the cursor",
        Step::OpenReader => "looks for an open loss, and opens a reader",
        Step::Judge => "compares the stream with the cursor",
        Step::Deliver => "takes the next delivery",
        Step::Miss => "misses a delivery, and takes the one behind it",
        Step::Commit(Commit::Done) => "commits its batch",
        Step::Commit(Commit::AnswerLost) => "commits its batch, and the response is lost",
        Step::Commit(Commit::CutOff) => "loses its connection before the COMMIT of its batch",
        Step::Poll => "asks the stream, since nothing was delivered",
        Step::Check => "checks the suspected loss",
        Step::CheckStale => {
            "checks the suspected loss, while the stream's new leader lacks the newest message"
        }
    }
}
