//! The file with users to begin with.
//!
//! Owns the errors about a file that cannot be used: file, entry, field and way out. Must never judge a profile: the tenant
//! does.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rolekeeper_sandbox::tenant::Tenant;
use serde_json::Value;

/// The entries of the file.
pub(super) fn read(file: &Path) -> Result<Vec<Value>> {
    let flag = || format!("--users {}", file.display());
    let text = fs::read(file)
        .with_context(|| format!("{}: the file cannot be read; check path and permissions", flag()))?;
    let content: Value = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{}: the file is not JSON; one user a line becomes an array with `jq -s .`",
            flag()
        )
    })?;
    let found = match content {
        Value::Array(users) => return Ok(users),
        Value::Object(object) if object.contains_key("users") => "an object; take its field `users`",
        Value::Object(_) => "an object; put one user into [ ]",
        _ => "another value",
    };
    bail!(
        "{}: the file must hold a JSON array of users, but holds {found}",
        flag()
    )
}

/// Puts every entry into the tenant; `file` is named by the error.
pub(super) fn load(tenant: &Tenant, file: &Path, users: Vec<Value>) -> Result<()> {
    for (place, user) in users.into_iter().enumerate() {
        let id = user["user_id"]
            .as_str()
            .map(|id| format!(" ({id})"))
            .unwrap_or_default();
        tenant.import_user(user).map_err(|why| {
            let (file, entry) = (file.display(), place + 1);
            anyhow::anyhow!("--users {file}: entry {entry}{id}: {why}; correct the entry or take it out")
        })?;
    }
    Ok(())
}
