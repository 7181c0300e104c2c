//! Roles that their rule never revokes, or keeps between its thresholds, at the end of a link.
//!
//! Owns which of the two ids keeps such a role: each keeps what it had, or earns, by itself. Must never take a role from an account for
//! which another reason may be known than the id that leaves it.

use super::attempt::Attempt;
use crate::store::own_decisions::{self, BeforeLink};
use crate::store::{StoreError, Tx};
use rolekeeper_domain::evaluation::Evaluation;
use rolekeeper_domain::rule::Rule;

impl Attempt {
    /// Splits these roles between ids and the accounts that they leave, each with its account. Call it once the links are removed.
    pub(super) async fn split_kept_roles(
        &self,
        tx: &mut Tx<'_>,
        leaving: &[(&str, &str)],
    ) -> Result<(), StoreError> {
        let rules = self.context.rules.as_slice().iter();
        let kept: Vec<&Rule> = rules.filter(|rule| rule.outlasts_its_count()).collect();
        if kept.is_empty() {
            return Ok(());
        }
        for (alias, primary) in leaving {
            let before = own_decisions::before_link(tx, alias, primary).await?;
            let theirs = self.context.evaluate(tx, alias, None).await?;
            let account = self.context.evaluate(tx, primary, None).await?;
            for rule in &kept {
                // Nothing is known of a link from before the rule, and the end of a move takes back what came with it.
                let own = before.iter().find(|own| own.role == rule.role && !own.moved);
                if let Some(own) = own {
                    self.split(tx, (alias, &theirs), (primary, &account), (rule, own))
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn split(
        &self,
        tx: &mut Tx<'_>,
        (alias, theirs): (&str, &Evaluation<'_>),
        (primary, account): (&str, &Evaluation<'_>),
        (rule, own): (&Rule, &BeforeLink),
    ) -> Result<(), StoreError> {
        let earns = |of: &Evaluation<'_>| rule.decide(of.plays(rule), None, of.now()).wanted;
        if own.wanted && rule.keeps(theirs.plays(rule)) {
            own_decisions::give_back(tx, alias, &rule.role).await?;
        }
        if own.account_wanted || !(own.wanted || earns(theirs)) {
            return Ok(());
        }
        own_decisions::was_by_alias(tx, primary, &rule.role).await?;
        if !earns(account) && !own_decisions::is_had_by_another(tx, primary, &rule.role).await? {
            own_decisions::end_wanted(tx, primary, &rule.role).await?;
        }
        Ok(())
    }
}
