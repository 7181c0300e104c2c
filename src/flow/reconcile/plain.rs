//! The plain write: only managed roles change, each with permission from its brake, and nothing else concerns the user.
//!
//! Owns which decision is plain, as a pure function of the snapshot and the profile, so that plain decisions can be stored
//! together. Must never decide a user with a race, a link, a pin, a removal, a name, a brake or a loss: such a user
//! is decided alone.

use tokio::time::Instant;
use uuid::Uuid;

use super::context::Context;
use super::decide::differing;
use super::plain_write::{Asked, Plain, Remains};
use crate::auth0::Profile;
use crate::store::leases::Ours;
use crate::store::results::Left;
use rolekeeper_domain::display_name::name_change;
use rolekeeper_domain::evaluation::{Evaluation, Role};
use rolekeeper_domain::plan::{RoleChange, SeenRoles, plan};
use rolekeeper_domain::snapshot::Snapshot;

/// The plain decision about a user; none where the user must be decided alone.
pub(super) fn decide(context: &Context, asked: &Asked, ours: Ours, snapshot: Snapshot) -> Option<Plain> {
    let profile = asked.profile.as_ref();
    if ours.flapping || ours.read_again || Instant::now() > asked.until {
        return None;
    }
    if !context.writes || !profile.is_whole() || profile.may_hide_roles() {
        return None;
    }
    let mut evaluation = context.evaluation(snapshot, Some(profile));
    let seen = profile.roles();
    if !is_plain(context, &evaluation, profile)
        || !evaluation.roles.iter().all(|role| is_as_known(role, &seen))
    {
        return None;
    }
    evaluation.forbid(&context.restores.forbidden);
    let plan = plan(&seen, &evaluation.wants()).ok()?;
    let passes = |change: RoleChange| asked.pass.contains(&change) && !evaluation.holds(change);
    if plan.is_empty() || !plan.changes().iter().all(|(_, change)| passes(*change)) {
        return None;
    }
    let of = |name: &str| evaluation.roles.iter().find(|role| role.rule.role == name);
    let plays: Option<Vec<i64>> = plan
        .changes()
        .iter()
        .map(|(name, _)| of(name).map(|role| evaluation.plays(role.rule)))
        .collect();
    let left = evaluation.roles.iter().map(|role| Left {
        role: role.rule.role.clone(),
        wanted: role.decision.wanted,
        has_role: false,
        adopted: role.adopted(),
        below_since: role.decision.below_since,
        known: role.known.is_some(),
    });
    Some(Plain {
        changes: plan.changes().iter().map(|_| Uuid::now_v7()).collect(),
        plays: plays?,
        plan,
        write: Uuid::now_v7(),
        generation: ours.generation,
        cause: ours.cause,
        earlier: evaluation.has_an_earlier_role(&seen),
        at: evaluation.now(),
        remains: Remains {
            roles: left.collect(),
            again_at: evaluation.again_at(),
        },
    })
}

/// Whether nothing but roles concerns the user.
fn is_plain(context: &Context, evaluation: &Evaluation<'_>, profile: &Profile) -> bool {
    let name = name_change(
        &profile.display_name(),
        None,
        context.default_name.as_ref(),
        evaluation.names.waits(),
    );
    evaluation.open.is_empty()
        && evaluation.restores.is_empty()
        && !evaluation.unrecorded
        && !evaluation.foreign_writes
        && !evaluation.ended_pins
        && evaluation.gone_at.is_none()
        && evaluation.names.requested.is_none()
        && name.is_none()
        && evaluation.person.alias_of.is_none()
        && differing(&evaluation.person, profile).is_none()
}

/// Whether the profile shows the role as the last attempt left it, an unknown one not held, and nothing but its rule decides it.
fn is_as_known(role: &Role<'_>, seen: &SeenRoles) -> bool {
    let known = role.known.as_ref();
    role.pin.is_none()
        && role.removal.is_none()
        && !role.suppressed
        && !role.left_open
        && known.is_some_and(|known| known.has_role) == seen.has(&role.rule.role)
}
