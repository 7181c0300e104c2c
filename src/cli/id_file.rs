//! Files of user ids, for a command that acts on many users.
//!
//! Owns the lines: a line that fails is named by its number and stops no other, unless Postgres or Auth0 fails. Must never
//! remember which lines are done: the command is safe to repeat.

use std::path::Path;

use anyhow::{Context as _, Error, Result, bail};

use super::output::{remark, say};
use crate::auth0::{CallError, LaterWhy};
use crate::store::StoreError;
use rolekeeper_domain::byte_order_mark::without_mark;

/// Acts on each line that is not blank.
pub(super) async fn for_each(file: &Path, act: impl AsyncFn(&str) -> Result<()>) -> Result<()> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("--file {shown}"))?;
    let (mut done, mut failed) = (0, 0);
    for (number, line) in (1..).zip(without_mark(&text).lines().map(str::trim)) {
        if line.is_empty() {
            continue;
        }
        match act(line).await {
            Ok(()) => done += 1,
            Err(error) if ends_all(&error) => {
                bail!(
                    "{shown}, line {number}: {error:#}. Lines done before it: {done}; run the command again, which is safe"
                )
            }
            Err(error) => {
                remark!("{shown}, line {number}: {error:#}");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        bail!(
            "{shown}: lines done: {done}, failed: {failed}; correct these and run the command again, which is safe"
        );
    }
    say!("{shown}: lines done: {done}");
    Ok(())
}

/// Whether the error concerns more than one user.
fn ends_all(error: &Error) -> bool {
    let of_call = |error: &CallError| {
        !matches!(
            error,
            CallError::Refused { .. }
                | CallError::Later {
                    why: LaterWhy::BadAnswer | LaterWhy::NotFound,
                    ..
                }
        )
    };
    error.is::<StoreError>() || error.downcast_ref::<CallError>().is_some_and(of_call)
}
