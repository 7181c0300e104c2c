//! Facts that history does not tell, in sentences.
//!
//! Owns the texts: each names what is missing, and what the result does without it.

use super::pass::Window;
use crate::store::Cursor;
use rolekeeper_domain::explanation::moment;
use rolekeeper_domain::plural::noun;
use rolekeeper_domain::replay::Report;
use rolekeeper_domain::rule::{Rule, Rules};

/// The facts on which the sentences depend.
pub(super) struct NotKnown<'a> {
    pub(super) window: &'a Window,
    pub(super) report: &'a Report<'a>,
    pub(super) rules: &'a Rules,
    pub(super) cursor: Option<&'a Cursor>,
    /// Nothing was counted before the first replayed message.
    pub(super) from_start: bool,
}

impl NotKnown<'_> {
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut all = vec![self.before()];
        let numbered = self.numbered().into_iter().filter(|(number, ..)| *number > 0);
        all.extend(
            numbered.map(|(number, (one, several), text)| {
                format!("{number} {} {text}", noun(number, one, several))
            }),
        );
        let cursor = self.cursor.map_or(0, |cursor| cursor.last_seq.unsigned_abs());
        let lost = self
            .window
            .first_seq
            .map_or(0, |first| first.saturating_sub(cursor + 1));
        if lost > 0 && cursor > 0 {
            all.push(format!(
                "{lost} {} never counted",
                noun(
                    lost,
                    "message behind the cursor is no longer in the stream, and was",
                    "messages behind the cursor are no longer in the stream, and were"
                )
            ));
        }
        let timed = |rule: &Rule| !rule.grace.is_zero() || !rule.min_hold.is_zero();
        if self.rules.as_slice().iter().any(timed) {
            all.push(
                "How long a role was held before, or a count was below revoke_below, is not known: grace and min_hold begin with the \
                 first message"
                    .to_owned(),
            );
        }
        if self.cursor.is_some_and(|cursor| cursor.epoch > 1) {
            all.push(
                "The cursor was set by the operator (accept-stream). Messages that were counted twice or not at all because of that count \
                 from the start"
                    .to_owned(),
            );
        }
        if self.rules.have_conditions() {
            all.push(
                "Conditions (only_if) are taken as met: the messages do not tell what a profile showed"
                    .to_owned(),
            );
        }
        all.push(
            "Linked accounts are those of today. Pins, and roles that were given or removed by hand, are not replayed. Events that \
             DEDUP_WINDOW dropped as repeats count here"
                .to_owned(),
        );
        all
    }

    /// The sentences that begin with a number, with their nouns; those with 0 are left out.
    fn numbered(&self) -> [(u64, (&str, &str), &str); 8] {
        let unknown = &self.report.unknown;
        [
            (
                self.window.missing,
                ("message is", "messages are"),
                "missing between the replayed ones. Those that were counted count here from the start",
            ),
            (
                unknown.before_deletion,
                ("playlist was", "playlists were"),
                "deleted meanwhile. A count before that is not known, so it is nothing until then; the owners are marked as uncertain",
            ),
            (
                unknown.unclear,
                ("playlist has", "playlists have"),
                "a present state that does not follow from the messages: an owner was erased, or messages were counted that the stream \
                 does not have. Such a playlist counts nothing; the owners are marked as uncertain",
            ),
            (
                unknown.shifted,
                ("playlist has", "playlists have"),
                "a present count that is not that of the messages: plays were imported, counts below 0 were set to 0 (forgive), \
                 DEDUP_WINDOW dropped repeats, or messages are missing. The difference counts here from the start; the owners are marked as uncertain",
            ),
            (
                unknown.maybe_forgiven,
                ("playlist", "playlists"),
                "may have had a count below 0 that was set to 0 meanwhile (forgive). The retractions before that count here too; the \
                 owners are marked as uncertain",
            ),
            (
                unknown.maybe_repeated,
                ("playlist has", "playlists have"),
                "a retraction that may repeat one from before the first message, which was folded late. That one counts here; the \
                 owners are marked as uncertain",
            ),
            (
                unknown.owner_assumed,
                (
                    "playlist that existed before was",
                    "playlists that existed before were",
                ),
                "saved or deleted meanwhile. The owner before that is not stored; it is taken to be the \
                 one that the message names",
            ),
            (
                unknown.began_between,
                ("role belongs to a user", "roles belong to users"),
                "whose count began between revoke_below and grant_at. Whether the role was held is not known; it is \
                 taken as not held",
            ),
        ]
    }

    fn before(&self) -> String {
        match (self.window.from, self.from_start) {
            (None, _) => "The stream keeps no message of that time: nothing can be replayed".to_owned(),
            (Some(_), true) => {
                "The stream has every message that was counted: all counts begin at 0".to_owned()
            }
            (Some(from), false) => format!(
                "Crossings before {} are not known. The counts at that time are the present ones without the messages since",
                moment(from)
            ),
        }
    }
}
