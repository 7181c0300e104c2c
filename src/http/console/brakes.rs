//! The page of the brakes, and the release and the drop of held changes.
//!
//! Owns the answers to an act. Must never act on a brake that the operator did not see engaged.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use super::access::Session;
use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::state::Console;
use super::viewer::{Act, Keyed, Viewer};
use crate::flow::brakes::brakes;
use crate::flow::releases::Outcome;
use crate::store::Way;
use rolekeeper_domain::act;
use rolekeeper_domain::date::of_unix_micros;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::view::brakes::{Brakes, Kind};
use rolekeeper_domain::view::figures::grouped;

/// Held users of each kind.
const SHOWN: i64 = 20;
/// Longest reason, in characters.
const MOST_WHY_CHARS: usize = 500;

#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    after: String,
}

#[derive(Deserialize)]
pub(super) struct ActForm {
    #[serde(default)]
    form_key: String,
    #[serde(default)]
    why: String,
    way: String,
    /// Time since which the page showed the brake as engaged, in microseconds.
    seen: i64,
}

impl Keyed for ActForm {
    fn form_key(&self) -> &str {
        &self.form_key
    }
}

#[derive(Template)]
#[template(path = "brakes.html")]
struct Page {
    shell: Shell,
    brakes: Brakes,
    engaged: bool,
    /// The sentence about an act, and whether the act did anything.
    said: Option<String>,
    done: bool,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    shown(session, &console, &asked, StatusCode::OK, None).await
}

/// Shows the brakes, for a browser that loads the address of an act's response.
pub(super) async fn again() -> Redirect {
    Redirect::to("/console/brakes")
}

/// Releases or drops the held changes of one kind.
pub(super) async fn act(
    State(console): State<Console>,
    Path(kind): Path<String>,
    Act(session, form): Act<ActForm>,
) -> Result<Response, Response> {
    let shell = Shell::new(session.clone(), "/console/brakes", "Brakes");
    let refused = |why| Trouble::new(shell.clone(), StatusCode::BAD_REQUEST, why).into_response();
    let kind = Kind::named(&kind).ok_or_else(|| refused("Nothing was done: there is no such brake."))?;
    let way = match form.way.as_str() {
        "release" => Way::Release,
        "drop" if kind.dropped().is_some() => Way::Drop,
        _ => return Err(refused("Nothing was done: these changes can only be released.")),
    };
    let why = form.why.trim();
    if why.is_empty() || why.chars().count() > MOST_WHY_CHARS || why.chars().any(char::is_control) {
        return Err(refused(
            "Nothing was done: the reason is missing. Enter at most 500 characters without control characters.",
        ));
    }
    let seen = of_unix_micros(form.seen).ok_or_else(|| refused("Nothing was done: load the page again."))?;
    let act = act::Act {
        by: session.name.clone(),
        command: way.command(),
        arguments: json!({"changes": kind.word(), "console": true}),
        why: Some(why.to_owned()),
    };
    let outcome = read(&shell, console.releases.begin(kind, way, seen, act)).await;
    let outcome = outcome.map_err(|_| {
        Trouble::new(
            shell,
            StatusCode::SERVICE_UNAVAILABLE,
            "Postgres did not respond in time, so it is not known whether the act was done. Look at the brake again; a repeat \
             continues what has begun.",
        )
        .into_response()
    })?;
    let (status, said) = answer(kind, way, &outcome);
    shown(session, &console, &Asked::default(), status, Some(said))
        .await
        .map_err(Trouble::into_response)
}

/// The sentence about an act; OK if it did anything.
fn answer(kind: Kind, way: Way, outcome: &Outcome) -> (StatusCode, String) {
    let (what, past) = (kind.word(), way.past());
    let of_way = match way {
        Way::Release => kind.released(),
        Way::Drop => kind.dropped().unwrap_or_default(),
    };
    match outcome {
        Outcome::Ended(users) => {
            let (grouped, users) = (
                grouped(i64::try_from(*users).unwrap_or(i64::MAX)),
                noun(*users, "user", "users"),
            );
            (
                StatusCode::OK,
                format!("{what}: {grouped} {users} {past}: {of_way}."),
            )
        }
        Outcome::GoesOn => {
            let said = format!(
                "{what}: it has begun and goes on; this page shows how many users are {past} so far."
            );
            (StatusCode::OK, said)
        }
        Outcome::NotEngaged(last) => {
            let by = last.as_ref().map_or_else(String::new, |last| {
                let why = last.why.as_deref().unwrap_or("no reason given");
                let (by, at) = (&last.by, moment(last.at));
                format!(
                    " The last act on it: {}, by {by} at {at} ({why}), {}.",
                    last.command, last.outcome
                )
            });
            let said = format!("{what}: nothing was done, since the brake is not engaged any more.{by}");
            (StatusCode::CONFLICT, said)
        }
        Outcome::EngagedAgain(at) => {
            let said = format!(
                "{what}: nothing was done, since the form is old: the brake was released meanwhile, and is engaged again since {}. \
                 Look at its held users first.",
                moment(*at)
            );
            (StatusCode::CONFLICT, said)
        }
        Outcome::UnderWay(run) => {
            let by = run.as_ref().map_or_else(
                || "another operator".to_owned(),
                |run| {
                    format!(
                        "{}, who has begun a {} at {}",
                        run.by,
                        run.words().0,
                        moment(run.began_at)
                    )
                },
            );
            let said = format!("{what}: nothing was done, since these changes are in the hands of {by}.");
            (StatusCode::CONFLICT, said)
        }
    }
}

async fn shown(
    session: Session,
    console: &Console,
    asked: &Asked,
    status: StatusCode,
    said: Option<String>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "/console/brakes", "Brakes");
    let after = super::text::stored(asked.after.clone());
    let behind = Kind::named(&asked.kind).map(|kind| (kind, after.as_str()));
    let brakes = read(&shell, brakes(&console.read, SHOWN, behind)).await?;
    let page = Page {
        shell,
        engaged: brakes.brakes.iter().any(|brake| brake.engaged_at.is_some()),
        brakes,
        done: status == StatusCode::OK,
        said,
    };
    Ok(show(status, &page))
}
