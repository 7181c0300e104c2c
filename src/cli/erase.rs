//! `rolekeeper erase`: erases a user permanently.
//!
//! Owns the question to Auth0 and the report to the operator. Must never erase without the key: nothing would keep late events
//! out. Must never erase a user that Auth0 knows, unless the operator insists: the user's roles would stay for ever.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::ask::{Tenant, id, whole_id};
use super::id_file;
use super::output::say;
use crate::app;
use crate::config::{ActArgs, Auth0Args, DatabaseArgs, ErasureArgs};
use crate::flow::presence::Presence;
use crate::store::Store;
use rolekeeper_domain::act::Act;
use rolekeeper_domain::erasure::ErasureKey;
use rolekeeper_domain::plural::noun;

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
    #[arg(value_name = "USER_ID", required_unless_present = "file")]
    user: Option<String>,
    /// In place of `USER_ID`: a file with a user id on each line. A line that fails is named by its number, and the others go on
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    file: Option<PathBuf>,
    /// Erase without asking Auth0. A role that the user holds there stays, since rolekeeper no longer changes it
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    act: ActArgs,
}

/// The parts that all erasures of one command share.
struct Eraser {
    store: Store,
    /// None: Auth0 is not asked.
    tenant: Option<Tenant>,
    key: ErasureKey,
    act: Act,
}

pub(super) async fn run(args: EraseArgs) -> Result<()> {
    let EraseArgs {
        database,
        erasure,
        auth0,
        user,
        file,
        force,
        act,
    } = args;
    let asked = (!force).then_some(&auth0);
    let (database, key, auth0) = erasure.checked_with(&database, asked, true)?;
    let key = key.context("ERASURE_KEY: not set")?;
    if let Some(user) = &user {
        whole_id(user)?;
    }
    // The recorded act names the user by the pseudonym only.
    let act = act.act("erase", json!({"force": force}));
    let store = app::connect(&database).await?;
    let tenant = match auth0 {
        Some(auth0) => Some(Tenant::of(&store, &auth0, file.is_some()).await?),
        None => None,
    };
    let eraser = Eraser {
        store,
        tenant,
        key,
        act,
    };
    match (file, user) {
        (Some(file), _) => id_file::for_each(&file, async |user| eraser.erase(user).await).await,
        (None, user) => eraser.erase(&user.unwrap_or_default()).await,
    }
}

impl Eraser {
    async fn erase(&self, user: &str) -> Result<()> {
        let user = whole_id(user)?;
        let user = user.as_str();
        if let Some(tenant) = &self.tenant {
            refuse_living(&self.store, tenant, user).await?;
        }
        let users = [user.to_owned()];
        for person in self.store.erase(&users, &self.key, &self.act, false).await? {
            say!(
                "{}: erased{}; {} {} removed or made anonymous. Later events and records that name the user are dropped. \
                 Messages in the streams stay until their retention ends.",
                person.ids.join(", "),
                if person.before { " again" } else { "" },
                person.rows,
                noun(person.rows, "row", "rows")
            );
            if person.rows == 0 && !person.before {
                say!(
                    "Nothing was stored of it: check the id. `rolekeeper readmit` ends the erasure of an id"
                );
            }
        }
        Ok(())
    }
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
