//! `rolekeeper explain`: why a user holds a role, or does not.
//!
//! Owns the answers that are no explanation: an unknown and an erased user. Must never change anything, nor call Auth0.

mod tables;
mod text;

use anyhow::{Result, bail};
use clap::Args;

use super::ask::id;
use super::output;
use crate::app;
use crate::config::{DatabaseArgs, ErasureArgs, ForbiddenArgs};
use crate::store::Explained;
use rolekeeper_domain::explanation::{Explanation, unknown};

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper explain 'auth0|6132829445244d0069782a78'
  rolekeeper explain 'auth0|6132829445244d0069782a78' --json | jq '.roles[].why'

Exit code: 0 explained, 1 unknown or erased user, wrong arguments or another error.";

/// Explains the roles of a user from what is stored: which rule, count and event decided, each decision and write, and why a change
/// waits. Reads only, in one transaction, so a role of Postgres with SELECT alone is enough; it makes no call to Auth0.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    erasure: ErasureArgs,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// Auth0 user id, such as `auth0|6132829445244d0069782a78`; any id of a person with linked accounts
    #[arg(value_name = "USER_ID")]
    user: String,
    /// Most decisions and most writes to show
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// One JSON object with all that is shown, and the sentences in `why`, `waits`, `obstacles` and `not_known`
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ExplainArgs) -> Result<()> {
    let ExplainArgs {
        database,
        erasure,
        forbidden,
        user,
        limit,
        json,
    } = args;
    let (database, key) = erasure.checked_if_set(&database)?;
    id(&user)?;
    let store = app::connect_to_read(&database).await?.with_erasure_key(key);
    let stored = match store.explain(&user, limit.into()).await? {
        Explained::Known(stored) => stored,
        Explained::Erased => bail!(
            "{user}: the user was erased, so no data is stored and rolekeeper never changes the user's roles; `rolekeeper readmit` \
             ends that"
        ),
        Explained::Unknown {
            maybe_erased,
            counted_to,
        } => bail!("{}", unknown(&user, maybe_erased, counted_to)),
    };
    let explanation = Explanation::of(*stored, &forbidden.roles());
    if json {
        output::json(&explanation)?;
    } else {
        output::to_stdout(format_args!("{}", text::of(&explanation)));
    }
    Ok(())
}
