//! `rolekeeper publish`: sends the events of a file to `APP_EVENTS`.
//!
//! Owns the report: how many lines are stored, and how to go on. Must never send a line of a file with bad lines, unless the
//! operator asks for it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::bad_lines::{self, Named, on_thread};
use super::interrupt::Interrupt;
use super::output::{remark, say};
use super::progress::Progress;
use crate::app;
use crate::config::BusArgs;
use crate::flow::line_file::{Bad, Kept, Source};
use crate::flow::publish_lines::{Checked, End, PublishLines, Sent, check, sent_again_within};
use rolekeeper_domain::plural::noun;

/// Exit code when some lines were not sent.
const SOME_NOT_SENT: u8 = 2;

/// Examples for `--help`.
const EXAMPLES: &str = "Examples:
  NATS_URL=nats://app:PASSWORD@host:4222 NATS_INBOX_PREFIX=_INBOX_app rolekeeper publish plays.ndjson
  zcat plays.ndjson.gz | rolekeeper publish - --from-line 2001

Exit code: 0 all lines are stored, 1 no line is known to be stored, or wrong arguments, 2 some lines were not sent.";

/// Sends play events to the stream APP_EVENTS: one JSON object a line, plain or a CloudEvent, as docs/app-events.md describes them,
/// each with its event id as the message id. All lines are checked first, by the parser that the fold uses, and nothing of a file
/// with bad lines is sent. Repeating the command is harmless within 10 minutes: the stream drops what it has by the message id.
/// Later, an event that was stored twice counts twice, unless `DEDUP_WINDOW` is on.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    bus: BusArgs,
    /// The file, one event a line; `-` for standard input. Blank lines are left out
    file: PathBuf,
    /// Leave bad lines out, and send the rest; lines of standard input are then sent as they arrive
    #[arg(long)]
    skip_bad: bool,
    /// Begin at this line: a run that ended early says at which
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from_line: u64,
    /// Longest time in seconds for which lines are sent again that the stream does not acknowledge; less than 10 minutes for lines
    /// that may be stored
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    retry_s: u64,
}

pub(super) async fn run(args: PublishArgs) -> Result<ExitCode> {
    let stop = CancellationToken::new();
    // A copy of standard input may wait for a line: it does not end by itself.
    let published = Interrupt::bounds(Box::pin(publish(args, &stop)), || stop.cancel()).await?;
    published.unwrap_or_else(|| bail!("interrupted while the lines were read: nothing was sent"))
}

async fn publish(args: PublishArgs, stop: &CancellationToken) -> Result<ExitCode> {
    let PublishArgs {
        bus,
        file,
        skip_bad,
        from_line,
        retry_s,
    } = args;
    let bus = bus.checked()?;
    let source = Source::named(&file);
    let (checked, reader) = if skip_bad {
        (None, source.once()?)
    } else {
        let kept = on_thread(move || Ok(source.kept()?)).await?;
        let (checked, kept) = all_checked(kept, from_line, stop).await?;
        let reader = kept.reader().with_context(|| file.display().to_string())?;
        (Some(checked), reader)
    };
    let publish = PublishLines {
        bus: app::bus(&bus).await?,
        from: from_line,
        checked,
        skip_bad,
        retry_for: Duration::from_secs(retry_s),
        stop: stop.clone(),
    };
    let (mut progress, mut named) = (
        Progress::new("lines", checked.map(|checked| checked.good)),
        Named::default(),
    );
    let sending = publish.run(reader, |sent, bad| {
        if bad.is_empty() {
            progress.at(sent.lines);
        } else {
            progress.clear();
            for one in bad {
                named.name(one);
            }
        }
    });
    let (sent, end) = sending.await;
    progress.clear();
    named.end();
    Ok(ended(&sent, &end, from_line))
}

/// Checks all lines. Fails if there are bad ones.
async fn all_checked(kept: Kept, from: u64, stop: &CancellationToken) -> Result<(Checked, Kept)> {
    let stopped = stop.clone();
    let check = move |kept: &Kept, report: &mut dyn FnMut(u64, Option<Bad>)| {
        check(kept.reader()?, from, &stopped, report)
    };
    let (checked, kept) = bad_lines::checked(kept, check).await?;
    let Checked { good, bad, .. } = checked;
    if stop.is_cancelled() {
        bail!("interrupted while the lines were checked: nothing was sent");
    }
    if bad > 0 {
        bail!(
            "{bad} bad {}, {good} good {}: nothing was sent. Correct the bad lines, or add --skip-bad to send the good ones",
            noun(bad, "line", "lines"),
            noun(good, "one", "ones")
        );
    }
    Ok((checked, kept))
}

/// Reports the end of a run.
fn ended(sent: &Sent, end: &End, from: u64) -> ExitCode {
    say!("{}", stored(sent));
    let why = match end {
        End::Done if sent.bad > 0 && sent.lines == 0 => return ExitCode::FAILURE,
        End::Done if sent.bad > 0 => return ExitCode::from(SOME_NOT_SENT),
        End::Done => return ExitCode::SUCCESS,
        End::NoLine => {
            remark!("rolekeeper: --from-line {from}: the file ends before this line, so nothing was sent");
            return ExitCode::FAILURE;
        }
        End::Stopped => "interrupted".to_owned(),
        End::NotStored(why) => why.to_string(),
        End::File(why) => why.clone(),
    };
    remark!("rolekeeper: {why}. {}", go_on(sent, from));
    if sent.lines == 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::from(SOME_NOT_SENT)
    }
}

fn stored(sent: &Sent) -> String {
    let mut text = format!("{} {} stored", sent.lines, noun(sent.lines, "line", "lines"));
    if sent.known > 0 {
        let _ = write!(
            text,
            ", {} of them before: the stream had their event_id",
            sent.known
        );
    }
    if sent.bad > 0 {
        let _ = write!(
            text,
            "; {} bad {} left out",
            sent.bad,
            noun(sent.bad, "line", "lines")
        );
    }
    text
}

/// How to send the rest.
fn go_on(sent: &Sent, from: u64) -> String {
    let next = sent.through + 1;
    let mut text = if sent.through < from {
        "No line is known to be stored".to_owned()
    } else {
        format!("All lines from {from} to {} are stored", sent.through)
    };
    let first_sent = sent.first_sent.filter(|_| sent.tried > sent.through);
    if first_sent.is_some() {
        let _ = write!(
            text,
            "; some of the lines {next} to {} may be stored too",
            sent.tried
        );
    }
    let _ = write!(text, ". To go on, run the command again with --from-line {next}");
    let Some(first_sent) = first_sent else {
        return text;
    };
    let left = sent_again_within().saturating_sub(first_sent.elapsed());
    let _ = match left.as_secs() {
        0 => write!(
            text,
            ", but look for the event_id of the lines {next} to {} in the stream first: they were sent about 10 minutes ago, so it no \
             longer drops what it has. A line that is stored twice counts twice, unless DEDUP_WINDOW is on",
            sent.tried
        ),
        seconds => write!(
            text,
            ", within {}: the stream drops what it has by its event_id. Later, a line that is stored twice counts twice, unless \
             DEDUP_WINDOW is on",
            if seconds < 60 {
                format!("{seconds} seconds")
            } else {
                format!("{} minutes", seconds / 60)
            }
        ),
    };
    text
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn the_way_on_names_the_lines() {
        let sent = Sent {
            lines: 1_990,
            bad: 10,
            through: 2_000,
            tried: 2_500,
            first_sent: Some(Instant::now()),
            ..Sent::default()
        };
        let text = go_on(&sent, 1);
        for part in [
            "lines from 1 to 2000 are stored",
            "lines 2001 to 2500 may be",
            "--from-line 2001, within 9 minutes",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(stored(&sent), "1990 lines stored; 10 bad lines left out");
        let long_ago = Sent {
            first_sent: Instant::now().checked_sub(Duration::from_mins(10)),
            ..sent
        };
        let text = go_on(&long_ago, 1);
        assert!(
            text.contains("of the lines 2001 to 2500 in the stream first"),
            "{text}"
        );
        let none = Sent {
            through: 6,
            tried: 6,
            ..Sent::default()
        };
        let text = go_on(&none, 7);
        assert!(
            text.starts_with("No line is known") && text.contains("--from-line 7"),
            "{text}"
        );
        assert!(!text.contains("may be"), "{text}");
    }
}
