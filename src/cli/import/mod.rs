//! `rolekeeper import`: counts a file of past plays or counts, and holds the roles of its users until the operator has seen the plan.
//!
//! Owns the order: all lines are checked, then counted, then the plan is shown. Must never count a line of a file with bad lines.

mod check;
mod release;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::bad_lines::on_thread;
use super::interrupt::Interrupt;
use super::output::{remark, say};
use super::plan::{OutputArgs, Plan, Users};
use super::progress::Progress;
use super::rules;
use crate::app;
use crate::config::{ActArgs, DatabaseArgs, ForbiddenArgs};
use crate::flow::fold::import::CountError;
use crate::flow::import::{self, Checked, ImportError};
use crate::flow::line_file::{Kept, Source};
use crate::store::imports::Effect;
use crate::store::{InForce, Store};
use check::all_checked;
use release::{by_id, id, let_go};
use rolekeeper_domain::act::Act;
use rolekeeper_domain::explanation::{moment, plain};
use rolekeeper_domain::forbidden::ForbiddenRoles;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  rolekeeper import counts.csv --why \"counts of the old system\"
  rolekeeper import plays.ndjson -o import.plan
  rolekeeper apply import.plan --why \"checked\"
  zcat plays.ndjson.gz | rolekeeper import - --release

Exit code: 0 counted, and no role is held; 1 an error, or wrong arguments; 2 counted, and roles are held until the plan is applied or released.";

/// Adds past plays or counts to the facts: one JSON object a line, or CSV with the names of the columns in the first line. A play has
/// `event_id`, `playlist_id` and perhaps `played_at`; a count has `playlist_id` and `plays`. All lines are checked first, and nothing of
/// a file with bad lines is counted. Each line counts once, however often the file is imported, and an interrupted import continues
/// where it was. The roles of the owners of these playlists are held from the first line on; the plan shows who would gain or lose a
/// role, and `rolekeeper apply` with this plan, or `--release`, lets the roles change. Other events, such as who owns a playlist, are
/// sent with `rolekeeper publish`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    forbidden: ForbiddenArgs,
    /// The file, NDJSON or CSV; `-` for standard input. Blank lines are left out. With --release also the id of an import (SHA-256 of
    /// its file), where the file is lost
    file: PathBuf,
    /// Let the roles change once all lines are counted, without a plan; also of a file that was imported before
    #[arg(long, conflicts_with_all = ["output", "all", "json"])]
    release: bool,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    act: ActArgs,
}

pub(super) async fn run(args: ImportArgs) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    let ended = Interrupt::bounds(Box::pin(import_file(args, &stop)), || stop.cancel()).await?;
    ended.unwrap_or_else(|| bail!("interrupted: to continue, run the command again with the same file"))
}

async fn import_file(args: ImportArgs, stop: &CancellationToken) -> Result<ExitCode> {
    let ImportArgs {
        database,
        forbidden,
        file,
        release,
        output,
        act,
    } = args;
    let (database, forbidden) = (database.checked()?, forbidden.roles());
    if let Some(id) = id(&file).filter(|_| release) {
        return by_id(&app::connect(&database).await?, &forbidden, &id, act).await;
    }
    let (source, name) = (Source::named(&file), plain(&file.display().to_string()));
    let kept = on_thread(move || Ok(source.copied()?)).await?;
    let (checked, kept) = all_checked(kept, stop).await.with_context(|| name.clone())?;
    let told = json!({"file": name, "sha256": checked.source, "lines": checked.last, "release": release});
    let act = act.act("import", told);
    let store = app::connect(&database).await?;
    let in_force = rules::in_force(&store).await?;
    let run = Run {
        store,
        in_force,
        forbidden,
        checked,
        act,
    };
    let counted = effect(&run.count(&kept, &name, stop).await?);
    if output.is_json() {
        remark!("{counted}");
    } else {
        say!("{counted}");
    }
    run.shown(release, &output).await
}

/// An import of a checked file.
struct Run {
    store: Store,
    in_force: InForce,
    forbidden: ForbiddenRoles,
    checked: Checked,
    act: Act,
}

impl Run {
    /// Counts the lines that are not counted yet; returns the effect of all of them.
    async fn count(&self, kept: &Kept, name: &str, stop: &CancellationToken) -> Result<Effect> {
        let (store, source) = (&self.store, self.checked.source.as_str());
        store
            .begin_import(source, name, self.checked.last.cast_signed())
            .await?;
        let before = store.import(source).await?.context("the import is not noted")?;
        if let Some(ended) = before.ended_at {
            let file = plain(&before.file);
            remark!(
                "all lines of this file were counted at {}, as {file}: nothing is counted again",
                moment(ended)
            );
        } else {
            if let Some(at) = before.stopped_at {
                bail!(
                    "this import was released before its end, at {}: no more of its lines are counted. To repeat the release: rolekeeper \
                     import --release {source}",
                    moment(at)
                );
            }
            if before.through > 0 {
                remark!(
                    "lines 1 to {} were counted by an earlier run; this one continues",
                    before.through
                );
            }
            let import = import::Import {
                store,
                rules: &self.in_force.rules,
                checked: &self.checked,
                act: &self.act,
                stop: stop.clone(),
            };
            let left = self.checked.good.saturating_sub(before.effect.lines());
            let mut progress = Progress::new("lines", Some(left));
            let counted = import
                .run(kept.reader()?, before.through, |done| progress.at(done))
                .await;
            progress.clear();
            if let Err(ImportError::Count(released @ CountError::Released)) = counted {
                return Err(released.into());
            }
            counted.with_context(|| {
                format!(
                    "to continue, run the command again with the same file: each line counts once. Without that file, end the hold with: \
                     rolekeeper import --release {source}"
                )
            })?;
        }
        let now = store.import(source).await?.context("the import is not noted")?;
        Ok(now.effect)
    }

    /// Lets the roles change.
    async fn let_go(&self) -> Result<()> {
        let (rules, source) = (&self.in_force.rules, self.checked.source.as_str());
        let_go(&self.store, rules, &self.forbidden, source, &self.act).await
    }

    /// Shows the plan, or lets the roles change.
    async fn shown(&self, release: bool, output: &OutputArgs) -> Result<ExitCode> {
        let source = self.checked.source.as_str();
        let import = self.store.import(source).await?;
        if let Some(at) = import.and_then(|import| import.released_at) {
            remark!("the roles of its users are not held since {}", moment(at));
            return Ok(ExitCode::SUCCESS);
        }
        if release {
            self.let_go().await?;
            return Ok(ExitCode::SUCCESS);
        }
        let plan = Plan {
            store: self.store.clone(),
            forbidden: &self.forbidden,
            proposed: None,
            users: Users::OfImport(source),
        };
        let code = plan.make(output).await?;
        if code == ExitCode::SUCCESS {
            self.let_go().await?;
        } else if code != ExitCode::FAILURE {
            remark!(
                "The roles of the users of this import are held. To let them change: rolekeeper apply PLAN with a plan of this command \
                 (-o PLAN), or the same command with --release"
            );
        }
        Ok(code)
    }
}

fn effect(effect: &Effect) -> String {
    let Effect {
        counted,
        known,
        no_effect,
        plays,
    } = effect;
    let mut text = format!("lines counted: {counted}; plays added: {plays}");
    if *known > 0 {
        let _ = write!(text, "; lines whose event_id had counted before: {known}");
    }
    if *no_effect > 0 {
        let _ = write!(
            text,
            "; lines without an effect, of deleted playlists or from before the present life of a playlist: {no_effect}"
        );
    }
    text
}
