//! The plot of a playlist's count over time against the thresholds.
//!
//! Owns the plot, and the sentence that says where its data ends. It is read from the stream, so it is a page of its own, which the page
//! of the user loads after itself.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::plot::{Line, Plot, pixel};
use super::state::Console;
use super::viewer::Viewer;
use crate::store::Explained;
use rolekeeper_domain::explanation::{RoleExplained, moment};
use rolekeeper_domain::ids::{Token, UserId};
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::rule::Measure;
use rolekeeper_domain::view::count_history::{CountHistory, End};
use rolekeeper_domain::view::figures::grouped;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    user: String,
    #[serde(default)]
    playlist: String,
}

#[derive(Template)]
#[template(path = "counts.html")]
struct Page {
    shell: Shell,
    user: String,
    history: CountHistory,
    title: String,
    ends: String,
    plot: Option<Plot>,
    thresholds: Vec<Line>,
    path: String,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(Asked { user, playlist }): Query<Asked>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "", "Count over time");
    let unknown = |shell| Trouble::new(shell, StatusCode::NOT_FOUND, "The user has no such playlist.");
    if UserId::parse(user.as_str()).is_err() || Token::parse(playlist.as_str()).is_err() {
        return Err(unknown(shell));
    }
    let (explained, count) = read(&shell, async {
        let explained = console.read.explain(&user, 1).await?;
        Ok((explained, console.read.count_of(&playlist).await?))
    })
    .await?;
    let (Explained::Known(stored), Some((owner, count))) = (explained, count) else {
        return Err(unknown(shell));
    };
    if !stored.ids.iter().any(|id| id.id == owner) {
        return Err(unknown(shell));
    }
    let history = match console.counts.of(&playlist, count).await {
        Ok(history) => history,
        Err(why) => {
            let why = why.to_string();
            return Err(Trouble::new(shell, StatusCode::SERVICE_UNAVAILABLE, &why));
        }
    };
    let roles = rolekeeper_domain::explanation::Explanation::of(*stored, &console.forbidden).roles;
    let page = Page::of(shell, user, history, &roles);
    Ok(show(StatusCode::OK, &page))
}

impl Page {
    fn of(shell: Shell, user: String, history: CountHistory, roles: &[RoleExplained]) -> Self {
        let counts = history.points.iter().map(|point| point.count);
        let (low, high) = (counts.clone().min().unwrap_or(0), counts.max().unwrap_or(0));
        let rules = roles.iter().filter(|role| role.rule.of == Measure::BestPlaylist);
        let rules: Vec<_> = rules.map(|role| (&role.role, &role.rule)).collect();
        // A threshold far above the counts would press them flat; the sentence of the role names it.
        let is_near = |threshold: &i64| *threshold <= high.saturating_mul(4).max(20);
        let near = rules
            .iter()
            .flat_map(|(_, rule)| [rule.grant_at, rule.revoke_below]);
        let top = near.filter(is_near).max().unwrap_or(0).max(high);
        let mut plot = Plot::new(low.min(0), top);
        let mut thresholds = vec![];
        for (role, rule) in rules.iter().filter(|_| history.absolute) {
            let mut line = |value: i64, text: String| {
                if is_near(&value) {
                    let y = pixel(plot.y(value as f64));
                    thresholds.push(Line { y, text });
                }
            };
            line(rule.grant_at, format!("{role}: granted at {}", rule.grant_at));
            if rule.grant_at != rule.revoke_below {
                line(
                    rule.revoke_below,
                    format!("{role}: revoked below {}", rule.revoke_below),
                );
            }
        }
        let path = path(&plot, &history);
        if let Some((first, last)) = history.window {
            plot.label_times(first.at, last.at);
        }
        let last = history.points.last().map_or(0, |point| point.count);
        Self {
            shell,
            user,
            title: format!("The count over time, {} at its end", grouped(last)),
            ends: ends(&history),
            plot: (!history.points.is_empty()).then_some(plot),
            thresholds,
            path,
            history,
        }
    }
}

/// The line of the count: each count holds until the next one, and the last one until the end of the data.
fn path(plot: &Plot, history: &CountHistory) -> String {
    let Some((first, last)) = history.window else {
        return String::new();
    };
    let whole = (last.at - first.at).as_seconds_f64().max(0.001);
    let x = |at: time::OffsetDateTime| Plot::x((at - first.at).as_seconds_f64() / whole);
    let mut path = String::new();
    for point in &history.points {
        let (x, y) = (x(point.at), plot.y(point.count as f64));
        let _ = if path.is_empty() {
            write!(path, "M{x:.1} {y:.1}")
        } else {
            write!(path, "H{x:.1}V{y:.1}")
        };
    }
    let _ = write!(path, "H{:.1}", Plot::x(1.0));
    path
}

/// Where the data begins and ends.
fn ends(history: &CountHistory) -> String {
    let Some((first, last)) = history.window else {
        return "The stream holds no message of this playlist's partition.".to_owned();
    };
    let messages = u64::min(history.messages, i64::MAX.unsigned_abs());
    let mut text = format!(
        "From {} {} of the playlist's partition of APP_EVENTS, stored from {} to {}.",
        grouped(i64::try_from(messages).unwrap_or(i64::MAX)),
        noun(messages, "message", "messages"),
        moment(first.at),
        moment(last.at)
    );
    if history.begins_late {
        text.push_str(" Older messages are in the stream; at most about 1,000,000 are read.");
    }
    text.push_str(match history.end {
        End::Newest => " The data ends with the newest message.",
        End::Time => {
            " The data ends there, since reading takes at most 2 s; newer messages are not in the plot."
        }
        End::Broken => {
            " The data ends there, since NATS stopped responding; newer messages are not in the plot."
        }
    });
    if !history.absolute {
        text.push_str(
            " So the counts begin at 0 with the first of these messages, and no threshold is drawn.",
        );
    }
    text
}
