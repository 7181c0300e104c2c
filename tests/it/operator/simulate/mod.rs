//! `rolekeeper simulate`: replays the kept events under proposed rules.

use serde_json::Value;

use crate::world::rules::{RulesFile, rule};
use crate::world::{APP_EVENTS, World, text};

mod counts;
mod crossings;
mod refused;
mod rights;

/// A rules file with one rule.
fn proposed(grant_at: i64, revoke_below: i64) -> RulesFile {
    RulesFile::new(&rule("proposed", grant_at, revoke_below, ""))
}

/// The result as JSON.
async fn simulated(world: &World, rules: &RulesFile, more: &[&str]) -> Value {
    let path = rules.path().display().to_string();
    let arguments = [&["simulate", "--json", "--rules", &path][..], more].concat();
    let output = world.command(&arguments).await;
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Whether a sentence of what is not known has this text.
#[track_caller]
fn says(simulation: &Value, text: &str) -> bool {
    let sentences = simulation["not_known"].as_array().expect("sentences").iter();
    sentences
        .filter_map(Value::as_str)
        .any(|sentence| sentence.contains(text))
}

/// A crossing: event, time, plays after it, and whether the count rose.
type Crossing = (String, String, i64, bool);

/// The crossings of the user at this place of the result.
fn crossings(user: &Value) -> Vec<Crossing> {
    let text = |one: &Value| one.as_str().expect("a text").to_owned();
    let crossings = user["crossings"].as_array().expect("crossings").iter();
    crossings
        .map(|one| {
            let plays = one["plays"].as_i64().expect("a count");
            (text(&one["event_id"]), text(&one["at"]), plays, one["up"] == true)
        })
        .collect()
}

impl World {
    /// Removes the messages before this sequence, as trimming does.
    pub(in crate::operator) async fn trim_before(&self, seq: u64) {
        let stream = self.jetstream.get_stream(APP_EVENTS).await.expect("the stream");
        stream.purge().sequence(seq).await.expect("it is trimmed");
    }
}
