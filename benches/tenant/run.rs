//! The run of all measurements.
//!
//! Owns the sizes, the rounds and their alternation: A B A B, so that a noisy minute of the host affects both
//! contenders. Must never omit a round.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use rolekeeper_sandbox::servers::Postgres;

use crate::counts::{self, Counts};
use crate::drain::{Contender, Drain, Drained};
use crate::large;
use crate::protocols;
use crate::sizes::{Part, Sizes};
use crate::table::{Goal, Table};
use crate::world::{BURST, LATENCY_MS, PER_SECOND};

/// Results of the rounds.
#[derive(Debug, Default)]
struct Rounds {
    rolekeeper: Vec<Drained>,
    plain: Vec<Drained>,
}

impl Rounds {
    fn of(&mut self, contender: Contender) -> &mut Vec<Drained> {
        match contender {
            Contender::Rolekeeper => &mut self.rolekeeper,
            Contender::Plain => &mut self.plain,
        }
    }
}

/// Measures all parts and prints the table.
pub(crate) async fn all(sizes: Sizes) -> Result<ExitCode> {
    anyhow::ensure!(
        sizes.rounds > 0 && sizes.changes > 0 && sizes.clock_factor > 0,
        "at least one of each"
    );
    let began = Instant::now();
    let say = |what: &str| eprintln!("[{:>3} s] {what}", began.elapsed().as_secs());
    say("starting Postgres");
    let postgres = Postgres::start().await?;
    let mut table = Table::default();
    if sizes.is_asked_for(Part::Calls) {
        calls(&sizes, &postgres, &mut table, &say).await?;
    }
    large::all(&sizes, &postgres, &mut table, &say).await?;
    if sizes.is_asked_for(Part::Http) {
        protocols::all(sizes.rounds, &mut table, &say).await?;
    }
    println!("{}\n{table}", heading(&sizes));
    println!("Took {} s.", began.elapsed().as_secs());
    Ok(if table.all_reached() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Measures the calls for one thing each, and the drains of both contenders.
async fn calls(sizes: &Sizes, postgres: &Postgres, table: &mut Table, say: &impl Fn(&str)) -> Result<()> {
    say("calls for one thing each");
    let counts = counts::measure(postgres, sizes.clock_factor, sizes.flaps).await?;
    let (mut alone, mut shared) = (Rounds::default(), Rounds::default());
    for round in 1..=sizes.rounds {
        for (rounds, other_client) in [(&mut alone, false), (&mut shared, true)] {
            for contender in [Contender::Rolekeeper, Contender::Plain] {
                let beside = if other_client {
                    "beside another client"
                } else {
                    "alone"
                };
                say(&format!("round {round}: {} {beside}", contender.name()));
                let drain = Drain {
                    contender,
                    other_client,
                    changes: sizes.changes,
                    factor: sizes.clock_factor,
                    seed: round as u64,
                };
                let drained = drain.run(postgres).await?;
                say(&format!("  {drained}"));
                rounds.of(contender).push(drained);
            }
        }
    }
    add_rows(table, sizes, &counts, (&alone, &shared));
    Ok(())
}

fn heading(sizes: &Sizes) -> String {
    let factor = sizes.clock_factor;
    let scaled = PER_SECOND * factor;
    format!(
        "\nThe tenant: enterprise plan, {BURST} calls at once and {PER_SECOND} a second. Its clock runs {factor} times as \
         fast, so it\ntakes {scaled} calls a real second and the worker is told AUTH0_PLAN={BURST}:{scaled}. An answer takes \
         {} to {} ms, not\nscaled. Retry waits of the plain client are not scaled either. Counts come from the tenant's \
         call log.\nMedians of {} rounds, smallest and largest behind; a goal of 0 holds only if every round reached it.\n",
        LATENCY_MS.start(),
        LATENCY_MS.end(),
        sizes.rounds,
    )
}

fn add_rows(table: &mut Table, sizes: &Sizes, counts: &Counts, (alone, shared): (&Rounds, &Rounds)) {
    let flaps = sizes.flaps;
    table.count("calls for a role change", Goal::AtMost(2.0), counts.change);
    table.count(
        "calls for a login of a known user",
        Goal::AtMost(0.0),
        counts.login,
    );
    table.count(
        "calls for an echo of our own write",
        Goal::AtMost(0.0),
        counts.echo,
    );
    for (how, figure) in [
        ("after an outage", counts.flaps_waiting),
        ("live", counts.flaps_live),
        ("live, revoke_below 90", counts.flaps_between_lines),
    ] {
        table.count(
            &format!("calls for {flaps} flaps of a user, {how}"),
            Goal::AtMost(2.0),
            figure,
        );
    }
    let n = sizes.changes as f64;
    for (rounds, beside) in [(alone, "alone"), (shared, "shared")] {
        let mut row = |what: &str, goal, of: fn(&Drained) -> f64, percent: bool| {
            let figures = |rounds: &[Drained]| rounds.iter().map(of).collect::<Vec<f64>>();
            table.rounds(
                &format!("{} changes, {beside}: {what}", sizes.changes),
                goal,
                &figures(&rounds.rolekeeper),
                &figures(&rounds.plain),
                percent,
            );
        };
        if beside == "alone" {
            row(
                "share of the allowed rate",
                Goal::AtLeast(0.98),
                |it| it.share,
                true,
            );
            row("429s", Goal::AtMost(0.0), |it| it.limited as f64, false);
        } else {
            row(
                "429s the other client sees",
                Goal::AtMost(0.0),
                |it| it.other_limited as f64,
                false,
            );
            row("429s of its own", Goal::None, |it| it.limited as f64, false);
            row("share of the rate, both", Goal::None, |it| it.share, true);
            row(
                "calls of the other client",
                Goal::None,
                |it| it.other_calls as f64,
                false,
            );
        }
        row("calls", Goal::None, |it| it.calls as f64, false);
        row(
            "changes failed for good",
            Goal::AtMost(0.0),
            |it| it.failed as f64,
            false,
        );
        row("seconds", Goal::None, |it| it.seconds, false);
        row(
            "users right at the end",
            Goal::AtLeast(n),
            |it| it.right as f64,
            false,
        );
        row(
            "bystanders changed",
            Goal::AtMost(0.0),
            |it| it.bystanders_changed as f64,
            false,
        );
    }
}
