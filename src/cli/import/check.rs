//! The check of all lines of a file, with a word on each bad one.
//!
//! Must never pass on a file with bad lines, or without lines.

use anyhow::{Result, bail};
use tokio_util::sync::CancellationToken;

use super::super::bad_lines;
use crate::flow::import::{self, Checked};
use crate::flow::line_file::Kept;
use rolekeeper_domain::plural::noun;

/// Checks all lines. Fails if there are bad ones, or none.
pub(super) async fn all_checked(kept: Kept, stop: &CancellationToken) -> Result<(Checked, Kept)> {
    let stopped = stop.clone();
    let (checked, kept) =
        bad_lines::checked(kept, move |kept, report| import::check(kept, &stopped, report)).await?;
    if stop.is_cancelled() {
        bail!("interrupted while the lines were checked: nothing was counted");
    }
    let Checked { good, bad, .. } = checked;
    if bad > 0 && checked.format.is_none() {
        bail!("the first line is none of NDJSON or CSV: nothing was counted");
    }
    if bad > 0 {
        bail!(
            "{bad} bad {}, {good} good {}: nothing was counted. Correct or remove the bad lines",
            noun(bad, "line", "lines"),
            noun(good, "one", "ones")
        );
    }
    if good == 0 {
        bail!("no line with plays: nothing was counted");
    }
    Ok((checked, kept))
}
