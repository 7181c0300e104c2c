//! The steps of the model, in words.
//!
//! Owns the text of a trace. Must never say what the model does not do.

use std::fmt;

/// The outcome of a PATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patch {
    /// It was applied, and the response was read.
    Answered,
    /// It was applied, and the response was lost.
    AnswerLost,
    /// It was not applied, and there was no response.
    NotApplied,
    /// The rate limit refused it.
    Limited,
}

/// A step of one leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Its process ends.
    Crash,
    /// It claims the user.
    Claim,
    /// It reads the profile.
    Get,
    /// The read fails.
    GetFails,
    /// It decides, and commits the audit.
    Decide,
    /// It sends the write.
    Patch(Patch),
    /// It records the result.
    Record,
}

/// A step of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The user's count crosses the threshold.
    Cross,
    /// Another client changes its own role.
    Foreign,
    /// Another client changes the managed role.
    ByHand,
    /// The record of this entry of the log is delivered.
    Record(u8),
    /// A forged record is delivered.
    Forge,
    /// Auth0 answers for the record with this place.
    Confirm(u8),
    /// The lease expires.
    Expire,
    /// The sweep enqueues the user; a record that did not come by now is no longer waited for.
    Sweep,
    /// The operator pauses rolekeeper, or resumes it.
    Pause,
    /// A stream's loss is recorded, or accepted.
    Loss,
    /// The brake on revokes engages, or is released.
    Brake,
    /// A leader's step.
    Leader(usize, Step),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cross => f.write_str("The user's count crosses the threshold; the fold enqueues the user."),
            Self::Foreign => f.write_str("Another client changes a role of its own."),
            Self::ByHand => f.write_str("Another client changes the managed role."),
            Self::Record(place) => write!(f, "The log stream delivers record {place}."),
            Self::Forge => f.write_str("The log stream delivers a forged record."),
            Self::Confirm(place) => write!(f, "Auth0 responds to the request for record {place}."),
            Self::Expire => f.write_str("The lease of the attempt expires."),
            Self::Sweep => f.write_str("The sweep enqueues the user."),
            Self::Pause => f.write_str("The operator pauses or resumes rolekeeper."),
            Self::Loss => f.write_str("A stream's loss is recorded, or accepted."),
            Self::Brake => f.write_str("The brake on revokes engages, or is released."),
            Self::Leader(which, step) => {
                let name = if *which == 0 { "A" } else { "B" };
                write!(f, "Leader {name} {}.", words(*step))
            }
        }
    }
}

fn words(step: Step) -> &'static str {
    match step {
        Step::Crash => "ends with its process",
        Step::Claim => "claims the user",
        Step::Get => "reads the profile",
        Step::GetFails => "gets no usable response to its read",
        Step::Decide => "decides, and commits the audit",
        Step::Patch(Patch::Answered) => "sends the write, which is applied",
        Step::Patch(Patch::AnswerLost) => "sends the write, which is applied; the response is lost",
        Step::Patch(Patch::NotApplied) => "sends the write, which is not applied; there is no response",
        Step::Patch(Patch::Limited) => "sends the write, which the rate limit refuses",
        Step::Record => "records the result",
    }
}
