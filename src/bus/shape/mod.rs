//! The required configuration of a stream, as the JSON of JetStream.
//!
//! Owns the guards of each stream and the edit that corrects them. Must never change a field that is not a guard, and never
//! narrow a limit that an operator has widened: fields that this release does not know are sent back unchanged.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::names::{APP_EVENTS, AUTH0_LOGS, ROLE_CHANGES};
use rolekeeper_domain::subjects;

/// The configuration of a stream, in the JSON of JetStream.
pub(super) type Shape = Map<String, Value>;

/// Subject transform of APP_EVENTS: the id becomes one of 64 partitions, since JetStream keeps about half a kilobyte of
/// memory for each subject.
const TRANSFORM: (&str, &str) = ("*.*", "{{wildcard(1)}}.{{partition(64,2)}}");

/// Limits of one stream. A limit that is not given stays unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Copies of each message in a cluster.
    pub replicas: Option<i64>,
    /// Most bytes that it may hold; above that, publishers are refused.
    pub max_bytes: Option<i64>,
    /// How long a message is kept.
    pub max_age: Option<Duration>,
    /// Whether a limit may become narrower than it is.
    pub narrow: bool,
}

fn subjects(name: &str) -> Vec<String> {
    match name {
        APP_EVENTS => vec![
            format!("{}*", subjects::PLAYS),
            format!("{}*", subjects::PLAYLISTS),
        ],
        ROLE_CHANGES => vec![format!("{}*.*", subjects::ROLE_CHANGES)],
        _ => vec![format!("{}*", subjects::AUTH0_LOGS)],
    }
}

/// Returns the duplicate window of a stream.
#[must_use]
pub fn duplicate_window(name: &str) -> Duration {
    // Auth0 retries a batch until it succeeds; app servers retry for minutes at most.
    if name == AUTH0_LOGS {
        Duration::from_hours(2)
    } else {
        Duration::from_mins(10)
    }
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns the configuration of a new stream: its guards and the given limits. `deny_purge` is left out, since it can never
/// be removed and would keep folded messages.
pub(super) fn new(name: &str, limits: Limits) -> Shape {
    let mut shape = Shape::new();
    shape.insert("name".to_owned(), name.into());
    shape.insert("subjects".to_owned(), json!(subjects(name)));
    shape.insert("retention".to_owned(), "limits".into());
    shape.insert("storage".to_owned(), "file".into());
    shape.insert("num_replicas".to_owned(), 1.into());
    let narrow = true;
    edit(&mut shape, name, Limits { narrow, ..limits });
    shape
}

/// Corrects guards and widens limits; returns one sentence for each limit that was not changed.
pub(super) fn edit(shape: &mut Shape, name: &str, limits: Limits) -> Vec<String> {
    for guard in guards(name) {
        if !guard.holds(shape) {
            shape.insert(guard.field.to_owned(), guard.corrected(shape));
        }
    }
    let mut left = Vec::new();
    let mut limit = |field: &'static str, given: Option<i64>, unlimited: bool| {
        let Some(given) = given else { return };
        let there = int(shape, field);
        // JetStream writes "no limit" as 0 or -1.
        let wider = !(unlimited && there <= 0) && given > there;
        if wider || limits.narrow {
            shape.insert(field.to_owned(), given.into());
        } else if given != there {
            left.push(format!("{field} stays {there}, since {given} is narrower"));
        }
    };
    limit("max_bytes", limits.max_bytes, true);
    limit("max_age", limits.max_age.map(nanos), true);
    limit("num_replicas", limits.replicas, false);
    left
}

/// Returns one sentence for each difference between a stream and its guards.
pub(super) fn differences(shape: &Shape, name: &str) -> Vec<String> {
    let broken = guards(name).into_iter().filter(|guard| !guard.holds(shape));
    broken
        .map(|guard| {
            let is = shape.get(guard.field).unwrap_or(&Value::Null);
            format!("{} is {is}, expected {}", guard.field, guard.corrected(shape))
        })
        .collect()
}

/// Returns whether messages of APP_EVENTS get the subject of a partition.
pub(super) fn has_transform(shape: &Shape) -> bool {
    shape.get("subject_transform") == Some(&transform())
}

/// Returns whether the stream is a mirror of another one.
pub(super) fn is_mirror(shape: &Shape) -> bool {
    shape.get("mirror").is_some_and(|mirror| !mirror.is_null())
}

/// Returns whether folded messages can never be purged.
pub(super) fn denies_purge(shape: &Shape) -> bool {
    shape.get("deny_purge") == Some(&Value::Bool(true))
}

fn transform() -> Value {
    json!({"src": TRANSFORM.0, "dest": TRANSFORM.1})
}

/// One field of the configuration on which rolekeeper relies.
struct Guard {
    field: &'static str,
    needs: Needs,
}

enum Needs {
    Exactly(Value),
    /// The field is false or absent.
    Off,
    /// The field has no limit: 0 or less.
    NoLimit,
    /// The field has at least this value.
    AtLeast(i64),
    /// The field is a list with at least these entries.
    Lists(Vec<String>),
}

impl Guard {
    fn holds(&self, shape: &Shape) -> bool {
        match &self.needs {
            Needs::Exactly(value) => shape.get(self.field) == Some(value),
            Needs::Off => shape.get(self.field).is_none_or(|value| value == false),
            Needs::NoLimit => int(shape, self.field) <= 0,
            Needs::AtLeast(least) => int(shape, self.field) >= *least,
            Needs::Lists(wanted) => {
                let there = shape.get(self.field).and_then(Value::as_array);
                let has = |one: &String| there.is_some_and(|there| there.iter().any(|value| value == one));
                wanted.iter().all(has)
            }
        }
    }

    fn corrected(&self, shape: &Shape) -> Value {
        match &self.needs {
            Needs::Exactly(value) => value.clone(),
            Needs::Off => false.into(),
            Needs::NoLimit => (-1).into(),
            Needs::AtLeast(least) => (*least).into(),
            Needs::Lists(wanted) => {
                let there = shape.get(self.field).and_then(Value::as_array);
                let mut all = there.cloned().unwrap_or_default();
                for one in wanted {
                    if !all.iter().any(|value| value == one) {
                        all.push(one.as_str().into());
                    }
                }
                all.into()
            }
        }
    }
}

fn guards(name: &str) -> Vec<Guard> {
    let guard = |field, needs| Guard { field, needs };
    let mut all = vec![
        guard("subjects", Needs::Lists(subjects(name))),
        guard("retention", Needs::Exactly("limits".into())),
        guard("storage", Needs::Exactly("file".into())),
        guard("discard", Needs::Exactly("new".into())),
        guard("deny_delete", Needs::Exactly(true.into())),
        guard("max_msgs_per_subject", Needs::NoLimit),
        // A publisher would wait for an acknowledgement that never comes.
        guard("no_ack", Needs::Off),
        // One message that is too large is refused for ever, and with it the rest of its delivery.
        guard("max_msg_size", Needs::NoLimit),
        // A header of one message would remove all earlier ones.
        guard("allow_rollup_hdrs", Needs::Off),
        guard("duplicate_window", Needs::AtLeast(nanos(duplicate_window(name)))),
    ];
    if name == APP_EVENTS {
        all.push(guard("subject_transform", Needs::Exactly(transform())));
    }
    all
}

fn int(shape: &Shape, field: &str) -> i64 {
    shape.get(field).and_then(Value::as_i64).unwrap_or(0)
}

#[cfg(test)]
mod tests;
