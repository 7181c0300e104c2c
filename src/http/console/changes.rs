//! The page of grants and revokes over time.
//!
//! Owns the bars. Must never draw a number that was counted to its bound without a mark.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::filters;
use super::page::{Shell, Trouble, read, show};
use super::plot::{Bar, Plot};
use super::state::Console;
use super::viewer::Viewer;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::view::Capped;
use rolekeeper_domain::view::changes::{Changes, Period, Span};

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    period: String,
}

#[derive(Template)]
#[template(path = "changes.html")]
struct Page {
    shell: Shell,
    period: Period,
    periods: [Period; 3],
    title: String,
    granted: String,
    revoked: String,
    capped: bool,
    plot: Plot,
    changes: Changes,
}

pub(super) async fn page(
    Viewer(session): Viewer,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let shell = Shell::new(session, "/console/changes", "Grants and revokes");
    let period = Period::named(&asked.period).unwrap_or_default();
    let changes = read(&shell, console.read.changes(period)).await?;
    let (granted, revoked) = changes.sums();
    let page = Page {
        shell,
        period,
        periods: Period::ALL,
        title: changes.title(period),
        capped: granted.capped || revoked.capped,
        granted: granted.grouped(),
        revoked: revoked.grouped(),
        plot: plot(&changes, period),
        changes,
    };
    Ok(show(StatusCode::OK, &page))
}

fn plot(changes: &Changes, period: Period) -> Plot {
    let most = |of: fn(&Span) -> Capped| {
        changes
            .spans
            .iter()
            .map(|span| of(span).number)
            .max()
            .unwrap_or(0)
    };
    let mut plot = Plot::new(-most(|span| span.revoked), most(|span| span.granted));
    let width = (Plot::x(1.0) - Plot::x(0.0)) / changes.spans.len().max(1) as f64;
    for (at, span) in changes.spans.iter().enumerate() {
        let x = Plot::x(0.0) + at as f64 * width;
        for (class, number, value) in [
            ("granted", span.granted, span.granted.number as f64),
            ("revoked", span.revoked, -(span.revoked.number as f64)),
        ] {
            if number.number == 0 {
                continue;
            }
            let (from, to) = (plot.y(value.max(0.0)), plot.y(value.min(0.0)));
            plot.bars.push(Bar {
                class,
                x: format!("{:.1}", x + width * 0.1),
                y: format!("{from:.1}"),
                width: format!("{:.1}", width * 0.8),
                height: format!("{:.1}", (to - from).max(1.0)),
                title: format!("{number} {class} from {}", moment(span.from)),
            });
        }
    }
    if let (Some(first), Some(last)) = (changes.spans.first(), changes.spans.last()) {
        plot.label_times(first.from, last.from + period.span());
    }
    plot
}
