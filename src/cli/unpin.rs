//! `rolekeeper unpin`: the rules decide a role of one user again.
//!
//! Owns the output about pins of other ids of the person. Must never remove the pin of an id that was not named: a move may have been
//! a mistake.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::ask::id;
use super::output::{remark, say};
use super::pin::later;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs};
use crate::store::{Pinned, UnpinOutcome};

/// Removes the pin of a role at this id of a user: the rules decide again, unless another id of the person has a pin of the role,
/// which is named then. Exit code 1 when this id has none.
#[derive(Args, Debug)]
pub(super) struct UnpinArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Auth0 user id
    #[arg(value_name = "USER_ID")]
    user: String,
    /// The role
    role: String,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: UnpinArgs) -> Result<ExitCode> {
    let UnpinArgs {
        database,
        user,
        role,
        act,
    } = args;
    let database = database.checked()?;
    id(&user)?;
    let act = act.act("unpin", json!({"user": user, "role": role}));
    let store = app::connect(&database).await?;
    match store.unpin(&user, &role, &act).await? {
        UnpinOutcome::Others(others) => {
            remark!("{user}: {role} is not pinned at this id");
            for other in &others {
                remark!("{}", still_pinned(other));
            }
            Ok(ExitCode::FAILURE)
        }
        UnpinOutcome::Removed(before, others) => {
            let was = if before.on { "on" } else { "off" };
            let decides = if others.is_empty() {
                "the rules decide"
            } else {
                "a pin of another id of the person decides"
            };
            say!("{user}: {role} is no longer pinned {was}; {decides}, and the user is reconciled next");
            for other in &others {
                say!("  {}", still_pinned(other));
            }
            later(&store).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Names another id of the person that has a pin of the role.
fn still_pinned(other: &Pinned) -> String {
    let Pinned {
        user,
        role,
        on,
        by,
        why,
        ..
    } = other;
    let state = if *on { "on" } else { "off" };
    format!(
        "{user}, of the same person: {role} is pinned {state}, by {by}: {why}. To remove it: rolekeeper unpin '{user}' {role}"
    )
}
