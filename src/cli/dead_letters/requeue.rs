//! `rolekeeper dead-letters requeue`: folds the messages of letters again.
//!
//! Owns which letters are taken, one after the other, and the report. Must never decide what a message means: the fold does.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::super::interrupt::Interrupt;
use super::super::output::say;
use super::list::reasons;
use super::{show, shown};
use crate::app;
use crate::bus::STREAMS;
use crate::config::{ReasonedArgs, RequeueLettersArgs};
use crate::flow::fold::requeue::{Requeue, Requeued};
use crate::store::{Handled, Letter, LetterFilter, LetterKey, Store};

/// Letters read at once.
const PAGE: i64 = 200;

/// Folds the messages of dead letters again, each in its place in the stream's order: a play counts, unless its playlist was
/// deleted since; a saving or a deletion counts, unless a later one was folded. A message is folded at most once, however often
/// this is repeated or interrupted, and one that still cannot be read waits as before. Exit code 1 when one of them still waits.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    rolekeeper dead-letters requeue APP_EVENTS 4711 4712 --why \"ticket 123: the index is repaired\"\n  \
    rolekeeper dead-letters requeue --reason unknown_type --why \"release 0.2 reads them\"")]
pub(super) struct RequeueArgs {
    #[command(flatten)]
    settings: RequeueLettersArgs,
    /// The stream of the messages; with --reason, both streams if it is not given
    #[arg(value_parser = STREAMS, required_unless_present = "reason")]
    stream: Option<String>,
    /// Sequences of the messages in the stream
    #[arg(
        value_name = "SEQ",
        required_unless_present = "reason",
        conflicts_with = "reason",
        value_parser = clap::value_parser!(i64).range(1..)
    )]
    seqs: Vec<i64>,
    /// All that wait with this reason
    #[arg(long, value_parser = reasons())]
    reason: Option<String>,
    /// The events have not counted in another way: needed where rolekeeper cannot know, since their ids are no longer remembered
    /// (`DEDUP_WINDOW`), or the cursor was set back
    #[arg(long)]
    not_counted: bool,
    #[command(flatten)]
    act: ReasonedArgs,
}

/// The numbers of the report.
#[derive(Default)]
struct Report {
    folded: u64,
    without_effect: u64,
    waiting: u64,
}

pub(super) async fn run(args: RequeueArgs) -> Result<ExitCode> {
    let RequeueArgs {
        settings,
        stream,
        seqs,
        reason,
        not_counted,
        act,
    } = args;
    let config = settings.checked()?;
    let store = app::connect(&config.database)
        .await?
        .with_erasure_key(config.erasure_key);
    store.check_erasure_key().await?;
    let bus = app::bus(&config.bus).await?;
    let rules = store.rules_in_force().await?;
    let rules = rules
        .context("no rules are in force yet: start a worker first")?
        .rules;
    let mut requeue = Requeue::new((&store, &bus), rules, config.own, not_counted);
    let (mut report, mut interrupt) = (Report::default(), Interrupt::catch()?);
    let mut pages = Pages {
        filter: LetterFilter {
            stream,
            reason,
            ..LetterFilter::default()
        },
        seqs,
        after: None,
    };
    while let Some(page) = pages.next(&store, &mut report).await? {
        for letter in page {
            if interrupt.is_requested() {
                bail!(
                    "interrupted: {}. To continue, run the command again",
                    report.text()
                );
            }
            let arguments = json!({"stream": letter.key.stream, "seq": letter.key.seq});
            let act = act.act("dead-letters requeue", arguments);
            let requeued = requeue.letter(&letter, &act).await;
            let requeued =
                requeued.with_context(|| format!("{}; to continue, run the command again", report.text()))?;
            say!("{}: {}", shown::name(&letter.key), report.take(&requeued));
        }
    }
    say!("{}", report.text());
    Ok(if report.waiting > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The letters to take, page by page.
struct Pages {
    filter: LetterFilter,
    /// The named ones; empty where the filter names a reason.
    seqs: Vec<i64>,
    after: Option<LetterKey>,
}

impl Pages {
    async fn next(&mut self, store: &Store, report: &mut Report) -> Result<Option<Vec<Letter>>> {
        if let (Some(stream), None) = (&self.filter.stream, &self.filter.reason) {
            let mut named = Vec::new();
            self.seqs.sort_unstable();
            self.seqs.dedup();
            for seq in std::mem::take(&mut self.seqs) {
                let letters = show::at(store, stream, seq).await?;
                if letters.is_empty() {
                    say!("{stream} {seq}: no such dead letter");
                    report.waiting += 1;
                }
                named.extend(letters);
            }
            return Ok(Some(named).filter(|named| !named.is_empty()));
        }
        let page = store.letters(&self.filter, self.after.as_ref(), PAGE).await?;
        self.after = page.last().map(|letter| letter.key.clone());
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

impl Report {
    /// Counts a result and returns its text.
    fn take(&mut self, requeued: &Requeued) -> String {
        let number = match requeued {
            Requeued::Done(Handled::Folded) => &mut self.folded,
            Requeued::Refused(_) => &mut self.waiting,
            _ => &mut self.without_effect,
        };
        *number += 1;
        match requeued {
            Requeued::Done(handled) => effect(*handled).to_owned(),
            Requeued::Erased => "removed: it names an erased user".to_owned(),
            Requeued::Before(handled) => format!("was handled before ({handled}), nothing changed"),
            Requeued::Gone => "was removed meanwhile".to_owned(),
            Requeued::Refused(why) => format!("still waits: {}", shown::line(why)),
        }
    }

    fn text(&self) -> String {
        let Self {
            folded,
            without_effect,
            waiting,
        } = self;
        format!("{folded} folded, {without_effect} without an effect, {waiting} not folded")
    }
}

fn effect(handled: Handled) -> &'static str {
    match handled {
        Handled::Folded => "folded",
        Handled::Duplicate => "not counted: its event has counted before",
        Handled::Superseded => "not counted: the playlist was saved or deleted since, and that holds",
        Handled::OtherTenant => "dropped: a record of another tenant",
        Handled::Discarded => "discarded",
    }
}
