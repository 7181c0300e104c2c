//! The end of the hold of an import's users: with its file, or by its id where the file is lost.
//!
//! Must never count a line.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::super::output::remark;
use super::super::progress::Progress;
use crate::config::ActArgs;
use crate::flow::import;
use crate::store::Store;
use rolekeeper_domain::act::Act;
use rolekeeper_domain::explanation::plain;
use rolekeeper_domain::forbidden::ForbiddenRoles;
use rolekeeper_domain::preview::Asked;
use rolekeeper_domain::rule::Rules;

/// Digits of a SHA-256 in hex.
const DIGITS: usize = 64;

/// The id of an import, if this names one rather than a file.
pub(super) fn id(name: &Path) -> Option<String> {
    let text = name.to_str()?;
    let is_id = text.len() == DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_id && !name.exists()).then(|| text.to_ascii_lowercase())
}

/// Ends the hold of the import with this id.
pub(super) async fn by_id(
    store: &Store,
    forbidden: &ForbiddenRoles,
    id: &str,
    act: ActArgs,
) -> Result<ExitCode> {
    store.stop_import(id).await?;
    let import = store.import(id).await?;
    let import = import.with_context(|| {
        format!("{id}: this database has no import with this id: table imports has them, as source")
    })?;
    let in_force = super::super::rules::in_force(store).await?;
    let file = plain(&import.file);
    if import.ended_at.is_none() {
        remark!(
            "the import of {file} has not ended: lines 1 to {} were counted, and no more will be",
            import.through
        );
    }
    let told = json!({"file": file, "sha256": id, "lines": import.through, "release": true});
    let act = act.act("import", told);
    let_go(store, &in_force.rules, forbidden, id, &act).await?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the hold.
pub(super) async fn let_go(
    store: &Store,
    rules: &Rules,
    forbidden: &ForbiddenRoles,
    source: &str,
    act: &Act,
) -> Result<()> {
    let asked = Asked {
        rules,
        in_force: None,
        forbidden,
    };
    let mut progress = Progress::new("users", None);
    let released = import::release(store, &asked, source, act, |users| progress.at(users)).await;
    progress.clear();
    let users = released.context("run the command again, which is safe")?;
    remark!("users whose roles are no longer held: {users}; the worker makes the changes that are due");
    Ok(())
}
