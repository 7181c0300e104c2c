//! The steps of the model, in words.
//!
//! Owns the text of a trace. Must never say what the model does not do.

use std::fmt;

use super::tables::Pinned;

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

/// The end of the brake on removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unbrake {
    /// The held removals become pins.
    Release,
    /// The roles are granted again.
    Drop,
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
    /// The brake on grants engages, or is released.
    BrakeGrants,
    /// The brake on removals engages; the operator releases what it holds, or drops it.
    BrakeRemovals(Unbrake),
    /// The count of all playlists crosses its threshold.
    CrossTotal,
    /// Another client reads the profile.
    StaleRead,
    /// It writes what it read, with a change of its own role.
    StaleWrite,
    /// Another client blocks the user, or unblocks.
    Block,
    /// Another client makes the roles another value than a list, or a list again.
    Odd,
    /// The operator pins the role.
    Pin(Pinned),
    /// The operator removes the pin.
    Unpin,
    /// An import begins to count plays of the user, or is released.
    Import,
    /// The next rules come into force.
    PutRules,
    /// An hour passes.
    Hour,
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
            Self::BrakeGrants => f.write_str("The brake on grants engages, or is released."),
            Self::BrakeRemovals(Unbrake::Release) => {
                f.write_str("The brake on removals engages, or the operator releases what it holds.")
            }
            Self::BrakeRemovals(Unbrake::Drop) => {
                f.write_str("The operator drops what the brake on removals holds.")
            }
            Self::CrossTotal => {
                f.write_str("The count of all playlists crosses its threshold; the fold enqueues the user.")
            }
            Self::StaleRead => f.write_str("Another client reads the profile."),
            Self::StaleWrite => {
                f.write_str("That client writes what it read, with a change of its own role.")
            }
            Self::Block => f.write_str("Another client blocks or unblocks the user."),
            Self::Odd => f.write_str("Another client makes the roles a text, or a list again."),
            Self::Pin(pin) => {
                let state = if pin.on { "on" } else { "off" };
                let until = pin
                    .until
                    .map_or_else(String::new, |hour| format!(" until hour {hour}"));
                write!(f, "The operator pins the role {state}{until}.")
            }
            Self::Unpin => f.write_str("The operator removes the pin."),
            Self::Import => f.write_str("An import begins to count plays of the user, or is released."),
            Self::PutRules => {
                f.write_str("The operator puts the next rules in force; the walk enqueues the user.")
            }
            Self::Hour => f.write_str("An hour passes."),
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
