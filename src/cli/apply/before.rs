//! The state before a plan is applied, and its rules.
//!
//! Owns the checks of the plan's tenant and rules. Must never put rules in force that `rules apply` would refuse, nor any that are
//! not shown first.

use anyhow::{Result, anyhow, bail};
use time::OffsetDateTime;

use crate::cli::output::say;
use crate::cli::rules;
use crate::store::{InForce, Store};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::explanation::plain;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::preview::file::Header;
use rolekeeper_domain::rule::offer::{Verdict, changes, judge};
use rolekeeper_domain::rule::{Rules, Versioned};

/// The proposed rules of the plan.
pub(super) fn proposed(header: &Header, forbidden: &ForbiddenRoles) -> Result<Option<Versioned>> {
    let Some(proposed) = &header.proposed else {
        return Ok(None);
    };
    let parsed = forbidden.parse_rules(&proposed.canonical);
    let parsed = parsed.map_err(|why| anyhow!("line 1: proposed.canonical: {why}"))?;
    Ok(Some(Versioned {
        version: proposed.version,
        rules: parsed.rules,
    }))
}

/// The state before the plan is applied.
pub(super) struct Before {
    in_force: InForce,
    /// The rules of the plan are in force: it has none of its own, or an earlier run was interrupted, or had ended.
    are_in_force: bool,
    /// Time since which the worker decides by the rules of the plan; none while others are in force.
    pub(super) decided_since: Option<OffsetDateTime>,
}

impl Before {
    /// Reads it, and refuses a plan of another tenant, or of other rules.
    pub(super) async fn read(store: &Store, header: &Header, proposed: Option<&Versioned>) -> Result<Self> {
        if let Some(bound) = store.tenant().await? {
            match &header.tenant {
                Some(planned) if *planned == bound => {}
                Some(planned) => bail!(
                    "line 1: tenant: the plan is of the tenant {}, and the database belongs to {bound}",
                    plain(planned)
                ),
                None => bail!(
                    "line 1: tenant: the plan names no tenant, and the database belongs to {bound} since. Make the plan again"
                ),
            }
        }
        let in_force = rules::in_force(store).await?;
        let verdict = proposed.map(|proposed| judge(proposed, Some(&in_force.to_compare())));
        let is_done = verdict == Some(Verdict::Same);
        if in_force.rules.fingerprint() != header.in_force.fingerprint && !is_done {
            bail!(
                "nothing was done, since the rules in force have changed since the plan was made: version {} then, {} now. Make \
                 the plan again",
                header.in_force.version,
                in_force.version
            );
        }
        if let Some(Verdict::Refused(why) | Verdict::Left(why)) = verdict {
            bail!("nothing was done: not put in force: {why}");
        }
        let decided_since = match proposed {
            None => Some(header.made_at),
            Some(_) => is_done.then_some(in_force.since),
        };
        Ok(Self {
            are_in_force: is_done || proposed.is_none(),
            in_force,
            decided_since,
        })
    }

    /// The rules of the plan.
    pub(super) fn rules<'r>(&'r self, proposed: Option<&'r Versioned>) -> &'r Rules {
        proposed.map_or(&self.in_force.rules, |proposed| &proposed.rules)
    }

    /// Shows the changes of the rules, and puts the proposed ones in force. Returns the time since which the worker decides by the
    /// rules of the plan.
    pub(super) async fn put_in_force(
        &self,
        store: &Store,
        proposed: Option<&Versioned>,
        act: &Act,
    ) -> Result<Option<OffsetDateTime>> {
        let Some(proposed) = proposed else {
            return Ok(self.decided_since);
        };
        let (new, old) = (proposed.version, self.in_force.version);
        if self.are_in_force {
            say!("version {new} is in force already");
            return Ok(self.decided_since);
        }
        say!("the plan puts rules of version {new} in force, in place of version {old}:");
        let lines = changes(Some(&self.in_force.rules), &proposed.rules);
        if lines.is_empty() {
            say!("  the rules in force have the same content");
        }
        for line in lines {
            say!("  {line}");
        }
        let over = self.in_force.rules.fingerprint();
        match store.offer_planned_rules(proposed, &over, act).await? {
            Verdict::PutInForce => say!(
                "version {new} is in force, in place of {old}; it takes effect on all workers within seconds, and all users are \
                 compared with it"
            ),
            Verdict::Same => say!("version {new} is in force already"),
            Verdict::Refused(why) | Verdict::Left(why) => bail!("nothing was done: not put in force: {why}"),
        }
        let now = store.rules_in_force().await?;
        let ours = now.filter(|now| now.rules.fingerprint() == proposed.rules.fingerprint());
        Ok(ours.map(|now| now.since))
    }
}
