//! The picture of the pipe: boxes and arrows, wide and narrow.
//!
//! Owns their places and names, and the flag of a stage that needs the operator. Must never tell by a colour alone.

use super::text::{grouped, rate, span};
use rolekeeper_domain::view::pipe::{Pipe, Place, Stage};

/// Age from which on a stage is late, in seconds.
const LATE_S: f64 = 60.0;
/// Share of a stream's size limit from which on it is full.
const FULL: f64 = 0.8;

/// Width and height of a box.
const BOX: (i32, i32) = (214, 104);

/// The upper left corner of a box.
type At = (i32, i32);

/// A picture.
pub(super) struct Picture {
    pub(super) class: &'static str,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) boxes: Vec<Box>,
    pub(super) arrows: Vec<String>,
}

/// A stage in a picture.
pub(super) struct Box {
    pub(super) class: &'static str,
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
    pub(super) name: &'static str,
    pub(super) flag: Option<&'static str>,
    /// Each with its distance from the upper edge.
    pub(super) lines: Vec<(i32, String)>,
}

/// The stages with their places: in the wide picture, and in the narrow one.
const PLACES: [(Place, At, At); 7] = [
    (Place::AppEvents, (2, 10), (2, 10)),
    (Place::FoldAppEvents, (262, 10), (2, 138)),
    (Place::Auth0Logs, (2, 186), (2, 266)),
    (Place::FoldAuth0Logs, (262, 186), (2, 394)),
    (Place::WorkQueue, (522, 98), (2, 522)),
    (Place::Reconcile, (782, 98), (2, 650)),
    (Place::Announce, (782, 250), (2, 778)),
];

/// The name of a stage, and the meaning of its age.
pub(super) fn words(place: Place) -> (&'static str, &'static str) {
    match place {
        Place::AppEvents => ("APP_EVENTS", "since the newest message"),
        Place::FoldAppEvents => (
            "fold of APP_EVENTS",
            "of the last folded message while others wait",
        ),
        Place::Auth0Logs => ("AUTH0_LOGS", "since the newest message"),
        Place::FoldAuth0Logs => (
            "fold of AUTH0_LOGS",
            "of the last folded message while others wait",
        ),
        Place::WorkQueue => ("work queue", "since the longest-due user became due"),
        Place::Reconcile => ("reconcile", ""),
        Place::Announce => ("announce", "of the oldest change that is not announced"),
    }
}

/// Both pictures; the style shows the one that fits.
pub(super) fn pictures(pipe: &Pipe) -> Vec<Picture> {
    let boxes = |narrow: bool, width: i32| {
        let stages = PLACES.iter().filter_map(|(place, wide, tall)| {
            let at = if narrow { *tall } else { *wide };
            Some(of_stage(pipe, pipe.stage(*place)?, at, width))
        });
        stages.collect()
    };
    vec![
        Picture {
            class: "landscape",
            width: 1_000,
            height: 364,
            boxes: boxes(false, BOX.0),
            arrows: [
                "M216 62H256",
                "M216 238H256",
                "M476 62H499V140H516",
                "M476 238H499V160H516",
                "M736 150H776",
                "M889 202V244",
            ]
            .map(str::to_owned)
            .into(),
        },
        Picture {
            class: "portrait",
            width: 320,
            height: 892,
            boxes: boxes(true, 290),
            arrows: [
                "M147 114V132",
                "M147 370V388",
                "M292 190H306V560H298",
                "M147 498V516",
                "M147 626V644",
                "M147 754V772",
            ]
            .map(str::to_owned)
            .into(),
        },
    ]
}

fn of_stage(pipe: &Pipe, stage: &Stage, (x, y): (i32, i32), width: i32) -> Box {
    let flag = flag(pipe, stage);
    let lines = lines(pipe, stage);
    Box {
        class: if flag.is_some() { "flagged" } else { "" },
        x,
        y,
        width,
        height: BOX.1,
        name: words(stage.place).0,
        flag,
        lines: [48, 70, 92].into_iter().zip(lines).collect(),
    }
}

fn flag(pipe: &Pipe, stage: &Stage) -> Option<&'static str> {
    let is_late = stage.age_s.is_some_and(|age| age >= LATE_S);
    match stage.place {
        Place::AppEvents | Place::Auth0Logs => match (stage.age_s, stage.used, stage.per_s) {
            (_, Some(used), _) if used >= FULL => Some("nearly full"),
            (None, None, None) => Some("no data"),
            _ => None,
        },
        Place::Reconcile if pipe.held.is_some_and(|held| held > 0) => Some("held"),
        _ if is_late => Some("late"),
        Place::Reconcile => stage.per_s.is_none().then_some("no data"),
        _ => stage.lag.is_none().then_some("no data"),
    }
}

fn lines(pipe: &Pipe, stage: &Stage) -> Vec<String> {
    let rate = rate(stage.per_s);
    let lag = stage.lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
    let age = stage.age_s.map_or_else(|| "-".to_owned(), span);
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), grouped);
    match stage.place {
        Place::AppEvents | Place::Auth0Logs => vec![
            format!("{rate} stored"),
            format!("newest message {age} ago"),
            stage.used.map_or_else(String::new, |used| {
                format!("{:.0} % of its limit used", used * 100.0)
            }),
        ],
        Place::FoldAppEvents | Place::FoldAuth0Logs => vec![
            format!("{rate} folded"),
            format!("{lag} messages wait"),
            format!("{age} behind"),
        ],
        Place::WorkQueue => vec![
            format!("{lag} users wait"),
            format!("longest due {age}"),
            format!("{} parked, {} held", number(pipe.parked), number(pipe.held)),
        ],
        Place::Reconcile => vec![
            format!("{rate} attempts end"),
            match pipe.drain.map(|drain| (drain.waiting, drain.remaining_s)) {
                None => "-".to_owned(),
                Some((0, _)) => "nothing waits".to_owned(),
                Some((_, None)) => "no attempt ends".to_owned(),
                Some((_, Some(remaining))) => format!("{} remain at this rate", span(remaining as f64)),
            },
        ],
        Place::Announce => vec![
            format!("{rate} announced"),
            format!("{lag} changes wait"),
            format!("oldest {age}"),
        ],
    }
}
