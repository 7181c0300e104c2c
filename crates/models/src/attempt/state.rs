//! One state of the model: tenant, tables, and the attempts of two leaders.
//!
//! Owns what a trace shows of a state. Must never hold what a step does not need: each field multiplies the states.

use std::fmt;

use super::tables::Tables;
use super::tenant::{NAMES, Profile, Tenant, list};

/// The attempt of one leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// It has none, or its process ended.
    Idle,
    /// The user is claimed.
    Claimed(Claim),
    /// The profile was read.
    Read(Claim, Seen),
    /// A write is decided, and not sent or not answered.
    Decided(Claim, Decided),
    /// The write was answered with this profile.
    Written(Claim, Decided, Profile),
}

/// A claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The lease.
    pub lease: u8,
    /// Number of events at the claim.
    pub events: u8,
    /// The rules of the leader.
    pub rules: u8,
    /// The brakes' verdicts on grants and revokes: whether they let the user pass; none where they were not asked.
    pub asked: [Option<bool>; 2],
    /// The brakes on grants and revokes that were not engaged at the claim, or when they were asked.
    pub free: [bool; 2],
}

/// A profile that an attempt has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The profile.
    pub profile: Profile,
    /// Number of the tenant's writes when the response came.
    pub date: u8,
    /// The roles of other clients as these wanted them then.
    pub intended: u8,
}

/// A decided write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decided {
    /// Its id.
    pub write: u8,
    /// The profile that it was decided from.
    pub seen: Seen,
    /// The roles that it sets.
    pub roles: u8,
    /// The rows of its changes in the audit.
    pub changes: [Option<u8>; 2],
    /// It restores a role of another client.
    pub restores: bool,
    /// Generation of the queue at the decision.
    pub generation: u8,
    /// A change is held: the user waits for the operator afterwards.
    pub held: Option<rolekeeper_domain::held::HeldBy>,
    /// Roles whose state is not known, and is not stored.
    pub doubtful: u8,
    /// Roles that another client removed, and that are left so.
    pub suppressed: u8,
    /// The record of a write of another client had not come yet.
    pub blind: bool,
    /// It has overwritten a change of another client.
    pub overwrote: bool,
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Left {
    /// The user's count crosses the threshold.
    pub crossings: u8,
    /// Another client adds or removes its own role.
    pub foreign: u8,
    /// Another client adds or removes the managed role.
    pub by_hand: u8,
    /// A forged record is delivered.
    pub forged: u8,
    /// A call fails or its response is lost.
    pub failures: u8,
    /// A lease expires during its attempt.
    pub expiries: u8,
    /// The operator, or a stream, stops or releases something.
    pub stops: u8,
    /// The sweep enqueues the user.
    pub sweeps: u8,
    /// The count of all playlists crosses its threshold.
    pub totals: u8,
    /// Another client writes what it read a while ago, with a change of its own role.
    pub stale: u8,
    /// Another client blocks or unblocks the user.
    pub blocks: u8,
    /// Another client makes the roles odd, or a list again.
    pub odd: u8,
    /// The operator pins a role, or removes a pin.
    pub pins: u8,
    /// The brake on grants or the one on revokes engages, or is released.
    pub brakes: u8,
    /// The brake on removals engages, or is released.
    pub removal_stops: u8,
    /// An import begins, or is released.
    pub imports: u8,
    /// The next rules come into force.
    pub rules: u8,
    /// An hour passes.
    pub hours: u8,
}

/// Takes one of what may still happen; none if nothing is left.
pub(super) fn take(left: &mut u8) -> Option<()> {
    *left = left.checked_sub(1)?;
    Some(())
}

/// Faults that no step may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "one flag for each property")]
pub struct Flaws {
    /// A write of ours changed a role of another client that this client had not changed.
    pub foreign: bool,
    /// A role was revoked that was never ours.
    pub unadopted: bool,
    /// A user was claimed while rolekeeper was paused.
    pub paused: bool,
    /// An attempt decided without its lease.
    pub unleased: bool,
    /// A change was decided while a loss, an import or the brake held it.
    pub held: bool,
    /// A row of the audit was completed although no profile showed its change.
    pub untrue: bool,
    /// A race was found with a write that is ours, or with a forged record.
    pub false_race: bool,
    /// A failed call ended the work on a user.
    pub dropped: bool,
    /// A forbidden role was granted.
    pub forbidden: bool,
    /// A role was revoked whose rule never revokes, or before its grace was over.
    pub kept: bool,
    /// A role was granted again that the rule leaves removed.
    pub regranted: bool,
    /// A role was pinned off although no client removed it.
    pub false_pin: bool,
    /// A write was decided over a value that is no list.
    pub odd: bool,
    /// A write changed a role that no rule names, and no other client.
    pub unnamed: bool,
}

/// Past steps, for the properties alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// Roles that we decided to grant: from then on a role counts as ours, whichever client was first.
    pub granted: u8,
    /// Roles that the user earned while an attempt saw them.
    pub adopted: u8,
    /// An attempt saw that the role was removed and left it so; no attempt has seen since that the user does not earn it, or has it.
    pub reported: bool,
    /// The hour at which the count fell below the threshold, of a role that is kept for a while; none once an attempt has stored that it
    /// is earned.
    pub fell: Option<u8>,
    /// A write of ours without a read response overwrote another client's: nothing tells its window, so nothing is restored.
    pub unseen_loss: bool,
}

/// One state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The tenant.
    pub tenant: Tenant,
    /// Postgres.
    pub tables: Tables,
    /// The attempts of two leaders. Each may believe that it is the only one.
    pub attempts: [Attempt; 2],
    /// The steps that may still happen.
    pub left: Left,
    /// The faults so far.
    pub flaws: Flaws,
    /// The past, as far as a property needs it.
    pub past: Past,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tenant,
            tables,
            attempts,
            ..
        } = self;
        let earned = if tables.earned { "earned" } else { "not earned" };
        write!(
            f,
            "profile {:?} after write {}, role {earned}",
            list(tenant.profile.roles),
            tenant.profile.at
        )?;
        match tables.queue {
            None => f.write_str("; not queued")?,
            Some(row) => {
                write!(f, "; queued, generation {}", row.generation)?;
                if let Some(lease) = row.lease {
                    let valid = if lease.valid { "" } else { ", expired" };
                    write!(f, ", lease {}{valid}", lease.id)?;
                }
                if row.held.is_some() {
                    f.write_str(", held")?;
                }
                if row.parked {
                    f.write_str(", parked")?;
                }
                if let Some(timer) = row.timer {
                    write!(f, ", due at hour {timer}")?;
                }
            }
        }
        for change in &tables.open {
            write!(
                f,
                "; open row {} ({} {})",
                change.id,
                NAMES[usize::from(change.role)],
                if change.granted { "granted" } else { "revoked" }
            )?;
        }
        if let Some(pin) = tables.pin {
            write!(f, "; pinned {}", if pin.on { "on" } else { "off" })?;
        }
        if let Some(removal) = tables.removal {
            write!(f, "; removal {:?}", removal.state)?;
        }
        for (name, attempt) in ["A", "B"].iter().zip(attempts) {
            write!(f, "; leader {name} {}", shown(attempt))?;
        }
        Ok(())
    }
}

fn shown(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Idle => "idle".to_owned(),
        Attempt::Claimed(claim) => format!("has claimed under lease {}", claim.lease),
        Attempt::Read(_, seen) => format!("has read {:?}", list(seen.profile.roles)),
        Attempt::Decided(_, decided) => format!("will write {:?}", list(decided.roles)),
        Attempt::Written(_, _, after) => format!("has written {:?}", list(after.roles)),
    }
}
