//! The picture of the pipe: boxes and arrows, wide and narrow.
//!
//! Owns their places. Must never tell by a colour alone.

use rolekeeper_domain::view::pipe::{Pipe, Place, Stage};

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
    let flag = pipe.flag(stage);
    Box {
        class: if flag.is_some() { "flagged" } else { "" },
        x,
        y,
        width,
        height: BOX.1,
        name: stage.place.name(),
        flag,
        lines: [48, 70, 92].into_iter().zip(pipe.lines(stage)).collect(),
    }
}
