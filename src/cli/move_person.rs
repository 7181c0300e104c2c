//! `rolekeeper move`: a person has another id, and no link at Auth0 says so.
//!
//! Owns the questions to Auth0 and the report. Must never move an id that Auth0 still knows, OLD or one that was linked to it: two
//! accounts would hold what one person earned.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::ask::{Tenant, id};
use super::id_file;
use super::output::say;
use super::pin::later;
use crate::app;
use crate::config::{Auth0Args, DatabaseArgs, ErasureArgs, ReasonedArgs};
use crate::flow::presence::Presence;
use crate::store::{MoveOutcome, Pinned, Store};

/// Moves a person to another Auth0 id, where no link at Auth0 says so: the account was made again, or its connection was
/// migrated. Playlists, roles, pins and names of OLD count for NEW from then on, also what later events say about OLD. Auth0
/// must know NEW and no longer know OLD.
#[derive(Args, Debug)]
pub(super) struct MoveArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    erasure: ErasureArgs,
    #[command(flatten)]
    auth0: Auth0Args,
    /// Auth0 user id that the person had
    #[arg(value_name = "OLD", required_unless_present = "file")]
    old: Option<String>,
    /// Auth0 user id that the person has now
    #[arg(value_name = "NEW", required_unless_present = "file")]
    new: Option<String>,
    /// In place of `OLD` and `NEW`: a file with both on each line, separated by a tab. A line that fails is named by its number, and the
    /// others go on
    #[arg(long, value_name = "FILE", conflicts_with_all = ["old", "new"])]
    file: Option<PathBuf>,
    /// End the move instead: each id has its own data again
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    act: ReasonedArgs,
}

/// The parts that all moves of one command share.
struct Mover {
    store: Store,
    /// None: the moves are undone.
    tenant: Option<Tenant>,
    act: ReasonedArgs,
}

pub(super) async fn run(args: MoveArgs) -> Result<()> {
    let MoveArgs {
        database,
        erasure,
        auth0,
        old,
        new,
        file,
        undo,
        act,
    } = args;
    let asked = (!undo).then_some(&auth0);
    let (database, key, auth0) = erasure.checked_with(&database, asked, false)?;
    let store = app::connect(&database).await?.with_erasure_key(key);
    let tenant = match auth0 {
        Some(auth0) => Some(Tenant::of(&store, &auth0, file.is_some()).await?),
        None => None,
    };
    let mover = Mover { store, tenant, act };
    let Some(file) = file else {
        return mover
            .moves(&old.unwrap_or_default(), &new.unwrap_or_default())
            .await;
    };
    let line = async |line: &str| {
        let ids = line.split_once('\t');
        let (old, new) = ids.context("expected two ids, separated by a tab")?;
        mover.moves(old.trim(), new.trim()).await
    };
    id_file::for_each(&file, line).await
}

impl Mover {
    async fn moves(&self, old: &str, new: &str) -> Result<()> {
        let (old, new) = (id(old)?, id(new)?);
        if old == new {
            bail!("{}: both ids are the same", old.as_str());
        }
        let (store, undo) = (&self.store, self.tenant.is_none());
        let (old_id, new_id) = (old.as_str(), new.as_str());
        let arguments = json!({"user": old_id, "to": new_id, "undo": undo});
        let act = self.act.act("move", arguments);
        let outcome = if let Some(tenant) = &self.tenant {
            refuse_old(old_id, new_id, tenant.knows(&old).await?)?;
            refuse_new(new_id, tenant.knows(&new).await?)?;
            let linked = Linked::of(store, tenant, (old_id, new_id)).await?;
            let outcome = store.move_person((old_id, new_id), &linked.along, &act).await?;
            if matches!(outcome, MoveOutcome::Moved(_)) {
                linked.report(old_id);
            }
            outcome
        } else {
            store.undo_move(old_id, new_id, &act).await?
        };
        report(store, (old_id, new_id), outcome).await
    }
}

/// Refuses an old id that Auth0 knows.
fn refuse_old(old: &str, new: &str, known: Presence) -> Result<()> {
    match known {
        Presence::Absent => Ok(()),
        Presence::Account => bail!(
            "{old}: Auth0 still knows this user, so nothing was moved: both accounts would hold the roles. Delete {old} at \
             Auth0 first; or link it to {new} there, then everything follows without this command"
        ),
        Presence::LinkedTo(primary) => bail!(
            "{old}: the id is linked to {} at Auth0, so nothing was moved: everything follows the link without this command",
            primary.as_str()
        ),
    }
}

/// Refuses a new id that is no account.
fn refuse_new(new: &str, known: Presence) -> Result<()> {
    match known {
        Presence::Account => Ok(()),
        Presence::Absent => bail!("{new}: Auth0 does not know this user, so nothing was moved"),
        Presence::LinkedTo(primary) => bail!(
            "{new}: the id is linked to {primary} at Auth0, so nothing was moved: name {primary} in its place",
            primary = primary.as_str()
        ),
    }
}

/// The ids that were linked to the old one.
#[derive(Default)]
struct Linked {
    /// They follow to the new one.
    along: Vec<String>,
    /// Auth0 knows these, each as this.
    apart: Vec<(String, String)>,
}

impl Linked {
    async fn of(store: &Store, tenant: &Tenant, (old, new): (&str, &str)) -> Result<Self> {
        let mut linked = Self::default();
        for one in store.linked_to(old).await? {
            if one == new {
                continue;
            }
            match tenant.knows(&id(&one)?).await? {
                Presence::Account => linked.apart.push((one, "an account".to_owned())),
                // A search may still find the deleted account.
                Presence::LinkedTo(primary) if primary.as_str() != old => {
                    linked
                        .apart
                        .push((one, format!("linked to {}", primary.as_str())));
                }
                Presence::LinkedTo(_) | Presence::Absent => linked.along.push(one),
            }
        }
        Ok(linked)
    }

    fn report(&self, old: &str) {
        for (one, known) in &self.apart {
            say!("{one}: was linked to {old}, and stays: Auth0 knows it as {known}");
        }
    }
}

async fn report(store: &Store, (old, new): (&str, &str), outcome: MoveOutcome) -> Result<()> {
    match outcome {
        MoveOutcome::Moved(linked) => {
            say!("{old}: moved to {new}, who is reconciled next");
            for id in linked {
                say!("{id}: was linked to {old}, and follows to {new}");
            }
            report_pins(
                store,
                old,
                &format!("counts for {new} too, where off outweighs on"),
            )
            .await?;
        }
        MoveOutcome::Again => say!("{old}: was moved to {new} before; {new} is reconciled next"),
        MoveOutcome::Undone => {
            say!("{old}: no longer moved to {new}; both are reconciled next");
            report_pins(store, old, &format!("no longer counts for {new}")).await?;
            report_pins(store, new, "stays").await?;
        }
        MoveOutcome::BelongsTo(other) => bail!(
            "{old}: the id belongs to {other} already, so nothing was moved. If that was a move: rolekeeper move '{old}' \
             '{other}' --undo --why TEXT"
        ),
        MoveOutcome::NewBelongsTo { account, next } if account == old => bail!(
            "{new}: the id belongs to {old}, so nothing was moved: a move back would be a circle. If that was a move: \
             rolekeeper move '{new}' '{}' --undo --why TEXT",
            next.as_deref().unwrap_or(old)
        ),
        MoveOutcome::NewBelongsTo { account, .. } => {
            bail!("{new}: the id belongs to {account}, so nothing was moved: name '{account}' in its place")
        }
        MoveOutcome::Unknown => {
            bail!("{old}: nothing is stored about this user, so there is nothing to move")
        }
        MoveOutcome::Erased(erased) => bail!(
            "{erased}: the user was erased, so nothing was moved. If the user has come back: rolekeeper readmit '{erased}'"
        ),
        MoveOutcome::NotMoved(None) => bail!("{old}: was not moved to {new}, so there is nothing to undo"),
        MoveOutcome::NotMoved(Some(other)) => bail!(
            "{old}: was moved to {other}, not to {new}, so nothing was undone: rolekeeper move '{old}' '{other}' --undo --why TEXT"
        ),
    }
    later(store).await
}

/// Names the pins of an id, and of ids that were moved to it before.
async fn report_pins(store: &Store, id: &str, becomes: &str) -> Result<()> {
    for Pinned {
        user, role, on, why, ..
    } in store.pins_of_ids(id).await?
    {
        let state = if on { "on" } else { "off" };
        say!("{user}: its pin {role} {state} ({why}) {becomes}");
    }
    Ok(())
}
