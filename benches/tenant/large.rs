//! The rows of large tenants and of a scarce rate.
//!
//! Owns their sizes and goals. Must never judge a rate that the stand-in tenant cannot serve: the goal is then half of what it
//! serves alone.

use std::time::Duration;

use anyhow::Result;
use rolekeeper_sandbox::servers::Postgres;
use rolekeeper_sandbox::tenant::Rate;

use crate::mass::{self, Drained, LATENCY, Mass};
use crate::sizes::{Part, Sizes};
use crate::table::{Goal, Table};

/// Calls a second of the large tenant, and its burst.
const PER_SECOND: f64 = 1_000.0;
const BURST: u32 = 1_000;
/// Calls a second that the stand-in must serve alone.
const ALONE: f64 = 2.0 * PER_SECOND;
/// The plan `free`, and the calls a second that another client takes of it.
const FREE: Rate = Rate::new(2, 2.0);
const TAKEN: f64 = 1.8;
const FREE_USERS: usize = 12;

const WITHIN: Duration = Duration::from_mins(20);

/// Measures the parts that are asked for.
pub(crate) async fn all(
    sizes: &Sizes,
    postgres: &Postgres,
    table: &mut Table,
    say: &impl Fn(&str),
) -> Result<()> {
    if sizes.is_asked_for(Part::Large) || sizes.is_asked_for(Part::Crossing) {
        say("the stand-in tenant alone");
        let alone = mass::alone().await?;
        say(&format!("  {alone:.0} calls a second"));
        table.count("calls a second of the stand-in alone", Goal::None, alone);
        let per_second = if alone >= ALONE {
            PER_SECOND
        } else {
            (alone / 2.0).floor()
        };
        let large = Mass {
            users: sizes.large_changes,
            rate: Rate::new(BURST, per_second),
            latency: LATENCY,
            others: 0.0,
            kills: 0,
            within: WITHIN,
            seed: 1,
        };
        if sizes.is_asked_for(Part::Large) {
            fast(sizes, postgres, table, (large, say)).await?;
        }
        if sizes.is_asked_for(Part::Crossing) {
            let crossing = Mass {
                users: sizes.crossing,
                kills: 2,
                ..large
            };
            killed(postgres, table, (crossing, say)).await?;
        }
    }
    if sizes.is_asked_for(Part::Free) {
        scarce(postgres, table, say).await?;
    }
    Ok(())
}

async fn fast(
    sizes: &Sizes,
    postgres: &Postgres,
    table: &mut Table,
    (large, say): (Mass, &impl Fn(&str)),
) -> Result<()> {
    let mut rounds: Vec<Drained> = Vec::new();
    for round in 1..=sizes.rounds {
        say(&format!(
            "round {round}: {} changes at {} calls a second",
            large.users, large.rate.per_second
        ));
        let drained = Mass {
            seed: round as u64,
            ..large
        }
        .run(postgres)
        .await?;
        say(&format!("  {drained:?}"));
        rounds.push(drained);
    }
    let mut row = |what: &str, goal, of: fn(&Drained) -> f64, percent: bool| {
        let what = format!(
            "{} changes, {} calls/s: {what}",
            large.users, large.rate.per_second
        );
        let figures: Vec<f64> = rounds.iter().map(of).collect();
        table.rounds(&what, goal, &figures, &[], percent);
    };
    row("share of the rate", Goal::AtLeast(0.98), |it| it.share, true);
    row("429s", Goal::AtMost(0.0), |it| it.limited as f64, false);
    row("CPU a change, ms", Goal::AtMost(1.5), |it| it.cpu_ms, false);
    row("of it the worker, ms", Goal::None, |it| it.own_cpu_ms, false);
    row("memory, MiB", Goal::AtMost(64.0), |it| it.memory_mib, false);
    row("seconds", Goal::None, |it| it.seconds, false);
    let users = large.users as f64;
    row(
        "users right at the end",
        Goal::AtLeast(users),
        |it| it.right as f64,
        false,
    );
    Ok(())
}

async fn killed(
    postgres: &Postgres,
    table: &mut Table,
    (crossing, say): (Mass, &impl Fn(&str)),
) -> Result<()> {
    say(&format!(
        "{} users cross at once, {} kills",
        crossing.users, crossing.kills
    ));
    let drained = crossing.run(postgres).await?;
    say(&format!("  {drained:?}"));
    let what = |what: &str| format!("{} users cross at once, two kills: {what}", crossing.users);
    let users = crossing.users as f64;
    table.count(&what("share"), Goal::None, drained.share * 100.0);
    table.count(&what("429s"), Goal::None, drained.limited as f64);
    table.count(&what("memory, MiB"), Goal::AtMost(64.0), drained.memory_mib);
    table.count(&what("right"), Goal::AtLeast(users), drained.right as f64);
    Ok(())
}

async fn scarce(postgres: &Postgres, table: &mut Table, say: &impl Fn(&str)) -> Result<()> {
    say("plan free, 1.8 of 2 calls a second taken by another client");
    let scarce = Mass {
        users: FREE_USERS,
        rate: FREE,
        latency: LATENCY,
        others: TAKEN,
        kills: 0,
        within: WITHIN,
        seed: 1,
    };
    let drained = scarce.run(postgres).await?;
    say(&format!("  {drained:?}"));
    let what = |what: &str| format!("free, 1.8 of 2 calls/s taken: {what}");
    table.count(
        &what("users done of 12"),
        Goal::AtLeast(FREE_USERS as f64),
        drained.right as f64,
    );
    table.count(
        &what("calls without effect, %"),
        Goal::AtMost(20.0),
        drained.without_effect,
    );
    table.count(&what("429s"), Goal::None, drained.limited as f64);
    table.count(&what("seconds"), Goal::None, drained.seconds);
    Ok(())
}
