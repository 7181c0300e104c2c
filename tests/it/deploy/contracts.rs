//! The schemas of `docs/schemas/` against the code: `tests/checks/contracts.mjs` judges the same samples by the schemas.

use std::collections::BTreeSet;

use rolekeeper_domain::announcement::Announcement;
use rolekeeper_domain::event;
use serde_json::{Value, json};
use time::macros::datetime;
use uuid::Uuid;

/// Payloads, each with the reason for which the code refuses it, or null.
const APP_EVENTS: &str = include_str!("../../checks/app-events.jsonl");
/// The same of `CloudEvents` in structured mode.
const CLOUD_EVENTS: &str = include_str!("../../checks/cloud-events.jsonl");
/// Messages of `ROLE_CHANGES`.
const ROLE_CHANGES: &str = include_str!("../../checks/role-changes.jsonl");

#[test]
fn the_parser_judges_each_sample_as_its_line_says() {
    let (seen, reasons) = judged(APP_EVENTS);
    assert!(seen > 500 && reasons.len() == 7, "{seen} samples, {reasons:?}");
    let (seen, reasons) = judged(CLOUD_EVENTS);
    assert!(seen > 200 && reasons.len() == 6, "{seen} samples, {reasons:?}");
}

/// Compares the judgement of each sample; returns their number, and the reasons that they have.
fn judged(samples: &'static str) -> (usize, BTreeSet<&'static str>) {
    let (mut seen, mut reasons) = (0, BTreeSet::new());
    for line in samples.lines() {
        let sample: Value = serde_json::from_str(line).expect("a sample");
        let payload = sample["payload"].as_str().expect("a payload");
        let judged = event::parse_unsent(payload.as_bytes()).err();
        let judged = judged.map(|reject| reject.reason.as_str());
        assert_eq!(judged, sample["reason"].as_str(), "{payload}");
        reasons.extend(judged);
        seen += 1;
    }
    (seen, reasons)
}

/// A role change, its number in the samples, and what differs between them.
fn change(
    number: u128,
    role: &str,
    change: &str,
    event: Option<&str>,
    outcome: &str,
    reason: Option<&str>,
) -> String {
    let made = Announcement {
        change_id: Uuid::from_u128(number),
        user_id: "auth0|ann".to_owned(),
        role: role.to_owned(),
        change: change.to_owned(),
        plays: 100,
        rule: json!({ "role": role, "of": "best_playlist", "grant_at": 100, "revoke_below": 90 }),
        event_id: event.map(str::to_owned),
        decided_at: datetime!(2026-11-23 10:00:00.25 UTC),
        completed_at: datetime!(2026-11-23 10:00:01 UTC),
        outcome: outcome.to_owned(),
        reason: reason.map(str::to_owned),
    };
    String::from_utf8(made.payload().expect("a payload")).expect("UTF-8")
}

#[test]
fn the_samples_of_role_changes_are_those_of_the_code() {
    let editor = "playlist_editor";
    let made = [
        change(1, editor, "granted", Some("01J8"), "written", None),
        change(2, "music.editor", "revoked", None, "confirmed", None),
        change(3, editor, "revoked", None, "written", Some("user_deleted")),
        change(4, editor, "granted", None, "confirmed", Some("user_returned")),
        change(5, editor, "granted", None, "confirmed", Some("linked")),
        change(6, editor, "granted", None, "written", Some("moved")),
        change(7, editor, "revoked", None, "written", Some("pinned")),
    ];
    assert_eq!(made.join("\n"), ROLE_CHANGES.trim_end());
}
