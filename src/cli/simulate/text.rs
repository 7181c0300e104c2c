//! A simulation for people: a summary, a table of users, and what history cannot tell.
//!
//! Owns the texts. Must never leave out a sentence of what is not known.

use std::fmt::Write as _;

use super::calls::Calls;
use crate::cli::progress::shown;
use crate::cli::table::{Side, Table};
use crate::flow::simulate::Simulation;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::pacer::RatePlan;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::replay::User;
use rolekeeper_domain::rule::Measure;

/// The whole text, with at most `most` users.
pub(super) fn of(simulation: &Simulation<'_>, calls: &Calls, plan: RatePlan, most: usize) -> String {
    let mut text = summary(simulation, calls, plan);
    let users = &simulation.report.users;
    if !users.is_empty() && most > 0 {
        let _ = write!(text, "\n{}", table(&users[..users.len().min(most)]));
        if users.len() > most {
            let _ = writeln!(text, "{most} of {} users shown; --limit shows more", users.len());
        }
    }
    text.push_str("\nNot known from the kept events:\n");
    for sentence in &simulation.not_known {
        let _ = writeln!(text, "  {sentence}.");
    }
    text
}

fn summary(simulation: &Simulation<'_>, calls: &Calls, plan: RatePlan) -> String {
    let Simulation {
        history,
        report,
        dead_letters,
        ..
    } = simulation;
    let mut text = String::new();
    let _ = match (history.from, history.to) {
        (Some(from), Some(to)) => {
            let (from, to) = (moment(from), moment(to));
            writeln!(
                text,
                "Messages replayed: {}, stored from {from} to {to}",
                history.messages
            )
        }
        _ => writeln!(text, "Messages replayed: 0"),
    };
    for (reason, number) in dead_letters {
        let count = noun(*number, "counts", "count");
        let _ = writeln!(text, "  {number} of them {count} nothing: {reason}");
    }
    let _ = write!(
        text,
        "Users who would have crossed a threshold: {} ({} times up, {} down)",
        report.users.len(),
        report.up,
        report.down,
    );
    let uncertain = report.users.iter().filter(|user| user.uncertain).count();
    if uncertain > 0 {
        let _ = write!(text, "; {uncertain} of them are uncertain");
    }
    let _ = writeln!(
        text,
        "\nRoles granted: {}, revoked: {}; {} of these changes take back the one before (flapping)",
        report.grants, report.revokes, report.flaps
    );
    let _ = writeln!(
        text,
        "Calls to Auth0: {}, in {} at the plan {plan}, with {:.0} % of its limit left to other clients",
        calls.to_auth0,
        shown(Calls::takes(calls.seconds)),
        calls.reserve * 100.0
    );
    if let Some(busiest) = report.busiest {
        let (from, takes) = (moment(busiest.from), Calls::takes(calls.busiest_hour_seconds));
        let _ = writeln!(
            text,
            "Most changes in an hour: {} from {from} on, which take {}",
            busiest.changes,
            shown(takes)
        );
    }
    text
}

fn table(users: &[User<'_>]) -> String {
    let mut table = Table::new([
        ("user", Side::Left),
        ("at", Side::Left),
        ("crossed", Side::Left),
        ("plays", Side::Right),
        ("event", Side::Left),
        ("flaps", Side::Right),
    ]);
    for user in users {
        let mark = if user.uncertain { " (uncertain)" } else { "" };
        for (at, crossing) in user.crossings.iter().enumerate() {
            let way = if crossing.up { "up" } else { "down" };
            let of = match crossing.of {
                Measure::BestPlaylist => "best playlist",
                Measure::AllPlaylists => "all playlists",
            };
            let is_first = at == 0;
            table.row([
                if is_first {
                    format!("{}{mark}", user.user_id)
                } else {
                    String::new()
                },
                moment(crossing.at),
                format!("{way}, {of}"),
                crossing.plays.to_string(),
                crossing.event_id.to_string(),
                if is_first {
                    user.flaps.to_string()
                } else {
                    String::new()
                },
            ]);
        }
        let more = user.crossed.saturating_sub(user.crossings.len() as u64);
        if more > 0 {
            let note = format!("and {more} more");
            let [user, crossed, plays, event, flaps] = [(); 5].map(|()| String::new());
            table.row([user, note, crossed, plays, event, flaps]);
        }
    }
    table.lines("")
}
