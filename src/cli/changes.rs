//! `rolekeeper changes`: decided grants and revokes over time.
//!
//! Owns the columns. Must never print a number that was counted to its bound without a mark.

use anyhow::Result;
use clap::Args;

use super::output::{self, say};
use super::table::{Side, Table};
use crate::app;
use crate::config::DatabaseArgs;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::view::changes::{Changes, Period};

/// Shows the grants and revokes that were decided in the last hour, day or week, for each span of time, newest first. In shadow mode they
/// are decided and not written. It changes nothing.
#[derive(Args, Debug)]
pub(super) struct ChangesArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The period: hour (by minutes), day (by half hours) or week (by three hours)
    #[arg(long, value_name = "PERIOD", default_value = "day", value_parser = Period::ALL.map(Period::word))]
    period: String,
    /// One JSON object: the length of a span, and the spans, oldest first
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: ChangesArgs) -> Result<()> {
    let ChangesArgs {
        database,
        period,
        json,
    } = args;
    let store = app::connect_to_read(&database.checked()?).await?;
    let period = Period::named(&period).unwrap_or_default();
    let changes = store.changes(period).await?;
    if json {
        output::json(&changes)?;
    } else {
        say!("{}", changes.title(period));
        output::to_stdout(format_args!("{}", table(&changes)));
    }
    Ok(())
}

fn table(changes: &Changes) -> String {
    let mut table = Table::new([
        ("from", Side::Left),
        ("grants", Side::Right),
        ("revokes", Side::Right),
    ]);
    for span in changes.spans.iter().rev() {
        table.row([
            moment(span.from),
            span.granted.to_string(),
            span.revoked.to_string(),
        ]);
    }
    table.lines("")
}
