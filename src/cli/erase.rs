//! `rolekeeper erase`: erases a user permanently.
//!
//! Owns the question to Auth0 and the report to the operator. Must never erase without the key: nothing would keep late events
//! out. Must never erase a user that Auth0 knows, unless the operator insists: the user's roles would stay for ever.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::ask::{Tenant, id, whole_id};
use super::output::say;
use crate::app;
use crate::config::{ActArgs, Auth0Args, DatabaseArgs, ErasureArgs};
use crate::flow::presence::Presence;
use crate::store::Store;

/// Removes all stored data about the user and all other ids of the same person, and drops later events and records that name
/// them. It cannot be undone. Delete the user at Auth0 first: while Auth0 knows the user, nothing is erased.
#[derive(Args, Debug)]
pub(super) struct EraseArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    erasure: ErasureArgs,
    #[command(flatten)]
    auth0: Auth0Args,
    /// Auth0 user id, such as `auth0|6132829445244d0069782a78`
    #[arg(value_name = "USER_ID")]
    user: String,
    /// Erase without asking Auth0. A role that the user holds there stays, since rolekeeper no longer changes it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: EraseArgs) -> Result<()> {
    let EraseArgs {
        database,
        erasure,
        auth0,
        user,
        force,
        act,
    } = args;
    let asked = (!force).then_some(&auth0);
    let (database, key, auth0) = erasure.checked_with(&database, asked, true)?;
    let key = key.context("ERASURE_KEY: not set")?;
    let user = whole_id(&user)?;
    let user = user.as_str();
    // The recorded act names the user by the pseudonym only.
    let act = act.act("erase", json!({"force": force}));
    let store = app::connect(&database).await?;
    if let Some(auth0) = auth0 {
        refuse_living(&store, &Tenant::of(&store, &auth0).await?, user).await?;
    }
    let erased = store.erase(&[user.to_owned()], &key, &act, false).await?;
    for person in erased {
        say!(
            "{}: erased{}; {} rows removed or made anonymous. Later events and records that name the user are dropped. \
             Messages in the streams stay until their retention ends.",
            person.ids.join(", "),
            if person.before { " again" } else { "" },
            person.rows
        );
        if person.rows == 0 && !person.before {
            say!("Nothing was stored of it: check the id. `rolekeeper readmit` ends the erasure of an id");
        }
    }
    Ok(())
}

/// Refuses while Auth0 knows one of the person's ids.
async fn refuse_living(store: &Store, tenant: &Tenant, user: &str) -> Result<()> {
    let ids = store.ids_of_person(user).await?;
    for one in &ids {
        let account = match tenant.knows(&id(one)?).await? {
            Presence::Absent => continue,
            Presence::Account => one.clone(),
            Presence::LinkedTo(primary) => primary.as_str().to_owned(),
        };
        bail!(
            "{one}: Auth0 still knows this user{}, so nothing was erased: rolekeeper would never revoke the user's roles again. \
             Delete the user at Auth0 first. If the account is to stay: pin its roles off (`rolekeeper pin`), wait until they \
             are revoked, then repeat with --force",
            if account == *one {
                String::new()
            } else {
                format!(", by the account {account}")
            }
        );
    }
    Ok(())
}
